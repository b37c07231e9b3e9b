// Dictionaries of the DICT project: an index of "headword, tab, offset, tab, length" lines, and articles in a file beside it.
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "text/documents/internal/document_text.h"
#include "text/documents/internal/reader_parts.h"
#include "text/encoding.h"
#include "text/files/decompress.h"

namespace bgl::text {
namespace {

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

struct Article {
  uint64_t offset, length;
  std::string headword;
};

// The articles that the index names, in the order of the file.
Result<std::vector<Article>> articles_of(const std::string& path, std::string_view index, uint64_t data_bytes) {
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
    if (!offset || !length || *offset > data_bytes || *length > data_bytes - *offset) {
      return data_loss("{}:{}: the entry points outside the {} bytes of the dictionary", path, line_number, data_bytes);
    }
    // Names that begin with 00-database describe the database.
    if (line.substr(0, 3) != "00-") articles.push_back({*offset, *length, std::string(line.substr(0, tab1))});
  }
  std::stable_sort(articles.begin(), articles.end(), [](const Article& a, const Article& b) {
    return std::pair(a.offset, a.length) < std::pair(b.offset, b.length);
  });
  return articles;
}

}  // namespace

// One document per article. Headwords that share an article give one document, named by the first of them in the index.
Status read_dictd(const Reading& reading, std::string_view index) {
  const std::string& path = reading.path;
  const FetchFile& fetch = reading.options.fetch;
  if (!fetch || !path.ends_with(".index")) {
    return reading.fault(path, "unreadable", fmt::format("{}: the dictd reader needs PATH.index and PATH.dict(.dz)", path));
  }
  const std::string base = path.substr(0, path.size() - std::string_view(".index").size());
  Result<std::string> packed = fetch(base + ".dict.dz");
  if (packed.status().code() == Code::kNotFound) packed = fetch(base + ".dict");
  if (!packed.ok() && packed.status().code() != Code::kNotFound) return packed.status();
  if (!packed.ok()) {
    return reading.fault(path, "unreadable", fmt::format("{}: neither {}.dict.dz nor {}.dict is there", path, base, base));
  }
  const Result<std::string> data = decompress(*packed, base + ".dict.dz");
  if (!data.ok()) return reading.stream_fault(path, data.status());
  const Result<std::vector<Article>> articles = articles_of(path, index, data->size());
  if (!articles.ok()) return reading.stream_fault(path, articles.status());
  const Article* before = nullptr;
  for (const Article& a : *articles) {
    if (before && before->offset == a.offset && before->length == a.length) continue;
    before = &a;
    std::string text = dictd_article(to_utf8(std::string_view(*data).substr(a.offset, a.length), false).text);
    if (text.empty()) continue;
    BGL_TRY(reading.handlers.document(
        {fmt::format("{}#{}", path, a.offset), std::move(text), to_utf8(a.headword, false).text, path, {}}));
  }
  return {};
}

}  // namespace bgl::text
