#include "cli/peer_process.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <utility>

extern char** environ;

namespace bgl::cli {
namespace {

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (const std::string& t : texts) out.push_back(const_cast<char*>(t.c_str()));
  out.push_back(nullptr);
  return out;
}

// Ours, but for the names that `changes` gives.
std::vector<std::string> environment_with(const std::vector<std::string>& changes) {
  std::vector<std::string> out = changes;
  for (char** e = environ; *e; ++e) {
    const std::string line = *e;
    bool kept = true;
    for (const std::string& c : changes) kept = kept && line.substr(0, line.find('=')) != c.substr(0, c.find('='));
    if (kept) out.push_back(line);
  }
  return out;
}

}  // namespace

Result<PeerProcess> PeerProcess::start(const std::vector<std::string>& argv, const std::vector<std::string>& environment) {
  int to[2], from[2];
  if (pipe2(to, O_CLOEXEC) != 0) return errno_status(errno, "pipe");
  if (pipe2(from, O_CLOEXEC) != 0) {
    const int error = errno;
    close(to[0]), close(to[1]);
    return errno_status(error, "pipe");
  }
  PeerProcess peer;
  peer.requests_ = fdopen(to[1], "w");
  peer.answers_ = fdopen(from[0], "r");
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, to[0], 0);
  posix_spawn_file_actions_adddup2(&actions, from[1], 1);
  const std::vector<std::string> all = environment_with(environment);
  const int failed = posix_spawn(&peer.pid_, argv[0].c_str(), &actions, nullptr, pointers(argv).data(), pointers(all).data());
  posix_spawn_file_actions_destroy(&actions);
  close(to[0]), close(from[1]);
  if (failed) {
    peer.pid_ = -1;
    return errno_status(failed, argv[0]);
  }
  return peer;
}

PeerProcess::PeerProcess(PeerProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      requests_(std::exchange(other.requests_, nullptr)),
      answers_(std::exchange(other.answers_, nullptr)) {}

PeerProcess::~PeerProcess() {
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  if (requests_) fclose(requests_);
  if (answers_) fclose(answers_);
}

Result<std::string> PeerProcess::ask(const std::string& request) {
  kill(pid_, SIGCONT);
  std::fprintf(requests_, "%s\n", request.c_str());
  std::string line;
  int c = std::fflush(requests_) == 0 ? std::fgetc(answers_) : EOF;
  for (; c != EOF && c != '\n'; c = std::fgetc(answers_)) line += static_cast<char>(c);
  if (c == EOF) return make_status(Code::kUnavailable, "the peer ended");
  kill(pid_, SIGSTOP);
  return line;
}

}  // namespace bgl::cli
