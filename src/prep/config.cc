#include "prep/config.h"

#include <re2/re2.h>

#include <algorithm>
#include <set>

#include "prep/glob.h"
#include "prep/language.h"
#include "text/documents/readers.h"

namespace bgl::prep {
namespace {

void read_rules(Config& config, const std::string& at, SourceConfig& source) {
  const auto keep = [&](const std::string& key, const Status& status) {
    if (!status.ok()) config.reject(key, status.message());
  };
  for (const std::string& name : config.get_strings(at + "filters", {"gopher_quality", "gopher_repetition", "c4", "fineweb"})) {
    keep(at + "filters", source.rules.enable(name));
  }
  for (const std::string& name : config.get_strings(at + "skip")) keep(at + "skip", source.rules.disable(name));
  for (const RuleInfo& rule : all_rules()) {
    const std::string key = at + "rules." + rule.name;
    if (!config.has(key)) continue;
    keep(key, source.rules.set_threshold(rule.name, config.get(key, rule.threshold)));
  }
}

PrivacyRules read_privacy(Config& config, const std::string& at, const PrivacyRules& fallback) {
  static constexpr const char* kWords[] = {"keep", "mask", "drop"};
  PrivacyRules out = fallback;
  for (size_t k = 0; k < kPersonalKinds; ++k) {
    const std::string key = at + "personal_data." + personal_kind_name(static_cast<PersonalKind>(k));
    const std::string word = config.get(key, kWords[static_cast<size_t>(fallback[k])]);
    const std::optional<Privacy> privacy = privacy_of(word);
    if (!privacy) config.reject(key, fmt::format("'{}' is not one of keep, mask, drop", word));
    out[k] = privacy.value_or(Privacy::kKeep);
  }
  return out;
}

SourceConfig read_source(Config& config, const std::string& at, const PrivacyRules& privacy) {
  SourceConfig source;
  source.name = config.require(at + "name");
  source.domain = config.require(at + "domain");
  source.licence = config.require(at + "licence");
  source.match = config.get_strings(at + "match");
  source.exclude = config.get_strings(at + "exclude");
  source.optional = config.get(at + "optional", false);
  source.reader = config.get(at + "reader", "");
  source.text_field = config.get(at + "text_field", source.text_field);
  source.id_field = config.get(at + "id_field", source.id_field);
  source.title_field = config.get(at + "title_field", source.title_field);
  source.url_field = config.get(at + "url_field", source.url_field);
  source.select = config.get(at + "select", "");
  source.languages = config.get_strings(at + "languages");
  source.language_share = config.get_in(at + "language_share", source.language_share, 0.0, 1.0);
  source.language_sample = config.get_in(at + "language_sample", source.language_sample, 0, int64_t{1} << 40);
  for (const std::string& code : source.languages) {
    if (!is_language_code(code))
      config.reject(at + "languages", fmt::format("no language '{}' is told apart; see src/prep/language.h", code));
  }
  source.privacy = read_privacy(config, at, privacy);
  if (source.match.empty()) config.reject(at + "match", "names no paths");
  for (const char* key : {"match", "exclude"}) {
    const Result<Globs> globs = Globs::compile(config.get_strings(at + key));
    if (!globs.ok()) config.reject(at + key, globs.status().message());
  }
  const auto readers = text::reader_names();
  if (!source.reader.empty() && std::find(readers.begin(), readers.end(), source.reader) == readers.end()) {
    config.reject(at + "reader", fmt::format("no reader '{}'", source.reader));
  }
  const re2::RE2 select(source.select, re2::RE2::Quiet);
  if (!select.ok()) config.reject(at + "select", select.error());
  for (const std::string& name : {source.name, source.domain}) {
    const size_t bad = name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.");
    if (bad != std::string::npos || (!name.empty() && name[0] == '.')) {
      config.reject(at + "name", fmt::format("'{}' names a file, so it is made of letters, digits, - _ .", name));
    }
  }
  read_rules(config, at, source);
  return source;
}

void read_limits(Config& config, text::ReadLimits& limits) {
  // A document is held a few times over, once per thread.
  constexpr int64_t kDocumentBytesMax = int64_t{1} << 30;
  limits.document_bytes = config.get_in("limits.document_bytes", limits.document_bytes, 1, kDocumentBytesMax);
  limits.nodes = config.get_in("limits.nodes", limits.nodes, 1, 1000000000);
  limits.depth = config.get_in("limits.depth", limits.depth, 1, 1000000);
  limits.seconds = config.get_in("limits.seconds", limits.seconds, 0.001, 1e6);
  limits.unpack.ratio = config.get_in("limits.unpack_ratio", limits.unpack.ratio, 1, int64_t{1} << 40);
}

}  // namespace

Result<PrepConfig> parse_config(Config config) {
  PrepConfig out;
  out.heldout_share = config.get_in("prep.heldout_share", out.heldout_share, 0.0, 0.5);
  out.memory_mb = config.get_in("prep.memory_mb", out.memory_mb, 1, int64_t{1} << 24);
  read_limits(config, out.limits);
  out.decontaminate.against = config.get_strings("decontaminate.against");
  out.decontaminate.fields = config.get_strings("decontaminate.fields", out.decontaminate.fields);
  out.decontaminate.words = static_cast<int>(config.get_in("decontaminate.words", int64_t{out.decontaminate.words}, 1, 1000));
  out.decontaminate.words_min = static_cast<int>(
      config.get_in("decontaminate.words_min", int64_t{out.decontaminate.words_min}, 1, out.decontaminate.words));
  const PrivacyRules privacy = read_privacy(config, "", {});
  out.dedup.exact = config.get("dedup.exact", out.dedup.exact);
  out.dedup.near = config.get("dedup.near", out.dedup.near);
  out.dedup.words = static_cast<int>(config.get_in("dedup.words", int64_t{out.dedup.words}, 1, 50));
  out.dedup.bands = static_cast<int>(config.get_in("dedup.bands", int64_t{out.dedup.bands}, 1, 256));
  out.dedup.rows = static_cast<int>(config.get_in("dedup.rows", int64_t{out.dedup.rows}, 1, 64));
  std::set<std::string> names;
  for (int64_t i = 0; i < config.table_count("source"); ++i) {
    const std::string at = fmt::format("source.{}.", i);
    out.sources.push_back(read_source(config, at, privacy));
    if (!names.insert(out.sources.back().name).second) config.reject(at + "name", "another source has this name");
  }
  BGL_TRY(config.finish());
  if (out.sources.empty()) return invalid_argument("{}: has no [[source]]", config.name());
  out.resolved = config.resolved();
  return out;
}

Result<PrepConfig> load_config(const std::string& path, std::span<const std::string> sets) {
  BGL_ASSIGN(Config config, Config::load(path, sets));
  return parse_config(std::move(config));
}

}  // namespace bgl::prep
