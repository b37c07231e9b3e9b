#include "prep/clean.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "text/decompress.h"

namespace bgl::prep {

Result<CleanIndex> read_clean_index(Env& env, const std::string& clean) {
  const std::string path = join_path(clean, "summary.json");
  if (!env.exists(path)) return not_found("{}: no summary.json; run 'bgl prep CONFIG --in LAKE --out {}' first", clean, clean);
  BGL_ASSIGN(const std::string bytes, env.read_file(path));
  const nlohmann::json summary = nlohmann::json::parse(bytes, nullptr, false);
  if (!summary.is_object() || !summary.contains("key") || !summary.contains("files") || !summary["files"].is_array()) {
    return data_loss("{}: not a summary of prep", path);
  }
  CleanIndex out;
  out.key = summary.value("key", "");
  for (const nlohmann::json& file : summary["files"]) {
    out.files.push_back(file.value("file", ""));
    out.units.push_back(file.value("unit", ""));
  }
  return out;
}

Result<std::vector<CleanDocument>> read_clean_file(Env& env, const std::string& clean, const std::string& file) {
  const std::string path = join_path(clean, file);
  BGL_ASSIGN(const std::string packed, env.read_file(path));
  BGL_ASSIGN(const std::string lines, text::decompress(packed, path));
  std::vector<CleanDocument> out;
  for (size_t at = 0; at < lines.size();) {
    const size_t end = std::min(lines.find('\n', at), lines.size());
    const std::string_view line = std::string_view(lines).substr(at, end - at);
    at = end + 1;
    const nlohmann::json json = nlohmann::json::parse(line.begin(), line.end(), nullptr, false);
    if (!json.is_object()) return data_loss("{}: line {} is not a JSON object", path, out.size() + 1);
    CleanDocument d;
    d.id = json.value("id", "");
    d.domain = json.value("domain", "");
    d.source = json.value("source", "");
    d.licence = json.value("licence", "");
    d.title = json.value("title", "");
    d.text = json.value("text", "");
    d.heldout = json.value("split", "") == "heldout";
    out.push_back(std::move(d));
  }
  return out;
}

Status each_clean_document(Env& env, const std::string& clean, const std::function<Status(const CleanDocument&)>& fn) {
  BGL_ASSIGN(const CleanIndex index, read_clean_index(env, clean));
  for (const std::string& file : index.files) {
    BGL_ASSIGN(const std::vector<CleanDocument> documents, read_clean_file(env, clean, file));
    for (const CleanDocument& document : documents) BGL_TRY(fn(document));
  }
  return {};
}

}  // namespace bgl::prep
