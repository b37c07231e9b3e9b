#include <fmt/format.h>

#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/progress.h"
#include "prep/filters.h"
#include "prep/run.h"
#include "report/page.h"

namespace bgl::prep {
namespace {

using Json = nlohmann::ordered_json;

Result<Json> read_summary(Env& env, const std::string& clean) {
  const std::string path = join_path(clean, "summary.json");
  if (!env.exists(path)) return not_found("{}: no summary.json; run 'bgl prep CONFIG --in LAKE --out {}' first", clean, clean);
  BGL_ASSIGN(const std::string bytes, env.read_file(path));
  Json summary = Json::parse(bytes, nullptr, false);
  if (!summary.is_object() || !summary.contains("domains") || !summary.contains("sources")) {
    return data_loss("{}: not a summary of prep", path);
  }
  return summary;
}

// What the rules that are no filters mean.
constexpr std::pair<const char*, const char*> kOtherRules[] = {
    {"select", "the source's `select` matches nowhere in the text"},
    {"language",
     "the text is in another language, or less of it in a wanted one than `language_share`; the value is what it is in"},
    {"empty", "the reader finds no text, or the rules of lines leave none"},
    {"unreadable", "the bytes are not what the reader reads"},
    {"over_limit", "a limit of [limits] was passed"},
    {"http_status", "the server did not answer with a document"},
    {"media_type", "a kind of content that no reader reads"},
    {"exact_duplicate", "the same words as an earlier document"},
    {"near_duplicate", "nearly the words of a document that is kept"},
    {"near_duplicate_of_heldout", "nearly the words of a document that is held out"},
    {"contaminated", "shares a run of words with an evaluation text, whose id is the value"},
    {"personal_mail", "holds mail addresses"},
    {"personal_ip", "holds public IP addresses"},
    {"personal_phone", "holds telephone numbers"},
    {"personal_card", "holds card numbers"},
};

std::string meaning_of(const std::string& rule) {
  for (const RuleInfo& info : all_rules()) {
    if (rule == info.name) return fmt::format("{} (the paper's threshold: {:g})", info.meaning, info.threshold);
  }
  for (const auto& [name, meaning] : kOtherRules) {
    if (rule == name) return meaning;
  }
  return {};
}

std::string sample_text(const Json& sample) {
  const std::string value = sample.value("value", Json()).is_null() ? "" : "   [" + sample["value"].dump() + "]";
  return sample.value("id", "") + value + "\n\n" + sample.value("text", "");
}

std::string row(const std::string& name, const Json& t) {
  const auto number = [&](const char* key) { return t.value(key, int64_t{0}); };
  return fmt::format("{:<26}{:>10}{:>10}{:>10}{:>12}{:>12}  {}\n", name, number("documents_in"), number("documents_kept"),
                     number("heldout_documents"), human_bytes(static_cast<double>(number("bytes_in"))),
                     human_bytes(static_cast<double>(number("bytes_kept"))),
                     fmt::join(t.value("licences", std::vector<std::string>()), "; "));
}

}  // namespace

Result<std::string> report_json(Env& env, const std::string& clean) {
  BGL_ASSIGN(const Json summary, read_summary(env, clean));
  return summary.dump(1) + "\n";
}

Result<std::string> report_table(Env& env, const std::string& clean) {
  BGL_ASSIGN(const Json summary, read_summary(env, clean));
  std::string out = fmt::format("{:<26}{:>10}{:>10}{:>10}{:>12}{:>12}  {}\n", "domain / source", "documents", "kept",
                                "held out", "text", "kept text", "licence");
  for (const auto& [domain, tally] : summary["domains"].items()) {
    out += row(domain, tally);
    for (const auto& [source, t] : summary["sources"].items()) {
      if (t.value("domain", "") == domain) out += row("  " + source, t);
    }
  }
  out += row("total", summary["total"]);
  out += "\ndropped by rule\n";
  for (const auto& [domain, tally] : summary["domains"].items()) {
    for (const auto& [rule, n] : tally["drops"].items())
      out += fmt::format("  {:<24}{:<32}{:>8}\n", domain, rule, n.get<int64_t>());
  }
  const Json masked = summary["total"].value("masked", Json::object());
  if (!masked.empty()) out += "\nmasked\n";
  for (const auto& [kind, n] : masked.items()) out += fmt::format("  {:<56}{:>8}\n", kind, n.get<int64_t>());
  return out;
}

Result<std::string> report_page(Env& env, const std::string& clean) {
  BGL_ASSIGN(const std::string table, report_table(env, clean));
  BGL_ASSIGN(const Json summary, read_summary(env, clean));
  const std::string path = join_path(clean, "samples.json");
  BGL_ASSIGN(const std::string bytes, env.read_file(path));
  const Json samples = Json::parse(bytes, nullptr, false);
  if (!samples.is_array()) return data_loss("{}: damaged; remove {}/summary.json and run 'bgl prep' again", path, clean);
  std::map<std::string, std::vector<std::string>> kept;
  for (const Json& s : samples) {
    if (s.value("rule", "") != "") continue;
    for (const Json& document : s["documents"]) kept[s.value("source", "")].push_back(sample_text(document));
  }
  report::Page page("What preparation kept and dropped");
  page.paragraph(fmt::format("Folder {}. The beginnings of texts, chosen by the hashes of their ids.", clean));
  page.preformatted(table);
  for (const Json& s : samples) {
    const std::string source = s.value("source", ""), rule = s.value("rule", "");
    if (rule.empty()) continue;
    const Json drops = summary["sources"].value(source, Json::object()).value("drops", Json::object());
    page.heading(fmt::format("{}: {} ({} dropped)", source, rule, drops.value(rule, int64_t{0})));
    if (const std::string meaning = meaning_of(rule); !meaning.empty()) page.paragraph(meaning);
    std::vector<std::string> dropped;
    for (const Json& document : s["documents"]) dropped.push_back(sample_text(document));
    std::vector<std::string> beside = kept[source];
    beside.resize(std::min(beside.size(), std::max<size_t>(dropped.size(), 2)));
    page.side_by_side("Dropped", dropped, "Kept", beside);
  }
  return page.html();
}

}  // namespace bgl::prep
