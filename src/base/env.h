// The seam between the system and the operating system: clock and files. Code that takes an Env& runs on the real machine
// (real_env()) and in the simulated one (sim/sim_env.h), where every write, fsync and rename can fail or stop the process.
//
// What survives a power cut, here and in the simulation:
//   - bytes of a file: only what a sync() that returned OK covered;
//   - a name (create, rename, remove): only after sync_dir() of its folder returned OK;
//   - write_file_atomic(): either the whole old file or the whole new one.
// Errors name the path and end with the system's reason. Paths are bytes; "/" separates. All calls are thread-safe, except that
// one File is used by one thread at a time unless its method says otherwise.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace bgl {

enum class OpenMode : unsigned char {
  kRead,    // the file must exist
  kWrite,   // created or cut to zero
  kAppend,  // created if absent; append() adds at its end
  kUpdate,  // created if absent; its bytes stay
};

class File {
 public:
  // Closes without reporting; call close() where a failure matters.
  virtual ~File() = default;
  // Adds `bytes` at the end of the file, all of them or an error.
  virtual Status append(std::string_view bytes) = 0;
  // Writes at `offset`; bytes between the old end and `offset` become zero.
  virtual Status write_at(int64_t offset, std::string_view bytes) = 0;
  // Reads up to `length` bytes at `offset`; fewer only at the end of the file. Any number of threads at once.
  virtual Result<std::string> pread(int64_t offset, int64_t length) const = 0;
  // As above into memory of the caller; returns the count.
  virtual Result<int64_t> pread_into(int64_t offset, char* out, int64_t length) const = 0;
  // Returns when every byte written so far survives a power cut.
  virtual Status sync() = 0;
  virtual Result<int64_t> size() const = 0;
  virtual Status truncate(int64_t size) = 0;
  virtual Status close() = 0;
};

// Holds an exclusive lock until destroyed; the lock of a process that dies is free at once.
class FileLock {
 public:
  virtual ~FileLock() = default;
};

// A file's bytes in memory, read only, valid while the object lives.
class FileView {
 public:
  virtual ~FileView() = default;
  std::string_view bytes() const { return bytes_; }

 protected:
  std::string_view bytes_;
};

struct FileStat {
  int64_t size = 0;
  int64_t modified_ns = 0;  // wall clock
  bool is_dir = false;
  bool is_file = false;  // neither: a pipe, a socket, a device, whose opening may wait for ever
};

struct DirEntry {
  std::string name;
  bool is_dir = false;
};

class Env {
 public:
  virtual ~Env() = default;
  // Nanoseconds of a clock that never goes back.
  virtual int64_t now_ns() = 0;
  // Nanoseconds since 1970 UTC.
  virtual int64_t wall_ns() = 0;
  // An identity for lock texts.
  virtual int64_t process_id() = 0;

  virtual Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) = 0;
  // The whole file mapped (or read, where mapping is not possible).
  virtual Result<std::unique_ptr<FileView>> map(const std::string& path) = 0;
  virtual Status rename(const std::string& from, const std::string& to) = 0;
  // Removes a file, or an empty folder.
  virtual Status remove(const std::string& path) = 0;
  // Names in the folder, sorted, without "." and "..".
  virtual Result<std::vector<DirEntry>> list_dir(const std::string& path) = 0;
  // The folder and all above it; OK when it is there already.
  virtual Status make_dirs(const std::string& path) = 0;
  virtual Result<FileStat> stat(const std::string& path) = 0;
  // Returns when names created, renamed and removed in this folder survive a power cut.
  virtual Status sync_dir(const std::string& path) = 0;
  // Takes the exclusive lock of `path` (created if absent, left behind) and writes `text` into it. When another holder has it:
  // kAlreadyExists whose message is the holder's text and nothing else, for example "pid 123 (since 2024-05-01 10:00:00)".
  virtual Result<std::unique_ptr<FileLock>> lock_file(const std::string& path, const std::string& text) = 0;

  // Built from the above, the same in every Env.
  Result<std::string> read_file(const std::string& path);
  // Writes path + ".tmp", syncs, renames over `path`, syncs the folder. One writer per path at a time.
  Status write_file_atomic(const std::string& path, std::string_view bytes);
  bool exists(const std::string& path);
  // make_dirs(), and the new folders survive a power cut.
  Status make_dirs_synced(const std::string& path);
  // Removes `path` and what is below it; OK when it is not there.
  Status remove_all(const std::string& path);
};

// The machine this process runs on.
Env& real_env();

// "a/b" of ("a", "b"); `name` alone when `dir` is empty or `name` is absolute.
std::string join_path(std::string_view dir, std::string_view name);
// "a" of "a/b", "." of "b", "/" of "/b".
std::string parent_path(std::string_view path);
// "b" of "a/b" and of "a/b/".
std::string base_name(std::string_view path);
// "pid 123 (since 2024-05-01 10:00:00)" in UTC: the text for lock_file().
std::string lock_holder_text(Env& env);
// "2024-05-01 10:00:00" in UTC.
std::string format_time(int64_t wall_ns);

}  // namespace bgl
