// bgl bench lake --segments N: what a lake of N segments costs by their number alone: opening, looking up, listing a part, a seal
// with its manifest, merging one group. The segments are made when they are read (storage/lake/made_lake.h).
#include <malloc.h>

#include <cstdio>

#include "base/env.h"
#include "cli/bench.h"
#include "ops/random.h"
#include "storage/lake/lake.h"
#include "storage/lake/made_lake.h"

namespace bgl::cli {
namespace {

using storage::Lake;
using storage::LakeOptions;
using storage::MadeLake;

constexpr int kGets = 1000;

int64_t allocated_now() {
  ::malloc_trim(0);
  const auto info = ::mallinfo2();
  return static_cast<int64_t>(info.uordblks + info.hblkhd);
}

// The most this process has had in memory since the last call, as far as the system tells (VmHWM).
int64_t peak_bytes() {
  int64_t kib = 0;
  if (std::FILE* f = std::fopen("/proc/self/status", "r")) {
    char line[256];
    while (std::fgets(line, sizeof line, f)) {
      long value = 0;
      if (std::sscanf(line, "VmHWM: %ld", &value) == 1) kib = value;
    }
    std::fclose(f);
  }
  if (std::FILE* f = std::fopen("/proc/self/clear_refs", "w")) {
    std::fputs("5", f);
    std::fclose(f);
  }
  return kib * 1024;
}

// Reads of segment files per get of a random file.
Result<double> reads_per_get(MadeLake& made, Lake& lake) {
  ops::Generator g(3);
  const int64_t before = made.reads().segments;
  for (int i = 0; i < kGets; ++i) {
    const int64_t file = g.below(made.files());
    BGL_ASSIGN(const std::string bytes, lake.get(MadeLake::path(file)));
    if (bytes != MadeLake::content(file)) return make_status(Code::kInternal, "{} came back changed", MadeLake::path(file));
  }
  return static_cast<double>(made.reads().segments - before) / kGets;
}

using Results = std::vector<BenchResult>;

Status measure_reader(MadeLake& made, const std::string& dir, Results& out) {
  const auto rows = static_cast<double>(made.segments());
  peak_bytes();
  const int64_t before = allocated_now();
  double start = seconds_now();
  BGL_ASSIGN(auto lake, Lake::open(made, dir, {}));
  out.push_back({.name = "lake_rows_open", .value = seconds_now() - start, .unit = "s"});
  const int64_t opened = allocated_now();
  out.push_back({.name = "lake_rows_memory", .value = static_cast<double>(opened - before) / rows, .unit = "bytes/segment"});
  BGL_ASSIGN(const storage::LakeStat stat, lake->stat());
  out.push_back({.name = "lake_rows_runs", .value = static_cast<double>(stat.runs), .unit = "runs"});
  BGL_TRY(reads_per_get(made, *lake).status());
  BGL_ASSIGN(const double reads, reads_per_get(made, *lake));
  out.push_back({.name = "lake_rows_reads_per_get", .value = reads, .unit = "reads, indexes in memory"});
  lake.reset();
  BGL_ASSIGN(lake, Lake::open(made, dir, {.index_memory_bytes = 0}));
  const int64_t untouched = allocated_now();
  BGL_TRY(reads_per_get(made, *lake).status());
  // The files are those of the gets before, so the segments that were touched are these.
  const double each = static_cast<double>(allocated_now() - untouched) / static_cast<double>(made.reads().touched);
  out.push_back({.name = "lake_rows_memory_used", .value = each, .unit = "bytes/segment looked into"});
  BGL_ASSIGN(const double paged, reads_per_get(made, *lake));
  out.push_back({.name = "lake_rows_reads_per_get_paged", .value = paged, .unit = "reads, none in memory"});
  const int64_t names_before = made.reads().names;
  start = seconds_now();
  BGL_ASSIGN(const auto entries, lake->ls(MadeLake::path(made.files() / 20000 * 10000).substr(0, 9)));
  if (entries.size() != 100) return make_status(Code::kInternal, "{} entries of 100 were listed", entries.size());
  out.push_back({.name = "lake_rows_ls_of_100", .value = seconds_now() - start, .unit = "s"});
  out.push_back(
      {.name = "lake_rows_ls_reads", .value = static_cast<double>(made.reads().names - names_before), .unit = "reads"});
  return {};
}

Status measure_writer(MadeLake& made, const std::string& dir, Results& out) {
  double start = seconds_now();
  peak_bytes();
  BGL_ASSIGN(auto lake, Lake::open(made, dir, {.write = true, .merge_runs = 0}));
  out.push_back({.name = "lake_rows_open_to_write", .value = seconds_now() - start, .unit = "s"});
  const auto seal = [&](const std::string& path) -> Result<double> {
    BGL_TRY(lake->put(path, "bytes"));
    BGL_TRY(lake->commit().status());
    const double from = seconds_now();
    BGL_TRY(lake->seal());
    return seconds_now() - from;
  };
  BGL_ASSIGN(const double seal_s, seal("new/1"));
  out.push_back({.name = "lake_rows_seal", .value = seal_s, .unit = "s, the manifest is written"});
  BGL_TRY(lake->close());
  lake.reset();
  BGL_ASSIGN(lake, Lake::open(made, dir, {.write = true}));
  const int64_t reads = made.reads().segments;
  BGL_ASSIGN(const storage::LakeStat before, lake->stat());
  BGL_ASSIGN(const double merge_s, seal("new/2"));
  BGL_ASSIGN(const storage::LakeStat after, lake->stat());
  std::printf("one group merged: %ld runs became %ld, %ld reads of segments\n", before.runs + 1, after.runs,
              made.reads().segments - reads);
  out.push_back({.name = "lake_rows_seal_and_merge", .value = merge_s, .unit = "s, two manifests or more"});
  BGL_ASSIGN(const std::string found, lake->get("new/2"));
  if (found != "bytes" || after.files != made.files() + 2) return make_status(Code::kInternal, "the merged lake lost files");
  out.push_back({.name = "lake_rows_peak_memory", .value = static_cast<double>(peak_bytes()) / (1 << 20), .unit = "MiB, the lake's maker too"});
  return lake->close();
}

}  // namespace

BenchResults bench_lake_scale(int64_t segments) {
  const std::string dir = scratch_folder("lake-scale");
  const double start = seconds_now();
  BGL_ASSIGN(const auto made, MadeLake::create(real_env(), dir, segments));
  const double made_s = seconds_now() - start;
  BGL_ASSIGN(const FileStat manifest, real_env().stat(join_path(dir, "MANIFEST")));
  std::printf("a manifest of %ld segments with %ld files in all, made in %.0f s; segments and names are made when read\n",
              made->segments(), made->files(), made_s);
  Results out;
  out.push_back({.name = "lake_rows_manifest",
                 .value = static_cast<double>(manifest.size) / static_cast<double>(made->segments()),
                 .unit = "bytes/segment"});
  const Status measured = [&]() -> Status {
    BGL_TRY(measure_reader(*made, dir, out));
    return measure_writer(*made, dir, out);
  }();
  BGL_TRY(real_env().remove_all(dir));
  BGL_TRY(measured);
  return out;
}

}  // namespace bgl::cli
