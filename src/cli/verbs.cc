#include "cli/verbs.h"

#include <CLI/CLI.hpp>

namespace bgl::cli {

void add_verbs(CLI::App& app, Status& status) {
  add_generate(app, status);
  add_lake(app, status);
  add_prep(app, status);
  add_tokenizer(app, status);
}

void set_example(CLI::App& verb, const char* example) { verb.footer(std::string("Example:\n  ") + example); }

}  // namespace bgl::cli
