#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/progress.h"
#include "prep/run.h"

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
  return out;
}

}  // namespace bgl::prep
