#include "text/documents/readers.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "text/documents/html.h"
#include "text/documents/internal/document_text.h"
#include "text/documents/internal/reader_parts.h"
#include "text/encoding.h"
#include "text/files/decompress.h"

namespace bgl::text {
namespace {

constexpr std::array<std::string_view, 7> kReaders = {"html", "markdown", "text", "man", "dictd", "jsonl", "warc"};
// An index of dictd is read whole: a line per headword.
constexpr int64_t kIndexBytesMax = int64_t{256} << 20;

std::string decoded(std::string_view bytes, bool markup, const std::string& charset) {
  const bool marked =
      bytes.substr(0, 3) == "\xEF\xBB\xBF" || bytes.substr(0, 2) == "\xFF\xFE" || bytes.substr(0, 2) == "\xFE\xFF";
  return (charset.empty() || marked ? to_utf8(bytes, markup) : to_utf8_from(bytes, charset)).text;
}

}  // namespace

Status Reading::fault(const std::string& id, const char* rule, const std::string& why) const {
  return handlers.fault(ReadFault{id, rule, why});
}

Status Reading::stream_fault(const std::string& id, const Status& why) const {
  // Other failures are not the file's: a disk that does not answer may answer tomorrow.
  if (why.code() != Code::kDataLoss && why.code() != Code::kResourceExhausted) return why;
  return fault(id, why.code() == Code::kResourceExhausted ? "over_limit" : "unreadable", why.message());
}

Status Reading::page(const std::string& reader, std::string_view bytes, const std::string& charset, Document document) const {
  const std::string text = decoded(bytes, reader == "html", charset);
  TitledText page;
  if (reader == "html") {
    Result<HtmlText> html = extract_html(text, options.limits);
    if (!html.ok()) return stream_fault(document.id, html.status().with_context(document.id));
    page = {std::move(html->title), tidy_lines(html->text)};
  } else {
    page = reader == "markdown" ? markdown_text(text) : reader == "man" ? man_text(text) : plain_text(text);
  }
  if (page.text.empty()) return fault(document.id, "empty", "no text");
  document.text = std::move(page.text);
  document.title = std::move(page.title);
  document.source = path;
  return handlers.document(std::move(document));
}

std::span<const std::string_view> reader_names() { return kReaders; }

std::string_view reader_for_path(std::string_view path) {
  if (path.ends_with(".index")) return "dictd";
  const std::string_view name = without_compression_suffix(path);
  for (const std::string_view suffix : {".html", ".htm", ".xhtml"}) {
    if (name.ends_with(suffix)) return "html";
  }
  if (name.ends_with(".md") || name.ends_with(".markdown")) return "markdown";
  if (name.ends_with(".txt")) return "text";
  if (name.ends_with(".jsonl") || name.ends_with(".ndjson")) return "jsonl";
  if (name.ends_with(".warc") || name.ends_with(".warc.wet") || name.ends_with(".wet")) return "warc";
  const size_t n = name.size();
  const bool in_man = name.find("/man/") != std::string_view::npos || name.substr(0, 4) == "man/";
  if (n > 2 && name[n - 2] == '.' && name[n - 1] >= '1' && name[n - 1] <= '9' && in_man) return "man";
  return {};
}

Status read_stream(const std::string& reader, const std::string& path, std::unique_ptr<ByteStream> bytes,
                   const ReadOptions& options, const ReadHandlers& handlers) {
  if (std::find(kReaders.begin(), kReaders.end(), reader) == kReaders.end()) {
    return invalid_argument("{}: no reader '{}' (known: {})", path, reader, fmt::join(kReaders, ", "));
  }
  const Reading reading{path, options, handlers};
  const std::unique_ptr<ByteStream> content = unpack_stream(std::move(bytes), path, options.limits.unpack);
  if (reader == "jsonl") return read_jsonl(reading, *content);
  if (reader == "warc") return read_warc(reading, *content);
  const int64_t bytes_max = reader == "dictd" ? kIndexBytesMax : options.limits.document_bytes;
  const Result<std::string> whole = read_all(*content, path, bytes_max);
  if (!whole.ok()) return reading.stream_fault(path, whole.status());
  if (reader == "dictd") return read_dictd(reading, *whole);
  Document document;
  document.id = path;
  return reading.page(reader, *whole, {}, std::move(document));
}

}  // namespace bgl::text
