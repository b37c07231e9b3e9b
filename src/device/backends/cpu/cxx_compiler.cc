#include "device/backends/cpu/cxx_compiler.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <vector>

extern char** environ;

namespace bgl::device::cpu {
namespace {

// The first of the candidates that is an executable file on the PATH.
std::string find_compiler() {
  const char* given = std::getenv("BGL_CXX");
  const std::vector<std::string> names =
      given ? std::vector<std::string>{given} : std::vector<std::string>{"g++", "clang++", "c++"};
  const char* path = std::getenv("PATH");
  for (const std::string& name : names) {
    if (name.find('/') != std::string::npos) {
      if (access(name.c_str(), X_OK) == 0) return name;
      continue;
    }
    std::stringstream folders(path ? path : "/usr/bin:/bin");
    for (std::string folder; std::getline(folders, folder, ':');) {
      const std::string file = folder + "/" + name;
      if (access(file.c_str(), X_OK) == 0) return file;
    }
  }
  return {};
}

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

// A folder of our own in TMPDIR, removed with the three files in it.
struct TemporaryFolder {
  std::string path;
  TemporaryFolder() {
    const char* where = std::getenv("TMPDIR");
    path = std::string(where && *where ? where : "/tmp") + "/bgl-cxx-XXXXXX";
    if (!mkdtemp(path.data())) path.clear();
  }
  ~TemporaryFolder() {
    if (path.empty()) return;
    for (const char* name : {"/kernel.cc", "/kernel.o", "/messages"}) unlink((path + name).c_str());
    rmdir(path.c_str());
  }
};

int run(const std::vector<std::string>& command, const std::string& messages) {
  std::vector<char*> argv;
  for (const std::string& word : command) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 2, messages.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  pid_t child = 0;
  const int failed = posix_spawn(&child, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failed) return -1;
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return -1;
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace

bool cxx_present() { return !find_compiler().empty(); }

std::string compile_cxx(std::string_view text, const std::string& features, std::string& error) {
  const std::string compiler = find_compiler();
  if (compiler.empty()) return error = "no C++ compiler on the PATH (set BGL_CXX)", std::string();
  const TemporaryFolder folder;
  if (folder.path.empty()) return error = fmt::format("no temporary folder: {}", std::strerror(errno)), std::string();
  const std::string source = folder.path + "/kernel.cc", object = folder.path + "/kernel.o",
                    messages = folder.path + "/messages";
  std::ofstream(source, std::ios::binary) << text;
  std::vector<std::string> command{compiler,
                                   "-std=c++17",
                                   "-O2",
                                   "-c",
                                   "-fPIC",
                                   "-w",
                                   "-ffp-contract=off",
                                   "-fno-builtin",
                                   "-ffreestanding",
                                   "-fno-exceptions",
                                   "-fno-rtti",
                                   "-fno-stack-protector",
                                   "-fno-asynchronous-unwind-tables",
                                   "-fno-tree-loop-distribute-patterns",
                                   "-fvisibility=hidden",
                                   "-fno-math-errno",
                                   "-fno-strict-aliasing"};
  // clang has no -fno-tree-loop-distribute-patterns, and says so only as a warning.
  std::stringstream list(features);
  for (std::string one; std::getline(list, one, ',');) {
    if (one.size() > 1 && one[0] == '+') command.push_back("-m" + one.substr(1));
  }
  for (const char* word : {"-o", object.c_str(), source.c_str()}) command.emplace_back(word);
  const int status = run(command, messages);
  if (status != 0) {
    error = fmt::format("{} failed ({}): {}", compiler, status, read_file(messages).substr(0, 400));
    return {};
  }
  std::string bytes = read_file(object);
  if (bytes.empty()) error = fmt::format("{} wrote no object", compiler);
  return bytes;
}

}  // namespace bgl::device::cpu
