// bgl lake: put files into a lake, look at it, check it.
#include "storage/lake/lake.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/env.h"
#include "base/log.h"
#include "base/progress.h"
#include "cli/verbs.h"

namespace bgl::cli {
namespace {

using storage::Lake;
using storage::LakeEntry;
using storage::LakeOptions;

struct LakeArgs {
  std::string lake;
  std::vector<std::string> sources;
  std::string path;
  std::string prefix;
  std::string name;
  std::string snapshot;
  int64_t batch_files = 1024;
  bool json = false;
  bool long_lines = false;
  bool null_ends = false;
};

constexpr int64_t kBatchBytes = 8 << 20;
constexpr int64_t kBatchNs = 1'000'000'000;

Status write_stdout(std::string_view bytes) {
  if (std::fwrite(bytes.data(), 1, bytes.size(), stdout) == bytes.size()) return {};
  return errno_status(errno, "cannot write to stdout");
}

// Puts files in batches. The line printed after a commit is the acknowledgement: what it counts survives a kill and a power
// cut.
class Putter {
 public:
  Putter(Lake& lake, int64_t batch_files) : lake_(lake), batch_files_(batch_files), progress_("files put", 0) {}

  // A file, or a folder with all below it, under the lake path `name`.
  Status put_tree(const std::string& path, const std::string& name) {
    Env& env = real_env();
    BGL_ASSIGN(const FileStat info, env.stat(path));
    if (info.is_file) return put_file(path, name);
    if (!info.is_dir) {
      log_warn("{} is neither file nor folder: left out", path);
      return {};
    }
    BGL_ASSIGN(const auto entries, env.list_dir(path));
    for (const DirEntry& entry : entries) {
      const std::string below = join_path(path, entry.name);
      const std::string below_name = name.empty() ? entry.name : name + "/" + entry.name;
      const auto what = env.stat(below);
      const bool loop = what.ok() && what.value().is_dir && !entry.is_dir;
      if (!what.ok() || loop) {
        log_warn("{} is a link to {}: left out", below, loop ? "a folder" : "nothing");
        continue;
      }
      BGL_TRY(put_tree(below, below_name));
    }
    return {};
  }

  Status commit() {
    if (batch_ == 0) return {};
    BGL_ASSIGN(const auto done, lake_.commit());
    files_ += batch_;
    added_ += done.added;
    replaced_ += done.replaced;
    unchanged_ += done.unchanged;
    const std::string unchanged = done.unchanged > 0 ? fmt::format("; {} were there already", done.unchanged) : "";
    BGL_TRY(write_stdout(fmt::format("committed {} files ({}), {} in all{}\n", batch_,
                                     human_bytes(static_cast<double>(batch_bytes_)), files_, unchanged)));
    std::fflush(stdout);
    batch_ = batch_bytes_ = 0;
    return {};
  }

  Status finish() {
    BGL_TRY(commit());
    progress_.finish(human_bytes(static_cast<double>(bytes_)));
    return write_stdout(fmt::format("{} files: {} added, {} replaced, {} unchanged\n", files_, added_, replaced_, unchanged_));
  }

 private:
  Status put_file(const std::string& path, const std::string& name) {
    BGL_ASSIGN(const std::string bytes, real_env().read_file(path));
    BGL_TRY(lake_.put(name, bytes));
    if (batch_ == 0) batch_start_ns_ = real_env().now_ns();
    ++batch_;
    batch_bytes_ += static_cast<int64_t>(bytes.size());
    bytes_ += static_cast<int64_t>(bytes.size());
    progress_.update(files_ + batch_, human_bytes(static_cast<double>(bytes_)));
    const bool full = batch_ >= batch_files_ || batch_bytes_ >= kBatchBytes;
    return full || real_env().now_ns() - batch_start_ns_ > kBatchNs ? commit() : Status();
  }

  Lake& lake_;
  int64_t batch_files_;
  Progress progress_;
  int64_t batch_ = 0, batch_bytes_ = 0, batch_start_ns_ = 0;
  int64_t files_ = 0, bytes_ = 0, added_ = 0, replaced_ = 0, unchanged_ = 0;
};

Status run_put(const LakeArgs& args) {
  BGL_ASSIGN(auto lake, Lake::open(real_env(), args.lake, {.write = true, .create = true}));
  Putter putter(*lake, args.batch_files);
  for (const std::string& source : args.sources) {
    // "." and ".." have no name of their own: what is in them goes to the top of the lake.
    const std::string name = base_name(source);
    BGL_TRY(putter.put_tree(source, name == "." || name == ".." || name == "/" ? "" : name));
  }
  BGL_TRY(putter.finish());
  // A log's damaged end looks like a torn one; a segment's is damage. So nothing is left in the log after an orderly end.
  BGL_TRY(lake->seal());
  return lake->close();
}

Result<std::unique_ptr<Lake>> open_to_read(const LakeArgs& args) {
  return Lake::open(real_env(), args.lake, LakeOptions{.snapshot = args.snapshot});
}

Status run_get(const LakeArgs& args) {
  BGL_ASSIGN(auto lake, open_to_read(args));
  BGL_ASSIGN(const std::string bytes, lake->get(args.path));
  return write_stdout(bytes);
}

Status run_ls(const LakeArgs& args) {
  BGL_ASSIGN(auto lake, open_to_read(args));
  return lake->ls_each(args.prefix, [&args](const LakeEntry& entry) {
    const std::string details = args.long_lines ? fmt::format("{} {:>12} ", entry.hash, entry.bytes) : "";
    return write_stdout(details + entry.path + (args.null_ends ? '\0' : '\n'));
  });
}

Status run_stat(const LakeArgs& args) {
  BGL_ASSIGN(auto lake, open_to_read(args));
  BGL_ASSIGN(const storage::LakeStat s, lake->stat());
  const nlohmann::ordered_json j = {{"files", s.files},
                                    {"bytes", s.bytes},
                                    {"segments", s.segments},
                                    {"segment_files", s.segment_files},
                                    {"log_files", s.log_files},
                                    {"disk_bytes", s.disk_bytes},
                                    {"names_bytes", s.names_bytes},
                                    {"index_memory_bytes", s.index_memory_bytes}};
  if (args.json) return write_stdout(j.dump(2) + "\n");
  const double per_file =
      s.segment_files > 0 ? static_cast<double>(s.index_memory_bytes) / static_cast<double>(s.segment_files) : 0;
  const auto human = [](int64_t bytes) { return human_bytes(static_cast<double>(bytes)); };
  return write_stdout(
      fmt::format("files     {} ({})\nsegments  {} with {} files\nlog       {} files\non disk   {}, of it names {}\n"
                  "memory    {} for the index, {:.2f} bytes per file\n",
                  s.files, human(s.bytes), s.segments, s.segment_files, s.log_files, human(s.disk_bytes), human(s.names_bytes),
                  human(s.index_memory_bytes), per_file));
}

Status run_verify(const LakeArgs& args) {
  BGL_ASSIGN(auto lake, open_to_read(args));
  BGL_ASSIGN(const storage::LakeStat s, lake->stat());
  Progress progress("bytes checked", s.disk_bytes);
  BGL_TRY(lake->verify([&progress](int64_t done, int64_t) { progress.update(done); }));
  progress.finish();
  return write_stdout(fmt::format("{} files ({}): every checksum holds\n", s.files, human_bytes(static_cast<double>(s.bytes))));
}

Status run_snapshot(const LakeArgs& args) {
  BGL_ASSIGN(auto lake, Lake::open(real_env(), args.lake, {.write = true}));
  BGL_TRY(lake->snapshot(args.name));
  BGL_ASSIGN(const storage::LakeStat s, lake->stat());
  BGL_TRY(lake->close());
  return write_stdout(fmt::format("snapshot {}: {} files\n", args.name, s.files));
}

}  // namespace

void add_lake(CLI::App& app, Status& status) {
  CLI::App* lake = app.add_subcommand("lake", "Keep very many small files in one place: put, get, list, check them.");
  lake->require_subcommand(1);
  set_example(*lake, "bgl lake put corpus.lake documents/ && bgl lake ls corpus.lake");
  auto args = std::make_shared<LakeArgs>();
  const auto verb = [&](const char* name, const char* what, Status (*run)(const LakeArgs&), const char* example) {
    CLI::App* sub = lake->add_subcommand(name, what);
    sub->add_option("LAKE", args->lake, "Folder of the lake")->required();
    sub->callback([args, run, &status] { status = run(*args); });
    set_example(*sub, example);
    return sub;
  };
  CLI::App* put = verb("put", "Put files and folders; each line on stdout acknowledges what is safe on disk.", run_put,
                       "bgl lake put corpus.lake documents/");
  put->add_option("SOURCE", args->sources, "Files and folders; their lake paths begin with their own names")->required();
  put->add_option("--batch-files", args->batch_files, "Files per commit at most")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000000));
  CLI::App* get =
      verb("get", "Write one file's bytes to stdout.", run_get, "bgl lake get corpus.lake documents/a.html > a.html");
  get->add_option("PATH", args->path, "The file's path in the lake")->required();
  CLI::App* ls = verb("ls", "List paths, sorted by bytes.", run_ls, "bgl lake ls corpus.lake documents/2024");
  ls->add_option("PREFIX", args->prefix, "Only paths that begin so");
  ls->add_flag("-l,--long", args->long_lines, "With XXH3-128 of the content and size");
  ls->add_flag("-0,--null", args->null_ends, "End each line with a zero byte, for names that hold line ends");
  CLI::App* stat = verb("stat", "Show how many files and bytes there are.", run_stat, "bgl lake stat corpus.lake --json");
  stat->add_flag("--json", args->json, "As JSON");
  CLI::App* verify = verb("verify", "Read everything and check every checksum.", run_verify, "bgl lake verify corpus.lake");
  CLI::App* snapshot =
      verb("snapshot", "Keep today's state under a name.", run_snapshot, "bgl lake snapshot corpus.lake 2024-05-01");
  snapshot->add_option("NAME", args->name, "Letters, digits, \".\", \"_\", \"-\"")->required();
  for (CLI::App* reader : {get, ls, stat, verify}) {
    reader->add_option("--snapshot", args->snapshot, "Read the lake as it was at this snapshot");
  }
}

}  // namespace bgl::cli
