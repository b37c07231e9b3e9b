#include "prep/run.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>

#include "base/threads.h"
#include "prep/clean.h"
#include "prep/internal/output_folder.h"
#include "prep/internal/samples.h"
#include "prep/internal/unit.h"
#include "text/files/packed_writer.h"

namespace bgl::prep {
namespace {

using Json = nlohmann::ordered_json;
constexpr const char* kRunVersion = "run 2";

const char* rule_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::kExactDuplicate:
      return "exact_duplicate";
    case Verdict::kNearDuplicate:
      return "near_duplicate";
    case Verdict::kLikeHeldout:
      return "near_duplicate_of_heldout";
    case Verdict::kTrain:
    case Verdict::kHeldout:
      break;
  }
  return "";
}

bool is_kept(Verdict verdict) { return verdict == Verdict::kTrain || verdict == Verdict::kHeldout; }

std::string json_line(const Json& object) { return object.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n"; }

struct Count {
  int64_t documents = 0, bytes = 0;
  void add(int64_t n) { ++documents, bytes += n; }
  void add(const Count& o) { documents += o.documents, bytes += o.bytes; }
};
struct Tally {
  Count in, train, heldout;
  std::set<std::string> licences;
  std::map<std::string, int64_t> drops, masked;

  void add(const Tally& o) {
    in.add(o.in), train.add(o.train), heldout.add(o.heldout);
    licences.insert(o.licences.begin(), o.licences.end());
    for (const auto& [rule, n] : o.drops) drops[rule] += n;
    for (const auto& [kind, n] : o.masked) masked[kind] += n;
  }
};

class Run {
 public:
  Run(Env& env, const PrepConfig& config, const RunOptions& options)
      : env_(env), config_(config), options_(options), work_(join_path(options.out, "units")) {}

  // The spine.
  Result<RunReport> all() {
    BGL_ASSIGN(const std::unique_ptr<FileSource> files, open_files(env_, options_.in));
    BGL_ASSIGN(const std::unique_ptr<FileLock> lock,
               take_output_folder(env_, options_.out, read_clean_index(env_, options_.out).ok(),
                                  {"units", "documents", "drops", "samples.json", "config.toml", "summary.json", "samples.json.tmp", "config.toml.tmp", "summary.json.tmp"}));
    for (const char* folder : {"units", "documents", "drops"}) BGL_TRY(env_.make_dirs_synced(join_path(options_.out, folder)));
    BGL_ASSIGN(const std::vector<FileEntry> entries, files->list());
    BGL_ASSIGN(const Evaluations evaluations, Evaluations::load(env_, config_.decontaminate));
    BGL_ASSIGN(units_, plan_units(config_, evaluations, entries));
    report_.units = static_cast<int64_t>(units_.size());
    BGL_ASSIGN(const bool done, is_done());
    if (done) return report_;
    BGL_TRY(make_units({env_, work_, config_, evaluations, *files}));
    BGL_TRY(judge());
    BGL_TRY(write_documents());
    BGL_TRY(remove_stale());
    BGL_TRY(write_samples());
    BGL_TRY(write_summary());
    return report_;
  }

 private:
  // Names the whole result: the units and what happens to them afterwards.
  std::string run_key() const {
    std::string made_of = fmt::format("{}\nheldout {} exact {}\n", kRunVersion, config_.heldout_share, config_.dedup.exact);
    for (const SourceConfig& s : config_.sources) made_of += fmt::format("{} {} {}\n", s.name, s.domain, s.licence);
    for (const Unit& unit : units_) made_of += fmt::format("{} {}\n", unit.source, unit.key);
    return hash128_hex(made_of);
  }

  Result<bool> is_done() {
    const std::string path = join_path(options_.out, "summary.json");
    if (!env_.exists(path)) return false;
    BGL_ASSIGN(const std::string bytes, env_.read_file(path));
    const Json summary = Json::parse(bytes, nullptr, false);
    if (!summary.is_object() || summary.value("key", "") != run_key()) return false;
    bool whole = true;
    for (const Json& file : summary.value("files", Json::array())) {
      for (const char* name : {"file", "drops"}) {
        if (!file.contains(name)) continue;
        const std::string of = join_path(options_.out, file.value(name, ""));
        const Result<FileStat> info = env_.stat(of);
        if (info.ok() && info->size == file.value(std::string(name) + "_bytes", info->size)) continue;
        // What is not whole goes, so that it is written anew; the documents too, whose presence says that both are there.
        whole = false;
        for (const char* both : {"file", "drops"}) {
          if (file.contains(both)) BGL_TRY(remove_if_there(join_path(options_.out, file.value(both, ""))));
        }
      }
    }
    if (!whole) return false;
    report_.nothing_to_do = true;
    report_.documents_in = summary["total"].value("documents_in", int64_t{0});
    report_.documents_kept = summary["total"].value("documents_kept", int64_t{0});
    report_.bytes_kept = summary["total"].value("bytes_kept", int64_t{0});
    return true;
  }

  Status remove_if_there(const std::string& path) { return env_.exists(path) ? env_.remove(path) : Status(); }

  // Runs fn(unit index) on all threads; the failure of the smallest index is returned.
  Status for_each_unit(const std::function<Status(size_t)>& fn, bool show) {
    std::vector<Status> results(units_.size());
    std::atomic<bool> failed{false};
    std::mutex mutex;
    int64_t done = 0;
    thread_pool().parallel_for(static_cast<int64_t>(units_.size()), 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        if (failed.load()) return;
        Status& result = results[static_cast<size_t>(i)];
        result = fn(static_cast<size_t>(i));
        if (!result.ok()) failed = true;
        const std::lock_guard guard(mutex);
        ++done;
        if (show && options_.progress) options_.progress(done, static_cast<int64_t>(units_.size()));
      }
    });
    for (const Status& result : results) BGL_TRY(result);
    return {};
  }

  Status make_units(const Workshop& shop) {
    std::atomic<int64_t> made{0};
    // Sources that match the same files with the same settings share units: one of them makes it.
    std::set<std::string_view> keys;
    std::vector<bool> first(units_.size());
    for (size_t i = 0; i < units_.size(); ++i) first[i] = keys.insert(units_[i].key).second;
    BGL_TRY(for_each_unit(
        [&](size_t i) -> Status {
          if (!first[i] || env_.exists(join_path(work_, units_[i].key + ".sig"))) return {};
          ++made;
          return make_unit(shop, units_[i]);
        },
        true));
    report_.units_made = made;
    return {};
  }

  Status judge() {
    std::map<std::string, uint32_t> domains;
    std::vector<uint32_t> domain_of;  // by source
    for (const SourceConfig& source : config_.sources) {
      domain_of.push_back(domains.try_emplace(source.domain, static_cast<uint32_t>(domains.size())).first->second);
    }
    size_t count = 0;
    for (const Unit& unit : units_) {
      BGL_ASSIGN(const UnitSignatures signatures, UnitSignatures::open(env_, work_, unit));
      first_.push_back(count);
      count += signatures.size();
    }
    first_.push_back(count);
    const EachItem each = [&](const std::function<void(const DedupItem&)>& fn) -> Status {
      for (const Unit& unit : units_) {
        BGL_ASSIGN(const UnitSignatures signatures, UnitSignatures::open(env_, work_, unit));
        for (size_t i = 0; i < signatures.size(); ++i) fn({signatures.exact(i), signatures.bands(i), domain_of[unit.source]});
      }
      return {};
    };
    BGL_ASSIGN(verdicts_, judge_duplicates(each, config_.dedup,
                                           {static_cast<int64_t>(count), config_.heldout_share, config_.memory_mb << 20}));
    return {};
  }

  std::span<const Verdict> verdicts_of(size_t u) const {
    return std::span(verdicts_).subspan(first_[u], first_[u + 1] - first_[u]);
  }

  // Everything that decides what the files of a unit's documents and drops hold.
  std::string output_name(size_t u) const {
    const SourceConfig& source = config_.sources[units_[u].source];
    const std::span<const Verdict> verdicts = verdicts_of(u);
    const std::string_view fates(reinterpret_cast<const char*>(verdicts.data()), verdicts.size());
    const std::string made_of = fmt::format("{}\n{}\n{}\n{}\n{}\n{}\n", kRunVersion, units_[u].key, source.name, source.domain,
                                            source.licence, hash128_hex(fates));
    return fmt::format("{}-{}.jsonl.zst", source.name, hash128_hex(made_of).substr(0, 16));
  }

  Tally tally_unit(size_t u, const UnitSignatures& signatures) const {
    const UnitCounts& counts = signatures.counts();
    Tally out;
    out.in = {counts.documents_in, counts.bytes_in};
    out.licences.insert(config_.sources[units_[u].source].licence);
    out.drops = counts.drops;
    out.masked = counts.masked;
    const std::span<const Verdict> verdicts = verdicts_of(u);
    for (size_t i = 0; i < verdicts.size(); ++i) {
      if (is_kept(verdicts[i])) {
        (verdicts[i] == Verdict::kHeldout ? out.heldout : out.train).add(signatures.text_bytes(i));
      } else {
        ++out.drops[rule_of(verdicts[i])];
      }
    }
    return out;
  }

  // A unit's documents, whose lines get what the source says in front.
  Status write_unit(size_t u, const std::string& name) {
    const Unit& unit = units_[u];
    const SourceConfig& source = config_.sources[unit.source];
    const std::string head = Json{{"domain", source.domain}, {"source", source.name}}.dump();
    const std::string open = head.substr(0, head.size() - 1) + ",", licence = Json(source.licence).dump();
    const std::string train = fmt::format("{}\"split\":\"train\",\"licence\":{},", open, licence);
    const std::string heldout = fmt::format("{}\"split\":\"heldout\",\"licence\":{},", open, licence);
    BGL_ASSIGN(text::PackedWriter documents, text::PackedWriter::create(env_, join_path(options_.out, "documents/" + name)));
    BGL_ASSIGN(text::PackedWriter drops, text::PackedWriter::create(env_, join_path(options_.out, "drops/" + name)));
    const auto add = [](text::PackedWriter& to, const std::string& front, std::string_view line) -> Status {
      BGL_TRY(to.append(front));
      BGL_TRY(to.append(line.substr(1)));
      return to.append("\n");
    };
    BGL_TRY(each_unit_drop(env_, work_, unit, [&](std::string_view line) { return add(drops, open, line); }));
    const std::span<const Verdict> verdicts = verdicts_of(u);
    size_t i = 0;
    BGL_TRY(each_unit_document(env_, work_, unit, [&](std::string_view line) -> Status {
      if (i >= verdicts.size()) return wrong_count(unit);
      const Verdict verdict = verdicts[i++];
      if (is_kept(verdict)) return add(documents, verdict == Verdict::kHeldout ? heldout : train, line);
      const nlohmann::json document = nlohmann::json::parse(line, nullptr, false);
      std::string drop = json_line({{"id", document.value("id", "")}, {"rule", rule_of(verdict)}, {"value", 1}});
      drop.pop_back();  // add() ends the line
      return add(drops, open, drop);
    }));
    if (i != verdicts.size()) return wrong_count(unit);
    BGL_TRY(drops.finish());
    return documents.finish();
  }

  Status wrong_count(const Unit& unit) const {
    return data_loss("{}: the documents of unit {} are not those of its signatures; remove it and run again", work_, unit.key);
  }

  Status write_documents() {
    std::vector<Tally> tallies(units_.size());
    std::vector<std::string> names(units_.size());
    BGL_TRY(for_each_unit(
        [&](size_t u) -> Status {
          names[u] = output_name(u);
          BGL_ASSIGN(const UnitSignatures signatures, UnitSignatures::open(env_, work_, units_[u]));
          tallies[u] = tally_unit(u, signatures);
          // The documents are written last, so that their presence says that both files are whole.
          return env_.exists(join_path(options_.out, "documents/" + names[u])) ? Status() : write_unit(u, names[u]);
        },
        false));
    for (size_t u = 0; u < units_.size(); ++u) {
      const SourceConfig& source = config_.sources[units_[u].source];
      by_source_[source.name].add(tallies[u]);
      by_domain_[source.domain].add(tallies[u]);
      const std::string file = "documents/" + names[u], drops = "drops/" + names[u];
      BGL_ASSIGN(const FileStat file_info, env_.stat(join_path(options_.out, file)));
      BGL_ASSIGN(const FileStat drops_info, env_.stat(join_path(options_.out, drops)));
      files_.push_back({{"file", file},
                        {"drops", drops},
                        {"file_bytes", file_info.size},
                        {"drops_bytes", drops_info.size},
                        {"source", source.name},
                        {"unit", units_[u].key},
                        {"train_documents", tallies[u].train.documents},
                        {"heldout_documents", tallies[u].heldout.documents}});
      kept_files_.insert(names[u]);
    }
    return {};
  }

  // Of every source and rule, and of the documents that are kept, those of the smallest hash.
  Status write_samples() {
    constexpr size_t kSamples = 8;
    std::vector<Samples> by_source(config_.sources.size(), Samples(kSamples));
    for (size_t u = 0; u < units_.size(); ++u) {
      BGL_ASSIGN(std::vector<Sample> samples, read_unit_samples(env_, work_, units_[u]));
      for (Sample& s : samples) {
        if (s.number >= 0 && s.number < static_cast<int64_t>(verdicts_of(u).size())) {
          s.rule = rule_of(verdicts_of(u)[static_cast<size_t>(s.number)]);
        }
        const std::string rule = s.rule;
        by_source[units_[u].source].add(rule, std::move(s));
      }
    }
    Json out = Json::array();
    for (size_t i = 0; i < by_source.size(); ++i) {
      for (const auto& [rule, list] : by_source[i].kinds()) {
        Json documents = Json::array();
        for (const Sample& s : list) {
          documents.push_back(
              {{"id", s.id}, {"value", Json::parse(s.value, nullptr, false)}, {"title", s.title}, {"text", s.text}});
        }
        out.push_back({{"source", config_.sources[i].name}, {"rule", rule}, {"documents", documents}});
      }
    }
    return env_.write_file_atomic(join_path(options_.out, "samples.json"), json_line(out));
  }

  // Whether output_name() gives such names, or a writer of them that was stopped.
  static bool is_output_name(std::string_view name) {
    if (name.ends_with(".tmp")) name.remove_suffix(4);
    constexpr std::string_view kSuffix = ".jsonl.zst";
    if (name.size() < kSuffix.size() + 17 || !name.ends_with(kSuffix)) return false;
    name.remove_suffix(kSuffix.size());
    const std::string_view hash = name.substr(name.size() - 16);
    return name[name.size() - 17] == '-' && hash.find_first_not_of("0123456789abcdef") == std::string_view::npos;
  }

  // Documents of an earlier configuration must not be taken for this one's.
  Status remove_stale() {
    for (const char* folder : {"documents", "drops"}) {
      const std::string dir = join_path(options_.out, folder);
      BGL_ASSIGN(const std::vector<DirEntry> entries, env_.list_dir(dir));
      for (const DirEntry& entry : entries) {
        if (!entry.is_dir && is_output_name(entry.name) && kept_files_.count(entry.name) == 0) BGL_TRY(env_.remove(join_path(dir, entry.name)));
      }
    }
    return {};
  }

  static Json tally_json(const Tally& t) {
    Json out;
    out["licences"] = t.licences;
    out["documents_in"] = t.in.documents;
    out["bytes_in"] = t.in.bytes;
    out["documents_kept"] = t.train.documents + t.heldout.documents;
    out["bytes_kept"] = t.train.bytes + t.heldout.bytes;
    out["train_documents"] = t.train.documents;
    out["train_bytes"] = t.train.bytes;
    out["heldout_documents"] = t.heldout.documents;
    out["heldout_bytes"] = t.heldout.bytes;
    out["drops"] = t.drops;
    out["masked"] = t.masked;
    return out;
  }

  Status write_summary() {
    Tally total;
    Json domains = Json::object(), sources = Json::object();
    for (const auto& [name, t] : by_domain_) {
      domains[name] = tally_json(t);
      total.add(t);
    }
    for (const SourceConfig& source : config_.sources) {
      Json row = {{"domain", source.domain}};
      row.update(tally_json(by_source_[source.name]));
      sources[source.name] = std::move(row);
    }
    report_.documents_in = total.in.documents;
    report_.documents_kept = total.train.documents + total.heldout.documents;
    report_.bytes_kept = total.train.bytes + total.heldout.bytes;
    const Json summary = {{"version", 2},       {"key", run_key()},   {"total", tally_json(total)},
                          {"domains", domains}, {"sources", sources}, {"files", files_}};
    BGL_TRY(env_.write_file_atomic(join_path(options_.out, "config.toml"), config_.resolved));
    return env_.write_file_atomic(join_path(options_.out, "summary.json"), summary.dump(1) + "\n");
  }

  Env& env_;
  const PrepConfig& config_;
  const RunOptions& options_;
  const std::string work_;
  RunReport report_;
  std::vector<Unit> units_;
  std::vector<size_t> first_;  // of each unit's documents among all, and their number at the end
  std::vector<Verdict> verdicts_;
  std::map<std::string, Tally> by_source_, by_domain_;
  Json files_ = Json::array();
  std::set<std::string> kept_files_;
};

}  // namespace

Result<RunReport> run(Env& env, const PrepConfig& config, const RunOptions& options) { return Run(env, config, options).all(); }

}  // namespace bgl::prep
