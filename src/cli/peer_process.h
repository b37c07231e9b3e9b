// A peer of a benchmark in a process of its own, so that its libraries, environment and spinning threads stay out of ours. It
// reads one request a line on its standard input and answers each with a line on its standard output. Between requests it is
// stopped, so that it takes nothing from what is measured beside it.
#pragma once

#include <sys/types.h>

#include <cstdio>
#include <string>
#include <vector>

#include "base/status.h"

namespace bgl::cli {

class PeerProcess {
 public:
  // `argv[0]` is a path; `environment` holds NAME=value lines that replace or join ours. The peer's messages go to our standard
  // error.
  static Result<PeerProcess> start(const std::vector<std::string>& argv, const std::vector<std::string>& environment);
  PeerProcess(PeerProcess&& other) noexcept;
  PeerProcess& operator=(PeerProcess&&) = delete;
  ~PeerProcess();  // kills it

  // The line it answers, without its end; kUnavailable when it ended instead, as a library does that does not know this
  // processor.
  Result<std::string> ask(const std::string& request);

 private:
  PeerProcess() = default;
  pid_t pid_ = -1;
  FILE* requests_ = nullptr;
  FILE* answers_ = nullptr;
};

}  // namespace bgl::cli
