// bgl lake: its verbs and the small ones of them; lake_put.cc and lake_export.cc have the others.
#include "cli/lake.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/env.h"
#include "base/progress.h"
#include "cli/artefacts.h"
#include "cli/verbs.h"
#include "storage/lake/sampler.h"

namespace bgl::cli {

using storage::Lake;
using storage::LakeEntry;
using storage::LakeOptions;

Status write_stdout(std::string_view bytes) {
  if (std::fwrite(bytes.data(), 1, bytes.size(), stdout) == bytes.size()) return {};
  return errno_status(errno, "cannot write to stdout");
}

Result<std::unique_ptr<Lake>> open_to_read(const LakeArgs& args) {
  return Lake::open(real_env(), args.lake, LakeOptions{.snapshot = args.snapshot});
}

namespace {

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
                                    {"runs", s.runs},
                                    {"segment_files", s.segment_files},
                                    {"log_files", s.log_files},
                                    {"disk_bytes", s.disk_bytes},
                                    {"names_bytes", s.names_bytes},
                                    {"index_memory_bytes", s.index_memory_bytes},
                                    {"torn_bytes", s.torn_bytes}};
  if (args.json) return write_stdout(j.dump(2) + "\n");
  const double per_file =
      s.segment_files > 0 ? static_cast<double>(s.index_memory_bytes) / static_cast<double>(s.segment_files) : 0;
  const auto human = [](int64_t bytes) { return human_bytes(static_cast<double>(bytes)); };
  return write_stdout(fmt::format(
      "files     {} ({})\nsegments  {} in {} runs, with {} files\nlog       {} files\non disk   {}, of it names {}\n"
      "memory    {} for the index, {:.2f} bytes per file\n",
      s.files, human(s.bytes), s.segments, s.runs, s.segment_files, s.log_files, human(s.disk_bytes), human(s.names_bytes),
      human(s.index_memory_bytes), per_file));
}

Status run_verify(const LakeArgs& args) {
  Progress progress("bytes checked", 0);
  BGL_ASSIGN(const VerifyReport report,
             verify_lake(real_env(), args.lake, args.snapshot, [&progress](int64_t done, int64_t) { progress.update(done); }));
  progress.finish();
  return write_stdout(
      fmt::format("{} files ({}): every checksum holds\n", report.files, human_bytes(static_cast<double>(report.bytes))));
}

Status run_snapshot_keep(const LakeArgs& args) {
  BGL_ASSIGN(auto lake, Lake::open(real_env(), args.lake, {.write = true}));
  BGL_TRY(lake->snapshot(args.name));
  BGL_ASSIGN(const storage::LakeStat s, lake->stat());
  BGL_TRY(lake->close());
  return write_stdout(fmt::format("snapshot {}: {} files\n", args.name, s.files));
}

Status run_snapshot_ls(const LakeArgs& args) {
  BGL_ASSIGN(auto lake, open_to_read(args));
  BGL_ASSIGN(const auto snapshots, lake->snapshots());
  for (const storage::LakeSnapshot& s : snapshots) {
    BGL_TRY(write_stdout(fmt::format("{} {} files ({})\n", s.name, s.files, human_bytes(static_cast<double>(s.bytes)))));
  }
  return {};
}

Status run_snapshot_drop(const LakeArgs& args) {
  BGL_ASSIGN(auto lake, Lake::open(real_env(), args.lake, {.write = true}));
  BGL_TRY(lake->drop_snapshot(args.name));
  return lake->close();
}

Status run_compact(const LakeArgs& args) {
  BGL_ASSIGN(auto lake, Lake::open(real_env(), args.lake, {.write = true}));
  BGL_ASSIGN(const storage::LakeStat before, lake->stat());
  BGL_TRY(lake->compact(args.runs));
  BGL_ASSIGN(const storage::LakeStat after, lake->stat());
  BGL_TRY(lake->close());
  const auto human = [](int64_t bytes) { return human_bytes(static_cast<double>(bytes)); };
  return write_stdout(fmt::format("runs     {} became {}\non disk  {} became {}\n", before.runs, after.runs,
                                  human(before.disk_bytes), human(after.disk_bytes)));
}

// Removes in batches of names; a prefix is listed again for each, because removing shortens the list.
class Remover {
 public:
  explicit Remover(Lake& lake) : lake_(lake) {}
  Status add(const std::string& path) {
    BGL_TRY(lake_.remove(path));
    return ++batch_ < kBatch ? Status() : commit();
  }
  Status add_prefix(const std::string& prefix) {
    for (std::vector<std::string> paths(1); !paths.empty();) {
      paths.clear();
      const Status listed = lake_.ls_each(prefix, [&paths](const LakeEntry& entry) -> Status {
        if (paths.size() == kBatch) return make_status(Code::kResourceExhausted, "the batch is full");
        paths.push_back(entry.path);
        return {};
      });
      if (!listed.ok() && paths.size() < kBatch) return listed;
      for (const std::string& path : paths) BGL_TRY(lake_.remove(path));
      BGL_TRY(commit());
    }
    return {};
  }
  Status commit() {
    BGL_ASSIGN(const auto done, lake_.commit());
    removed_ += done.removed;
    missing_ += done.missing;
    batch_ = 0;
    return {};
  }
  int64_t removed() const { return removed_; }
  int64_t missing() const { return missing_; }

 private:
  static constexpr size_t kBatch = 50000;
  Lake& lake_;
  size_t batch_ = 0;
  int64_t removed_ = 0, missing_ = 0;
};

Status run_rm(const LakeArgs& args) {
  if (args.sources.empty() && args.prefix.empty() && args.files_from.empty()) {
    return invalid_argument("nothing to remove: name paths, or --prefix PREFIX, or --files-from FILE (\"-\": standard input)");
  }
  BGL_ASSIGN(auto lake, Lake::open(real_env(), args.lake, {.write = true}));
  Remover remover(*lake);
  for (const std::string& path : args.sources) BGL_TRY(remover.add(path));
  if (!args.files_from.empty()) {
    BGL_TRY(each_name(args.files_from, args.null_ends, [&remover](const std::string& path) { return remover.add(path); }));
  }
  BGL_TRY(remover.commit());
  if (!args.prefix.empty()) BGL_TRY(remover.add_prefix(args.prefix));
  BGL_TRY(lake->seal());
  BGL_TRY(lake->close());
  BGL_TRY(write_stdout(fmt::format("{} files removed\n", remover.removed())));
  if (remover.missing() == 0 || args.force) return {};
  return not_found("{} of the paths were not in the lake; with --force that is no failure", remover.missing());
}

Status run_sample(const LakeArgs& args) {
  BGL_ASSIGN(auto lake, open_to_read(args));
  BGL_ASSIGN(auto sampler, storage::LakeSampler::open(*lake, {.seed = static_cast<uint64_t>(args.seed)}));
  for (int64_t left = args.count; left > 0;) {
    BGL_ASSIGN(const auto files, sampler.next(std::min<int64_t>(left, 256)));
    if (files.empty()) return {};  // a lake without files
    for (const storage::LakeFile& file : files) {
      BGL_TRY(write_stdout(fmt::format("{:>12} {}", file.bytes.size(), file.path) + (args.null_ends ? '\0' : '\n')));
    }
    left -= static_cast<int64_t>(files.size());
  }
  return {};
}

// A verb of bgl lake.
struct LakeVerb {
  const char* name;
  const char* what;
  Status (*run)(const LakeArgs&);
  const char* example;
};

CLI::App* add_verb(CLI::App& parent, Status& status, const std::shared_ptr<LakeArgs>& args, const LakeVerb& verb) {
  CLI::App* sub = parent.add_subcommand(verb.name, verb.what);
  sub->add_option("LAKE", args->lake, "Folder of the lake")->required();
  sub->callback([args, run = verb.run, &status] { status = run(*args); });
  set_example(*sub, verb.example);
  return sub;
}

void add_names_option(CLI::App& verb, LakeArgs& args, const char* what) {
  verb.add_option("--files-from", args.files_from, what);
  verb.add_flag("-0,--null", args.null_ends, "Names end with a zero byte, for names that hold line ends");
}

void add_writers(CLI::App& lake, Status& status, const std::shared_ptr<LakeArgs>& args) {
  CLI::App* put =
      add_verb(lake, status, args,
               {"put", "Put files and folders; each line on stdout acknowledges what is safe on disk.", run_lake_put,
                "bgl lake put corpus.lake documents/\n  zcat pages.tar.gz | bgl lake put corpus.lake --tar -"});
  put->add_option("SOURCE", args->sources, "Files and folders; their lake paths begin with their own names");
  put->add_option("--tar", args->tar, "The files of this tar archive; \"-\": standard input");
  add_names_option(*put, *args, "The files and folders named in this file, under these names; \"-\": standard input");
  put->add_option("--batch-files", args->batch_files, "Files per commit at most")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000000));
  CLI::App* rm = add_verb(lake, status, args, {"rm", "Remove files.", run_rm, "bgl lake rm corpus.lake documents/a.html"});
  rm->add_option("PATH", args->sources, "Paths in the lake");
  rm->add_option("--prefix", args->prefix, "Every path that begins so");
  rm->add_flag("-f,--force", args->force, "A path that is not there is no failure");
  add_names_option(*rm, *args, "The paths in this file; \"-\": standard input");
  CLI::App* compact =
      add_verb(lake, status, args,
               {"compact", "Merge what lies in several places; give the room of what was replaced and removed back.",
                run_compact, "bgl lake compact corpus.lake"});
  compact->add_option("--runs", args->runs, "Places that may be left; more cost less to write, fewer less to read")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000));
}

void add_snapshot(CLI::App& lake, Status& status, const std::shared_ptr<LakeArgs>& args) {
  CLI::App* snapshot = lake.add_subcommand("snapshot", "Keep states of the lake under names, list and drop them.");
  snapshot->require_subcommand(1);
  set_example(*snapshot, "bgl lake snapshot keep corpus.lake 2024-05-01");
  CLI::App* keep = add_verb(
      *snapshot, status, args,
      {"keep", "Keep today's state under a name.", run_snapshot_keep, "bgl lake snapshot keep corpus.lake 2024-05-01"});
  CLI::App* drop = add_verb(
      *snapshot, status, args,
      {"drop", "Forget a state and give its room back.", run_snapshot_drop, "bgl lake snapshot drop corpus.lake 2024-05-01"});
  for (CLI::App* verb : {keep, drop}) verb->add_option("NAME", args->name, "Letters, digits, \".\", \"_\", \"-\"")->required();
  add_verb(*snapshot, status, args, {"ls", "List the states kept.", run_snapshot_ls, "bgl lake snapshot ls corpus.lake"});
}

void add_readers(CLI::App& lake, Status& status, const std::shared_ptr<LakeArgs>& args) {
  CLI::App* get =
      add_verb(lake, status, args,
               {"get", "Write one file's bytes to stdout.", run_get, "bgl lake get corpus.lake documents/a.html > a.html"});
  get->add_option("PATH", args->path, "The file's path in the lake")->required();
  CLI::App* to = add_verb(lake, status, args,
                          {"export", "Write files as a tar archive or into a folder.", run_lake_export,
                           "bgl lake export corpus.lake --tar - | tar tf -"});
  to->add_option("--tar", args->tar, "This tar archive; \"-\": standard output");
  to->add_option("--to", args->folder, "This new or empty folder");
  to->add_option("--prefix", args->prefix, "Only paths that begin so");
  add_names_option(*to, *args, "Only the paths in this file; \"-\": standard input");
  CLI::App* ls =
      add_verb(lake, status, args, {"ls", "List paths, sorted by bytes.", run_ls, "bgl lake ls corpus.lake documents/2024"});
  ls->add_option("PREFIX", args->prefix, "Only paths that begin so");
  ls->add_flag("-l,--long", args->long_lines, "With XXH3-128 of the content and size");
  ls->add_flag("-0,--null", args->null_ends, "End each line with a zero byte, for names that hold line ends");
  CLI::App* sample = add_verb(lake, status, args,
                              {"sample", "List files in a random order, reading them as a training loader does.",
                               run_sample, "bgl lake sample corpus.lake --count 20 --seed 7"});
  sample->add_option("--count", args->count, "Files; more than the lake has begin it again in another order")->capture_default_str()->check(CLI::Range(int64_t{1}, int64_t{1} << 40));
  sample->add_option("--seed", args->seed, "Of the order")->capture_default_str();
  sample->add_flag("-0,--null", args->null_ends, "End each line with a zero byte");
  CLI::App* stat = add_verb(lake, status, args,
                            {"stat", "Show how many files and bytes there are.", run_stat, "bgl lake stat corpus.lake --json"});
  stat->add_flag("--json", args->json, "As JSON");
  CLI::App* verify = add_verb(
      lake, status, args, {"verify", "Read everything and check every checksum.", run_verify, "bgl lake verify corpus.lake"});
  for (CLI::App* reader : {get, to, ls, sample, stat, verify}) {
    reader->add_option("--snapshot", args->snapshot, "Read the lake as it was at this snapshot");
  }
}

}  // namespace

void add_lake(CLI::App& app, Status& status) {
  CLI::App* lake = app.add_subcommand("lake", "Keep very many small files in one place: put, get, list, check them.");
  lake->require_subcommand(1);
  set_example(*lake, "bgl lake put corpus.lake documents/ && bgl lake ls corpus.lake");
  auto args = std::make_shared<LakeArgs>();
  add_writers(*lake, status, args);
  add_readers(*lake, status, args);
  add_snapshot(*lake, status, args);
}

}  // namespace bgl::cli
