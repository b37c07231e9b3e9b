// The simulated machine: virtual time and a disk in memory that loses what a real disk may lose. One seed gives one history.
//
// Faults. Operations that change the disk (create, write, truncate, sync, sync_dir, rename, remove, make folder, lock) are
// counted from 1 since the last restart(). At operation `stop_at` the process stops: that operation may or may not have
// happened, it and every later call fail with kUnavailable "the simulated process has stopped", until restart(). At `fail_at`
// the one operation fails with kIo, having done nothing, and the process lives on.
//
// restart(kPowerCut) keeps of every file what sync() covered; each 512-byte sector written later is kept or lost by a coin of
// its own, so writes are torn and reordered. Names changed since the folder's sync_dir() are kept or lost: sometimes a prefix
// of the changes, sometimes any subset; one rename is never half done. restart(kKill) keeps everything the process wrote.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/env.h"

namespace bgl::sim {

struct SimFaults {
  int64_t stop_at = 0;     // 0: never
  int64_t fail_at = 0;     // 0: never
  int64_t disk_bytes = 0;  // writes beyond fail with kResourceExhausted; 0: no limit
};

enum class Crash : unsigned char { kKill, kPowerCut };

class SimEnv final : public Env {
 public:
  explicit SimEnv(uint64_t seed);
  ~SimEnv() override;

  void set_faults(SimFaults faults);
  // Operations counted since the last restart().
  int64_t operations() const;
  bool stopped() const;
  // Ends the process and begins the next one: locks are free, open files of before fail, the faults are cleared.
  void restart(Crash crash);
  void advance_ns(int64_t ns);
  // Changes stored bytes as a failing disk would, durably: xor of the byte at `offset`.
  void flip(const std::string& path, int64_t offset, unsigned char mask);
  // Every file and folder, sorted, folders with a closing "/".
  std::vector<std::string> all_paths() const;

  int64_t now_ns() override;
  int64_t wall_ns() override;
  int64_t process_id() override;
  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override;
  Result<std::unique_ptr<FileView>> map(const std::string& path) override;
  Status rename(const std::string& from, const std::string& to) override;
  Status remove(const std::string& path) override;
  Result<std::vector<DirEntry>> list_dir(const std::string& path) override;
  Status make_dirs(const std::string& path) override;
  Result<FileStat> stat(const std::string& path) override;
  Status sync_dir(const std::string& path) override;
  Result<std::unique_ptr<FileLock>> lock_file(const std::string& path, const std::string& text) override;

  struct State;  // shared with the open files and locks

 private:
  std::shared_ptr<State> state_;
};

}  // namespace bgl::sim
