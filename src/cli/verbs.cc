#include "cli/verbs.h"

#include <CLI/CLI.hpp>

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
  add_bench(app, status);
  add_doctor(app, status);
  add_summary(app, status);
}

void set_example(CLI::App& verb, const char* example) { verb.footer(std::string("Example:\n  ") + example); }

}  // namespace bgl::cli
