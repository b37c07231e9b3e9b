// A lake of very many segments without their bytes: each is made when it is read, so that what a manifest of 10^6 rows costs can
// be measured on any machine. The segments, their indexes and names are those that the lake's own writers write; only the files
// are small and few per segment (8). MANIFEST, log, and everything written later lie in the Env below.
//
// Runs are those of a lake that merged by eight: tier t has up to seven runs of 8^t segments, and tier 0 has three, so that the
// next seal merges a group.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <unordered_set>
#include <vector>

#include "base/env.h"
#include "base/status.h"

namespace bgl::storage {

struct MadeLakeReads {
  std::atomic<int64_t> segments = 0;  // reads of segment files
  std::atomic<int64_t> names = 0;     // and of names files
  std::atomic<int64_t> touched = 0;   // different segments that were opened
};

class MadeLake final : public Env {
 public:
  // About `segments` of them, in a new folder `dir` of `under`, which must outlive the lake. Makes every segment once, for its row:
  // about 30 microseconds each.
  static Result<std::unique_ptr<MadeLake>> create(Env& under, const std::string& dir, int64_t segments);
  ~MadeLake() override;

  int64_t files() const { return files_; }
  int64_t segments() const { return segments_; }
  // File i of [0, files()); paths rise with i.
  static std::string path(int64_t i);
  static std::string content(int64_t i);
  const MadeLakeReads& reads() const { return *reads_; }

  int64_t now_ns() override { return under_.now_ns(); }
  int64_t wall_ns() override { return under_.wall_ns(); }
  int64_t process_id() override { return under_.process_id(); }
  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override;
  Result<std::unique_ptr<FileView>> map(const std::string& path) override { return under_.map(path); }
  Status rename(const std::string& from, const std::string& to) override { return under_.rename(from, to); }
  Status remove(const std::string& path) override;
  Result<std::vector<DirEntry>> list_dir(const std::string& path) override;
  Status make_dirs(const std::string& path) override { return under_.make_dirs(path); }
  Result<FileStat> stat(const std::string& path) override { return under_.stat(path); }
  Status sync_dir(const std::string& path) override { return under_.sync_dir(path); }
  Result<std::unique_ptr<FileLock>> lock_file(const std::string& path, const std::string& text) override {
    return under_.lock_file(path, text);
  }

 private:
  struct Run;
  class Maker;
  MadeLake(Env& under, std::string dir);
  // The bytes of a made object, or null: it is none, or was removed.
  std::shared_ptr<const std::string> make(const std::string& path);

  Env& under_;
  std::string dir_;
  int64_t files_ = 0;
  int64_t segments_ = 0;
  std::shared_ptr<MadeLakeReads> reads_;
  std::vector<std::unique_ptr<Run>> runs_;
  std::mutex mutex_;
  std::set<std::string> removed_;     // paths
  std::unordered_set<std::string> touched_;  // segments that were opened
};

}  // namespace bgl::storage
