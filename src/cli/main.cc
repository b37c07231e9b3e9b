#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "cli/verbs.h"

int main(int argc, char** argv) {
  CLI::App app{"BaGuaLu: documents in, trained, tuned and served models out."};
  app.name("bgl");
  app.require_subcommand(1);
  bgl::Status status;
  bgl::cli::add_verbs(app, status);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  }
  // What was printed counts only once it is out: a full disk or a closed pipe may tell so only now.
  if (status.ok() && (std::fflush(stdout) != 0 || std::ferror(stdout)))
    status = bgl::make_status(bgl::Code::kIo, "what it prints could not be written: {}", std::strerror(errno));
  if (!status.ok()) {
    const auto chosen = app.get_subcommands();
    std::fprintf(stderr, "bgl %s: %s\n", chosen.empty() ? "" : chosen[0]->get_name().c_str(), status.message().c_str());
    return 1;
  }
  return 0;
}
