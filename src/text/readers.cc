#include "text/readers.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "text/decompress.h"
#include "text/encoding.h"
#include "text/html.h"
#include "text/internal/document_text.h"

namespace bgl::text {
namespace {

constexpr std::array<std::string_view, 6> kReaders = {"html", "markdown", "text", "man", "dictd", "jsonl"};

bool has_suffix(std::string_view text, std::string_view suffix) {
  return text.size() >= suffix.size() && text.substr(text.size() - suffix.size()) == suffix;
}

// dictd's numbers: base 64, most significant digit first.
std::optional<uint64_t> dictd_number(std::string_view digits) {
  static constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  uint64_t value = 0;
  if (digits.empty() || digits.size() > 10) return std::nullopt;
  for (const char c : digits) {
    const size_t digit = kDigits.find(c);
    if (digit == std::string_view::npos) return std::nullopt;
    value = value * 64 + digit;
  }
  return value;
}

// One document per article. Headwords that share an article give one document, named by the first of them in the index.
Result<std::vector<Document>> read_dictd(const std::string& path, std::string_view index, const FetchFile& fetch) {
  if (!fetch || !has_suffix(path, ".index"))
    return invalid_argument("{}: the dictd reader needs PATH.index and PATH.dict(.dz)", path);
  const std::string base = path.substr(0, path.size() - std::string_view(".index").size());
  Result<std::string> packed = fetch(base + ".dict.dz");
  if (!packed.ok()) packed = fetch(base + ".dict");
  if (!packed.ok()) return not_found("{}: neither {}.dict.dz nor {}.dict is there", path, base, base);
  BGL_ASSIGN(const std::string data, decompress(*packed, base + ".dict.dz"));
  struct Article {
    uint64_t offset, length;
    std::string headword;
  };
  std::vector<Article> articles;
  int64_t line_number = 0;
  for (size_t at = 0; at < index.size();) {
    const size_t end = std::min(index.find('\n', at), index.size());
    const std::string_view line = index.substr(at, end - at);
    at = end + 1;
    ++line_number;
    const size_t tab1 = line.find('\t'), tab2 = line.find('\t', tab1 + 1);
    if (line.empty()) continue;
    const size_t stop = std::min(line.find_first_of("\t\r", tab2 + 1), line.size());
    if (tab1 == std::string_view::npos || tab2 == std::string_view::npos)
      return data_loss("{}:{}: not \"headword, tab, offset, tab, length\"", path, line_number);
    const auto offset = dictd_number(line.substr(tab1 + 1, tab2 - tab1 - 1)),
               length = dictd_number(line.substr(tab2 + 1, stop - tab2 - 1));
    if (!offset || !length || *offset > data.size() || *length > data.size() - *offset) {
      return data_loss("{}:{}: the entry points outside the {} bytes of the dictionary", path, line_number, data.size());
    }
    // Names that begin with 00-database describe the database.
    if (line.substr(0, 3) != "00-") articles.push_back({*offset, *length, std::string(line.substr(0, tab1))});
  }
  std::stable_sort(articles.begin(), articles.end(), [](const Article& a, const Article& b) {
    return std::pair(a.offset, a.length) < std::pair(b.offset, b.length);
  });
  std::vector<Document> out;
  for (size_t i = 0; i < articles.size(); ++i) {
    const Article& a = articles[i];
    if (i > 0 && articles[i - 1].offset == a.offset && articles[i - 1].length == a.length) continue;
    std::string text = dictd_article(to_utf8(std::string_view(data).substr(a.offset, a.length), false).text);
    if (!text.empty())
      out.push_back({fmt::format("{}#{}", path, a.offset), std::move(text), to_utf8(a.headword, false).text, path});
  }
  return out;
}

Result<std::vector<Document>> read_jsonl(const std::string& path, std::string_view bytes) {
  std::vector<Document> out;
  std::set<std::string> ids;
  int64_t line_number = 0;
  for (size_t at = 0; at < bytes.size();) {
    const size_t end = std::min(bytes.find('\n', at), bytes.size());
    const std::string_view line = bytes.substr(at, end - at);
    at = end + 1;
    ++line_number;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const nlohmann::json json = nlohmann::json::parse(line.begin(), line.end(), nullptr, false);
    if (!json.is_object() || !json.contains("text") || !json["text"].is_string()) {
      return data_loss("{}:{}: not a JSON object with a string \"text\"", path, line_number);
    }
    const auto field = [&](const char* key) {
      return json.contains(key) && json[key].is_string() ? json[key].get<std::string>() : std::string();
    };
    std::string id = field("id");
    if (id.empty()) id = fmt::format("{}#{}", path, line_number);
    if (!ids.insert(id).second) return data_loss("{}:{}: id '{}' is there twice", path, line_number, id);
    std::string text = tidy_lines(field("text"));
    if (!text.empty()) out.push_back({std::move(id), std::move(text), field("title"), path});
  }
  return out;
}

}  // namespace

std::span<const std::string_view> reader_names() { return kReaders; }

std::string_view reader_for_path(std::string_view path) {
  if (has_suffix(path, ".index")) return "dictd";
  const std::string_view name = without_compression_suffix(path);
  for (const std::string_view suffix : {".html", ".htm", ".xhtml"}) {
    if (has_suffix(name, suffix)) return "html";
  }
  if (has_suffix(name, ".md") || has_suffix(name, ".markdown")) return "markdown";
  if (has_suffix(name, ".txt")) return "text";
  if (has_suffix(name, ".jsonl")) return "jsonl";
  const size_t n = name.size();
  const bool in_man = name.find("/man/") != std::string_view::npos || name.substr(0, 4) == "man/";
  if (n > 2 && name[n - 2] == '.' && name[n - 1] >= '1' && name[n - 1] <= '9' && in_man) return "man";
  return {};
}

Result<std::vector<Document>> read_documents(const std::string& reader, const std::string& path, std::string_view bytes,
                                             const FetchFile& fetch) {
  if (std::find(kReaders.begin(), kReaders.end(), reader) == kReaders.end()) {
    return invalid_argument("{}: no reader '{}' (known: {})", path, reader, fmt::join(kReaders, ", "));
  }
  BGL_ASSIGN(const std::string raw, decompress(bytes, path));
  if (reader == "dictd") return read_dictd(path, raw, fetch);
  const std::string text = to_utf8(raw, reader == "html").text;
  if (reader == "jsonl") return read_jsonl(path, text);
  TitledText page;
  if (reader == "html") {
    HtmlText html = extract_html(text);
    page = {std::move(html.title), tidy_lines(html.text)};
  } else {
    page = reader == "markdown" ? markdown_text(text) : reader == "man" ? man_text(text) : plain_text(text);
  }
  std::vector<Document> out;
  if (!page.text.empty()) out.push_back({path, std::move(page.text), std::move(page.title), path});
  return out;
}

}  // namespace bgl::text
