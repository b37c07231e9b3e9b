// bgl bench lake: ingest beside one ext4 file each and one RocksDB row each, cold look-ups of the three, memory and device
// reads of the lake's index, write amplification of sealing and compaction.
#include <fcntl.h>
#include <malloc.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>

#include "base/env.h"
#include "base/progress.h"
#include "cli/bench.h"
#include "cli/counting_env.h"
#include "cli/rocksdb_peer.h"
#include "ops/random.h"
#include "storage/lake/lake.h"

namespace bgl::cli {
namespace {

using storage::Lake;
using storage::LakeOptions;

constexpr int64_t kBatchFiles = 512;          // files an acknowledgement covers, one sync each, on all sides
constexpr int64_t kIngestFiles = 40960;  // of each side in each round of the ingest's race
constexpr int kRaceRounds = 3;
constexpr int kFolders = 200;
constexpr int kLookups = 5000;

// File i: 1 to 10 KB of words, always the same.
class MadeFiles {
 public:
  MadeFiles() : pool_(made_text(1 << 20, 4)) {}
  static std::string path(int64_t i) { return fmt::format("d{:03}/f{:08}", i % kFolders, i); }
  std::string_view bytes(int64_t i) const {
    const uint64_t h = static_cast<uint64_t>(i + 1) * 0x9e3779b97f4a7c15ULL;
    return std::string_view(pool_).substr((h >> 20) % (pool_.size() - 10000), 1000 + (h >> 44) % 9001);
  }

 private:
  std::string pool_;
};

// Seconds of `fn(first, last)` over [0, n) in batches.
Result<double> time_batches(int64_t n, const std::function<Status(int64_t, int64_t)>& fn) {
  const double start = seconds_now();
  for (int64_t i = 0; i < n; i += kBatchFiles) BGL_TRY(fn(i, std::min(n, i + kBatchFiles)));
  return seconds_now() - start;
}

Result<double> ingest_lake(Lake& lake, const MadeFiles& files, int64_t from, int64_t to) {
  BGL_ASSIGN(const double put_s, time_batches(to - from, [&](int64_t first, int64_t last) -> Status {
               for (int64_t i = from + first; i < from + last; ++i) BGL_TRY(lake.put(MadeFiles::path(i), files.bytes(i)));
               return lake.commit().status();
             }));
  const double start = seconds_now();
  BGL_TRY(lake.seal());
  return put_s + seconds_now() - start;
}

// One file each, one sync of the file system a batch.
Result<double> ingest_ext4(const std::string& dir, const MadeFiles& files, int64_t n) {
  for (int d = 0; d < kFolders; ++d) BGL_TRY(real_env().make_dirs(fmt::format("{}/d{:03}", dir, d)));
  const int root = ::open(dir.c_str(), O_RDONLY | O_DIRECTORY);
  auto seconds = time_batches(n, [&](int64_t first, int64_t last) -> Status {
    for (int64_t i = first; i < last; ++i) {
      const int fd = ::open((dir + "/" + MadeFiles::path(i)).c_str(), O_CREAT | O_WRONLY, 0644);
      const std::string_view bytes = files.bytes(i);
      if (fd < 0 || ::write(fd, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size()))
        return errno_status(errno, "cannot write in " + dir);
      ::close(fd);
    }
    return ::syncfs(root) == 0 ? Status() : errno_status(errno, "cannot sync " + dir);
  });
  ::close(root);
  return seconds;
}

Result<double> ingest_rocksdb(RocksDb& db, const MadeFiles& files, int64_t n) {
  BGL_ASSIGN(const double put_s, time_batches(n, [&](int64_t first, int64_t last) {
               std::vector<std::pair<std::string, std::string_view>> rows;
               for (int64_t i = first; i < last; ++i) rows.emplace_back(MadeFiles::path(i), files.bytes(i));
               return db.write(rows);
             }));
  const double start = seconds_now();
  BGL_TRY(db.flush());
  return put_s + seconds_now() - start;
}

int64_t disk_bytes(const std::string& path) {
  struct stat st {};
  if (::lstat(path.c_str(), &st) != 0) return 0;
  int64_t bytes = st.st_blocks * 512;
  if (!S_ISDIR(st.st_mode)) return bytes;
  const auto entries = real_env().list_dir(path);
  if (!entries.ok()) return bytes;
  for (const DirEntry& entry : entries.value()) bytes += disk_bytes(join_path(path, entry.name));
  return bytes;
}

// Empties the system's caches; false where only root may.
bool drop_caches() {
  ::sync();
  const int fd = ::open("/proc/sys/vm/drop_caches", O_WRONLY);
  const bool done = fd >= 0 && ::write(fd, "3", 1) == 1;
  if (fd >= 0) ::close(fd);
  return done;
}

// Look-ups a second, one after another, of random files whose bytes must be those put.
Result<double> time_lookups(const MadeFiles& files, int64_t n,
                            const std::function<Result<std::string>(const std::string&)>& get) {
  ops::Generator g(5);
  const double start = seconds_now();
  for (int i = 0; i < kLookups; ++i) {
    const int64_t file = g.below(n);
    BGL_ASSIGN(const std::string bytes, get(MadeFiles::path(file)));
    if (bytes != files.bytes(file)) return make_status(Code::kInternal, "{} came back changed", MadeFiles::path(file));
  }
  return kLookups / (seconds_now() - start);
}

Result<std::string> read_direct(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECT);
  if (fd < 0) return errno_status(errno, "cannot open " + path);
  alignas(4096) static char buffer[16384];
  const ssize_t n = ::read(fd, buffer, sizeof buffer);
  ::close(fd);
  if (n < 0) return errno_status(errno, "cannot read " + path);
  return std::string(buffer, static_cast<size_t>(n));
}

struct Race {
  double lake_s = 1e300, ext4_s = 1e300, rocksdb_s = 1e300;
  double ext4_lookups = 0, rocksdb_lookups = 0;
  double ext4_disk = 0, rocksdb_disk = 0;  // bytes a file
  bool has_rocksdb = true;
};

// Stores are made and deleted in turn; the least time of each counts.
Result<Race> race(const std::string& dir, const MadeFiles& files, int64_t n) {
  Race r;
  for (int round = 0; round < kRaceRounds; ++round) {
    const bool last = round + 1 == kRaceRounds;
    {
      BGL_ASSIGN(auto lake, Lake::open(real_env(), dir + "/lake", {.write = true, .create = true}));
      BGL_ASSIGN(const double s, ingest_lake(*lake, files, 0, n));
      r.lake_s = std::min(r.lake_s, s);
    }
    BGL_TRY(real_env().remove_all(dir + "/lake"));
    BGL_ASSIGN(const double ext4_s, ingest_ext4(dir + "/files", files, n));
    r.ext4_s = std::min(r.ext4_s, ext4_s);
    if (last) {
      r.ext4_disk = static_cast<double>(disk_bytes(dir + "/files")) / static_cast<double>(n);
      drop_caches();
      BGL_ASSIGN(r.ext4_lookups,
                 time_lookups(files, n, [&](const std::string& path) { return read_direct(dir + "/files/" + path); }));
    }
    BGL_TRY(real_env().remove_all(dir + "/files"));
    ::sync();
    auto db = open_rocksdb(dir + "/rocksdb");
    r.has_rocksdb = db.status().code() != Code::kNotFound;
    if (!r.has_rocksdb) {
      std::fprintf(stderr, "%s\n", db.status().message().c_str());
      continue;
    }
    BGL_ASSIGN(auto rocksdb, std::move(db));
    BGL_ASSIGN(const double rocksdb_s, ingest_rocksdb(*rocksdb, files, n));
    r.rocksdb_s = std::min(r.rocksdb_s, rocksdb_s);
    if (last) {
      r.rocksdb_disk = static_cast<double>(disk_bytes(dir + "/rocksdb")) / static_cast<double>(n);
      drop_caches();
      BGL_ASSIGN(r.rocksdb_lookups, time_lookups(files, n, [&](const std::string& path) { return rocksdb->get(path); }));
    }
    rocksdb.reset();
    BGL_TRY(real_env().remove_all(dir + "/rocksdb"));
    ::sync();
  }
  return r;
}

struct Memory {
  int64_t allocated = 0;
  int64_t resident = 0;
};

Memory memory_now() {
  ::malloc_trim(0);
  const auto info = ::mallinfo2();
  Memory m{static_cast<int64_t>(info.uordblks + info.hblkhd), 0};
  if (std::FILE* f = std::fopen("/proc/self/statm", "r")) {
    long total = 0, resident = 0;
    if (std::fscanf(f, "%ld %ld", &total, &resident) == 2) m.resident = resident * ::sysconf(_SC_PAGESIZE);
    std::fclose(f);
  }
  return m;
}

// What a reader that has used every index of the lake of `n` files holds more than before it was opened.
Result<Memory> reader_memory(Env& env, const std::string& dir, int64_t n) {
  const Memory before = memory_now();
  BGL_ASSIGN(auto lake, Lake::open(env, dir, {}));
  ops::Generator g(9);
  for (int i = 0; i < 2000; ++i) BGL_TRY(lake->get(MadeFiles::path(g.below(n))).status());
  const Memory after = memory_now();
  return Memory{after.allocated - before.allocated, after.resident - before.resident};
}

// Ingest, cold look-ups and disk beside one file each on ext4, and beside RocksDB where it is installed.
std::vector<BenchResult> race_results(const Race& r, double files, double lookups, double disk) {
  std::vector<BenchResult> out;
  auto add = [&](const char* peer, double seconds, double peer_lookups, double peer_disk) {
    out.push_back({.name = "lake_ingest", .value = files / r.lake_s, .unit = "files/s", .peer = peer, .peer_value = files / seconds});
    out.push_back({.name = "lake_lookup_cold", .value = lookups, .unit = "files/s", .peer = peer, .peer_value = peer_lookups});
    out.push_back({.name = "lake_disk_per_file", .value = disk, .unit = "bytes", .peer = peer, .peer_value = peer_disk});
  };
  add("ext4, one file each", r.ext4_s, r.ext4_lookups, r.ext4_disk);
  if (r.has_rocksdb) add("RocksDB, one row each", r.rocksdb_s, r.rocksdb_lookups, r.rocksdb_disk);
  return out;
}

}  // namespace

BenchResults bench_lake(const LakeBench& options) {
  if (options.segments > 0) return bench_lake_scale(options.segments);
  const int64_t n = options.files;
  const std::string dir = scratch_folder("lake");
  const MadeFiles files;
  const int64_t race_files = std::min(n, kIngestFiles);
  BGL_TRY(real_env().make_dirs(dir));
  BGL_ASSIGN(const Race r, race(dir, files, race_files));

  IoCounts io;
  const auto env = make_counting_env(io);
  const std::string lake_dir = dir + "/big";
  BGL_ASSIGN(auto lake, Lake::open(*env, lake_dir, {.write = true, .create = true}));
  BGL_ASSIGN(const double half_s, ingest_lake(*lake, files, 0, n / 2));
  double start = seconds_now();
  BGL_TRY(lake->compact(4));
  double compact_s = seconds_now() - start;
  BGL_ASSIGN(const Memory half, reader_memory(*env, lake_dir, n / 2));
  BGL_ASSIGN(const double rest_s, ingest_lake(*lake, files, n / 2, n));
  start = seconds_now();
  BGL_TRY(lake->compact(4));
  compact_s += seconds_now() - start;
  BGL_ASSIGN(const storage::LakeStat stat, lake->stat());
  BGL_TRY(lake->close());
  lake.reset();
  const double amplification = static_cast<double>(io.segment_bytes) / static_cast<double>(stat.bytes);
  const double with_log =
      amplification + static_cast<double>(io.log_bytes + io.manifest_bytes) / static_cast<double>(stat.bytes);

  BGL_ASSIGN(const Memory whole, reader_memory(*env, lake_dir, n));
  BGL_ASSIGN(auto reader, Lake::open(*env, lake_dir, {}));
  for (int i = 0; i < 2000; ++i) BGL_TRY(reader->get(MadeFiles::path(i * (n / 2000 + 1) % n)).status());
  const bool dropped = drop_caches();
  const int64_t reads_before = io.segment_reads;
  BGL_ASSIGN(const double lookups, time_lookups(files, n, [&](const std::string& path) { return reader->get(path); }));
  const double reads = static_cast<double>(io.segment_reads - reads_before) / kLookups;
  const double lake_disk = static_cast<double>(disk_bytes(lake_dir)) / static_cast<double>(n);
  reader.reset();
  BGL_TRY(real_env().remove_all(dir));

  const auto count = static_cast<double>(n);
  const double half_count = count / 2;
  std::printf(
      "%ld files of 1-10 KB (%s) in the lake, %ld on each side of the race; batches of %ld, one sync each; segment reads %s; "
      "caches %s\n",
      n, human_bytes(static_cast<double>(stat.bytes)).c_str(), race_files, kBatchFiles,
      io.direct_reads ? "past the page cache" : "through the page cache",
      dropped ? "emptied before look-ups" : "not emptied (needs root)");
  std::vector<BenchResult> out = race_results(r, static_cast<double>(race_files), lookups, lake_disk);
  const BenchResult alone[] = {
      {.name = "lake_ingest_all", .value = count / (half_s + rest_s), .unit = "files/s"},
      {.name = "lake_compact_to_4_runs", .value = compact_s, .unit = "s, of each half"},
      {.name = "lake_runs", .value = static_cast<double>(stat.runs), .unit = "runs"},
      {.name = "lake_reads_per_cold_get", .value = reads, .unit = "device reads"},
      {.name = "lake_index_allocated",
       .value = static_cast<double>(whole.allocated - half.allocated) / half_count,
       .unit = "bytes/file more"},
      {.name = "lake_index_resident",
       .value = static_cast<double>(whole.resident - half.resident) / half_count,
       .unit = "bytes/file more"},
      {.name = "lake_names_on_disk", .value = static_cast<double>(stat.names_bytes) / count, .unit = "bytes/file"},
      {.name = "lake_reader_allocated", .value = static_cast<double>(whole.allocated) / count, .unit = "bytes/file"},
      {.name = "lake_write_amplification", .value = amplification, .unit = "x, sealing and compaction"},
      {.name = "lake_write_amplification_log_too", .value = with_log, .unit = "x"}};
  out.insert(out.end(), std::begin(alone), std::end(alone));
  return out;
}

}  // namespace bgl::cli
