// bgl bench language: how many texts of each language are told right, and how fast.
#include <map>
#include <nlohmann/json.hpp>

#include "base/env.h"
#include "cli/bench.h"
#include "prep/language.h"

namespace bgl::cli {
namespace {

using nlohmann::json;

struct Labelled {
  std::string language, text;
};

Result<std::vector<Labelled>> read_labelled(const std::string& path) {
  BGL_ASSIGN(const std::string lines, real_env().read_file(path));
  std::vector<Labelled> out;
  size_t number = 1;
  for (size_t at = 0; at < lines.size(); ++number) {
    const size_t end = std::min(lines.find('\n', at), lines.size());
    const json j = json::parse(lines.begin() + static_cast<ptrdiff_t>(at), lines.begin() + static_cast<ptrdiff_t>(end), nullptr, false);
    const auto has = [&](const char* key) { return j.is_object() && j.contains(key) && j[key].is_string(); };
    if (!has("language") || !has("text")) return invalid_argument("{}, line {}: want {{\"language\": \"de\", \"text\": \"...\"}}", path, number);
    out.push_back({j["language"], j["text"]});
    at = end + 1;
  }
  if (out.empty()) return invalid_argument("{}: no text here", path);
  return out;
}

// Texts of one language.
struct Score {
  int64_t texts = 0, right = 0;
  double share() const { return 100.0 * static_cast<double>(right) / static_cast<double>(texts); }
};

}  // namespace

BenchResults bench_language(const std::string& folder) {
  if (folder.empty()) return invalid_argument("bgl bench language FOLDER: name a folder with languages.jsonl; bench/tokenizer/debian_texts.py makes one");
  const std::string path = join_path(folder, "languages.jsonl");
  BGL_ASSIGN(const auto texts, read_labelled(path));
  std::map<std::string, Score> scores;
  Score unknown;  // of languages that cannot be told, the answer "un" is right
  size_t bytes = 0;
  for (const auto& [language, text] : texts) {
    bytes += text.size();
    const std::string told = prep::detect_language(text).code;
    Score& score = prep::is_language_code(language) ? scores[language] : unknown;
    score.texts++;
    score.right += &score == &unknown ? told == "un" : told == language;
  }
  const double seconds = least_cpu_seconds([&] {
    for (const Labelled& t : texts) prep::detect_language(t.text);
  });

  const json peer = json::parse(run_peer("prep/py3langid_languages.py", path), nullptr, false);
  const std::string peer_name = peer.is_object() ? peer.value("peer", "") : "";
  std::vector<BenchResult> out;
  const auto row = [&](const std::string& name, double value, const std::string& unit, std::optional<double> theirs) {
    out.push_back({.name = "language_" + name, .value = value, .unit = unit, .peer = theirs ? peer_name : "", .peer_value = theirs});
  };
  double mean = 0, peer_mean = 0;
  for (const auto& [language, score] : scores) {
    std::optional<double> theirs;
    if (peer.is_object()) theirs = 100 * peer["right"].value(language, 0.0);
    mean += score.share() / static_cast<double>(scores.size());
    peer_mean += theirs.value_or(0) / static_cast<double>(scores.size());
    row(language, score.share(), fmt::format("% of {}", score.texts), theirs);
  }
  const auto of_peer = [&](double v) { return peer.is_object() ? std::optional(v) : std::nullopt; };
  row("mean", mean, fmt::format("% over {} languages", scores.size()), of_peer(peer_mean));
  if (unknown.texts) row("not_known", unknown.share(), fmt::format("% of {} texts called unknown", unknown.texts), std::nullopt);
  row("rate", static_cast<double>(bytes) / 1e6 / seconds, "MB/s of a core", peer.is_object() ? std::optional(peer.value("mb_per_s", 0.0)) : std::nullopt);
  return out;
}

}  // namespace bgl::cli
