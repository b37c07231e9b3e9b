// The verbs of bgl. Each source cli/<verb>.cc adds one subcommand whose callback fills `status`; main prints a failure as one
// line "bgl <verb>: <message>" on stderr and exits 1 (2 for a wrong command line).
#pragma once

#include <optional>
#include <string>

#include "base/status.h"
#include "ops/packed.h"

namespace CLI {
class App;
}

namespace bgl::cli {

// Adds every verb to `app`, in the order a model lives.
void add_verbs(CLI::App& app, Status& status);

// Gives `verb` the closing lines of its --help: one example that can be pasted.
void set_example(CLI::App& verb, const char* example);

// --weights f32|bf16|int8: the type of matrices in memory.
void add_weights_option(CLI::App& verb, std::optional<ops::WeightType>& weights);

// Logs (BGL_LOG=info) how many kernels this process compiled, and how many it found on the disk. For the end of a verb that runs a model.
void log_kernels();

// One per source of this folder, or two where they share it.
void add_ask(CLI::App& app, Status& status);
void add_bench(CLI::App& app, Status& status);
void add_device(CLI::App& app, Status& status);
void add_doctor(CLI::App& app, Status& status);
void add_eval(CLI::App& app, Status& status);
void add_explain(CLI::App& app, Status& status);
void add_export(CLI::App& app, Status& status);
void add_generate(CLI::App& app, Status& status);
void add_kernels(CLI::App& app, Status& status);
void add_lake(CLI::App& app, Status& status);
void add_prep(CLI::App& app, Status& status);
void add_serve(CLI::App& app, Status& status);
void add_summary(CLI::App& app, Status& status);
void add_tokenizer(CLI::App& app, Status& status);
void add_train(CLI::App& app, Status& status);
void add_tune(CLI::App& app, Status& status);
void add_verify(CLI::App& app, Status& status);

}  // namespace bgl::cli
