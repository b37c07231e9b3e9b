#include "prep/run.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>

#include "base/threads.h"
#include "prep/internal/unit.h"
#include "text/decompress.h"

namespace bgl::prep {
namespace {

using Json = nlohmann::ordered_json;
constexpr const char* kRunVersion = "run 1";

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

std::string json_line(const Json& object) { return object.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n"; }

struct Count {
  int64_t documents = 0, bytes = 0;
  void add(int64_t n) { ++documents, bytes += n; }
};
struct Tally {
  Count in, train, heldout;
  std::set<std::string> licences;
  std::map<std::string, int64_t> drops;
};

class Run {
 public:
  Run(Env& env, const PrepConfig& config, const RunOptions& options)
      : env_(env), config_(config), options_(options), work_(join_path(options.out, "units")) {}

  // The spine.
  Result<RunReport> all() {
    BGL_ASSIGN(const std::unique_ptr<FileSource> files, open_files(env_, options_.in));
    BGL_TRY(env_.make_dirs(work_));
    BGL_TRY(env_.make_dirs(join_path(options_.out, "documents")));
    BGL_ASSIGN(const std::unique_ptr<FileLock> lock, take_lock());
    BGL_ASSIGN(const std::vector<FileEntry> entries, files->list());
    BGL_ASSIGN(units_, plan_units(config_, entries));
    report_.units = static_cast<int64_t>(units_.size());
    BGL_ASSIGN(const bool done, is_done());
    if (done) return report_;
    BGL_TRY(make_units(*files));
    BGL_TRY(judge());
    BGL_TRY(write_documents());
    BGL_TRY(remove_stale());
    BGL_TRY(write_summary());
    return report_;
  }

 private:
  Result<std::unique_ptr<FileLock>> take_lock() {
    Result<std::unique_ptr<FileLock>> lock = env_.lock_file(join_path(options_.out, "LOCK"), lock_holder_text(env_));
    if (!lock.ok() && lock.status().code() == Code::kAlreadyExists) {
      return make_status(Code::kAlreadyExists, "{} is being written by {}", options_.out, lock.status().message());
    }
    return lock;
  }

  // Names the whole result: the units and what happens to them afterwards.
  std::string run_key() const {
    std::string made_of = fmt::format("{}\nheldout {} exact {}\n", kRunVersion, config_.heldout_share, config_.dedup.exact);
    for (const SourceConfig& s : config_.sources) made_of += fmt::format("{} {} {}\n", s.name, s.domain, s.licence);
    for (const Unit& unit : units_) made_of += fmt::format("{} {} {}\n", unit.source, unit.number, unit.key);
    return hash128_hex(made_of);
  }

  Result<bool> is_done() {
    const std::string path = join_path(options_.out, "summary.json");
    if (!env_.exists(path)) return false;
    BGL_ASSIGN(const std::string bytes, env_.read_file(path));
    const Json summary = Json::parse(bytes, nullptr, false);
    if (!summary.is_object() || summary.value("key", "") != run_key()) return false;
    for (const Json& file : summary.value("files", Json::array())) {
      if (!env_.exists(join_path(options_.out, file.value("file", "")))) return false;
    }
    report_.nothing_to_do = true;
    report_.documents_in = summary["total"].value("documents_in", int64_t{0});
    report_.documents_kept = summary["total"].value("documents_kept", int64_t{0});
    report_.bytes_kept = summary["total"].value("bytes_kept", int64_t{0});
    return true;
  }

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

  Status make_units(FileSource& files) {
    std::atomic<int64_t> made{0};
    BGL_TRY(for_each_unit(
        [&](size_t i) -> Status {
          if (env_.exists(join_path(work_, units_[i].key + ".sig"))) return {};
          ++made;
          return make_unit(env_, work_, config_, units_[i], files);
        },
        true));
    report_.units_made = made;
    return {};
  }

  Status judge() {
    std::map<std::string, uint32_t> domains;
    std::vector<DedupItem> items;
    for (const Unit& unit : units_) {
      BGL_ASSIGN(UnitSummary summary, read_unit_summary(env_, work_, unit));
      const SourceConfig& source = config_.sources[unit.source];
      const uint32_t domain = domains.try_emplace(source.domain, static_cast<uint32_t>(domains.size())).first->second;
      first_.push_back(items.size());
      for (Signature& signature : summary.signatures) items.push_back({std::move(signature), domain});
      for (Tally* tally : {&by_source_[source.name], &by_domain_[source.domain]}) {
        tally->in.documents += summary.documents_in;
        tally->in.bytes += summary.bytes_in;
        tally->licences.insert(source.licence);
      }
    }
    first_.push_back(items.size());
    verdicts_ = judge_duplicates(items, config_.dedup, config_.heldout_share);
    return {};
  }

  std::string output_name(const Unit& unit) const {
    return fmt::format("documents/{}-{:05}.jsonl.zst", config_.sources[unit.source].name, unit.number);
  }

  struct Output {
    std::string drops;
    std::map<std::string, int64_t> dropped;
    Count train, heldout;
  };

  Status write_unit(size_t u, Output& out) {
    const Unit& unit = units_[u];
    const SourceConfig& source = config_.sources[unit.source];
    const auto drop = [&](const std::string& id, const std::string& rule, const Json& value) {
      out.drops +=
          json_line({{"id", id}, {"domain", source.domain}, {"source", source.name}, {"rule", rule}, {"value", value}});
      ++out.dropped[rule];
    };
    BGL_ASSIGN(const std::vector<UnitDrop> drops, read_unit_drops(env_, work_, unit));
    for (const UnitDrop& d : drops) drop(d.id, d.rule, Json::parse(d.value, nullptr, false));
    BGL_ASSIGN(const std::vector<UnitDocument> documents, read_unit_documents(env_, work_, unit));
    if (documents.size() != first_[u + 1] - first_[u]) {
      return data_loss("{}: unit {} holds {} documents, but its summary says {}; remove it and run again", work_, unit.key,
                       documents.size(), first_[u + 1] - first_[u]);
    }
    std::string lines;
    for (size_t i = 0; i < documents.size(); ++i) {
      const Verdict verdict = verdicts_[first_[u] + i];
      const UnitDocument& d = documents[i];
      if (verdict != Verdict::kTrain && verdict != Verdict::kHeldout) {
        drop(d.id, rule_of(verdict), 1);
        continue;
      }
      const bool heldout = verdict == Verdict::kHeldout;
      (heldout ? out.heldout : out.train).add(static_cast<int64_t>(d.text.size()));
      lines += json_line({{"id", d.id},
                          {"domain", source.domain},
                          {"source", source.name},
                          {"split", heldout ? "heldout" : "train"},
                          {"licence", source.licence},
                          {"title", d.title},
                          {"text", d.text}});
    }
    if (lines.empty()) return {};
    BGL_ASSIGN(const std::string packed, text::compress_zstd(lines));
    return env_.write_file_atomic(join_path(options_.out, output_name(unit)), packed);
  }

  Status write_documents() {
    std::vector<Output> outputs(units_.size());
    BGL_TRY(for_each_unit([&](size_t u) { return write_unit(u, outputs[u]); }, false));
    std::string drops;
    for (size_t u = 0; u < units_.size(); ++u) {
      const SourceConfig& source = config_.sources[units_[u].source];
      Output& out = outputs[u];
      for (Tally* tally : {&by_source_[source.name], &by_domain_[source.domain]}) {
        tally->train.documents += out.train.documents, tally->train.bytes += out.train.bytes;
        tally->heldout.documents += out.heldout.documents, tally->heldout.bytes += out.heldout.bytes;
        for (const auto& [rule, n] : out.dropped) tally->drops[rule] += n;
      }
      drops += out.drops;
      if (out.train.documents + out.heldout.documents == 0) continue;
      files_.push_back({{"file", output_name(units_[u])},
                        {"source", source.name},
                        {"unit", units_[u].key},
                        {"train_documents", out.train.documents},
                        {"heldout_documents", out.heldout.documents}});
      kept_files_.insert(output_name(units_[u]));
    }
    return env_.write_file_atomic(join_path(options_.out, "drops.jsonl"), drops);
  }

  // Documents of an earlier configuration must not be taken for this one's.
  Status remove_stale() {
    const std::string dir = join_path(options_.out, "documents");
    BGL_ASSIGN(const std::vector<DirEntry> entries, env_.list_dir(dir));
    for (const DirEntry& entry : entries) {
      if (!entry.is_dir && kept_files_.count("documents/" + entry.name) == 0) BGL_TRY(env_.remove(join_path(dir, entry.name)));
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
    return out;
  }

  Status write_summary() {
    Tally total;
    Json domains = Json::object(), sources = Json::object();
    for (const auto& [name, t] : by_domain_) {
      domains[name] = tally_json(t);
      total.in.documents += t.in.documents, total.in.bytes += t.in.bytes;
      total.train.documents += t.train.documents, total.train.bytes += t.train.bytes;
      total.heldout.documents += t.heldout.documents, total.heldout.bytes += t.heldout.bytes;
      total.licences.insert(t.licences.begin(), t.licences.end());
      for (const auto& [rule, n] : t.drops) total.drops[rule] += n;
    }
    for (const SourceConfig& source : config_.sources) {
      Json row = {{"domain", source.domain}};
      row.update(tally_json(by_source_[source.name]));
      sources[source.name] = std::move(row);
    }
    report_.documents_in = total.in.documents;
    report_.documents_kept = total.train.documents + total.heldout.documents;
    report_.bytes_kept = total.train.bytes + total.heldout.bytes;
    const Json summary = {{"version", 1},       {"key", run_key()},   {"total", tally_json(total)},
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
