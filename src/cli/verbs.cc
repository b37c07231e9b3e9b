#include "cli/verbs.h"

#include <CLI/CLI.hpp>

#include "base/log.h"
#include "lang/kernel.h"

namespace bgl::cli {

void add_verbs(CLI::App& app, Status& status) {
  add_lake(app, status);
  add_verify(app, status);
  add_prep(app, status);
  add_tokenizer(app, status);
  add_train(app, status);
  add_tune(app, status);
  add_explain(app, status);
  add_eval(app, status);
  add_export(app, status);
  add_generate(app, status);
  add_serve(app, status);
  add_ask(app, status);
  add_device(app, status);
  add_kernels(app, status);
  add_bench(app, status);
  add_doctor(app, status);
  add_summary(app, status);
}

void set_example(CLI::App& verb, const char* example) { verb.footer(std::string("Example:\n  ") + example); }

void add_weights_option(CLI::App& verb, std::optional<ops::WeightType>& weights) {
  verb.add_option_function<std::string>("--weights", [&weights](const std::string& name) { weights = ops::weight_type_of(name); },
                                        "Hold matrices in memory as f32, bf16 or int8; or w8a8, w16a16: activations as int8 or bf16 too, for long prompts (default: as the folder stores them)")
      ->check(CLI::IsMember({"f32", "bf16", "int8", "w8a8", "w16a16"}));
}

void log_kernels() {
  const lang::KernelCounters c = lang::kernel_counters();
  log_info("kernels: {} compiled in {:.2f} s of CPU, {} from disk", c.compiled, c.compile_cpu_seconds, c.from_disk);
}

}  // namespace bgl::cli
