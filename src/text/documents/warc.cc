// WARC files (ISO 28500, https://iipc.github.io/warc-specifications/specifications/warc-format/warc-1.1/): records of
//
//   WARC/1.x CRLF, "Name: value" lines, CRLF, Content-Length bytes, CRLF CRLF
//
// A "response" record holds an HTTP response: status line, headers, empty line, body. "resource" and "conversion" records hold
// the body itself. Others say nothing to read. After bytes that are no record the next line that begins one is looked for.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "text/documents/internal/reader_parts.h"
#include "text/files/stream_window.h"
#include "text/unicode.h"

namespace bgl::text {
namespace {

constexpr size_t kHeadBytesMax = 64 << 10;

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  return out;
}

std::string_view stripped(std::string_view s) {
  const size_t begin = s.find_first_not_of(" \t\r\n");
  return begin == std::string_view::npos ? std::string_view() : s.substr(begin, s.find_last_not_of(" \t\r\n") - begin + 1);
}

// "Name: value" lines; names in lower case. A line that begins with a space belongs to the one before.
class Headers {
 public:
  void add(std::string_view line) {
    if (!fields_.empty() && !line.empty() && (line[0] == ' ' || line[0] == '\t')) {
      fields_.back().second += " " + std::string(stripped(line));
      return;
    }
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) return;
    fields_.emplace_back(lower(stripped(line.substr(0, colon))), std::string(stripped(line.substr(colon + 1))));
  }
  std::string_view get(std::string_view name) const {
    for (const auto& [key, value] : fields_) {
      if (key == name) return value;
    }
    return {};
  }

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

std::optional<int64_t> number_of(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = error == std::errc() && end == text.data() + text.size() && value >= 0;
  return whole ? std::optional(value) : std::nullopt;
}

// The parts of a Content-Type: "text/html" and, after charset=, "utf-8".
struct MediaType {
  std::string type, charset;
};
MediaType media_type(std::string_view value) {
  const std::string all = lower(value);
  MediaType out;
  out.type = stripped(std::string_view(all).substr(0, all.find(';')));
  const size_t at = all.find("charset=");
  if (at == std::string::npos) return out;
  const size_t begin = all.find_first_not_of(" \"'", at + 8);
  if (begin != std::string::npos) out.charset = all.substr(begin, all.find_first_of(" \"';,", begin) - begin);
  return out;
}

std::string reader_of(const std::string& type, std::string_view body) {
  if (type == "text/html" || type == "application/xhtml+xml") return "html";
  if (type == "text/plain") return "text";
  if (type == "text/markdown") return "markdown";
  // Servers that do not say what they send mostly send pages.
  if (type.empty() && stripped(body.substr(0, 256)).substr(0, 1) == "<") return "html";
  return {};
}

class WarcReader {
 public:
  WarcReader(const Reading& reading, ByteStream& bytes) : reading_(reading), in_(bytes) {}

  Status run() {
    for (;;) {
      const Result<bool> more = record();
      if (failed_) return *failed_;
      if (!more.ok()) return reading_.stream_fault(id(), more.status());
      if (!*more) return {};
      ++number_;
    }
  }

 private:
  std::string id() const { return fmt::format("{}#{}", reading_.path, number_); }

  // What a handler refuses ends the reading; what the stream refuses is a fault.
  bool handed(Status status) {
    if (!status.ok()) failed_ = std::move(status);
    return !failed_;
  }

  Result<bool> record() {
    std::string line;
    bool cut = false;
    const int64_t begin = in_.taken();
    int64_t skipped = 0;
    for (;;) {
      BGL_ASSIGN(const bool more, in_.take_until('\n', kHeadBytesMax, line, cut));
      if (!more) break;
      if (line.compare(0, 7, "WARC/1.") == 0) break;
      if (!stripped(line).empty() || cut) skipped += static_cast<int64_t>(line.size()) + 1;
    }
    if (skipped > 0 &&
        !handed(reading_.fault(id(), "unreadable",
                               fmt::format("{}: no WARC record between offsets {} and {} of the content", reading_.path, begin,
                                           in_.taken() - static_cast<int64_t>(line.size()) - 1)))) {
      return false;
    }
    if (line.compare(0, 7, "WARC/1.") != 0) return false;
    Headers headers;
    for (size_t bytes = 0;; bytes += line.size()) {
      BGL_ASSIGN(const bool more, in_.take_until('\n', kHeadBytesMax, line, cut));
      if (!more || stripped(line).empty() || cut || bytes > kHeadBytesMax) break;
      headers.add(line);
    }
    const std::optional<int64_t> length = number_of(headers.get("content-length"));
    if (!length) {
      handed(reading_.fault(
          id(), "unreadable",
          fmt::format("{}: the record at offset {} of the content has no Content-Length", reading_.path, begin)));
      return true;
    }
    return content(headers, *length);
  }

  Result<bool> content(const Headers& headers, int64_t length) {
    const std::string type = lower(headers.get("warc-type"));
    const bool wanted = type == "response" || type == "resource" || type == "conversion";
    if (!wanted) return skip(headers, length);
    if (length > reading_.options.limits.document_bytes) {
      const bool go_on = handed(reading_.fault(document_id(headers), "over_limit",
                                               fmt::format("{}: a record of {} bytes, more than {}", reading_.path, length,
                                                           reading_.options.limits.document_bytes)));
      return go_on ? skip(headers, length) : Result<bool>(false);
    }
    BGL_TRY(in_.fill(static_cast<size_t>(length)));
    const std::string_view bytes = in_.rest().substr(0, static_cast<size_t>(length));
    if (static_cast<int64_t>(bytes.size()) < length) return cut(headers);
    if (!handed(type == "response" ? response(headers, bytes) : body(headers, media_type(headers.get("content-type")), bytes)))
      return false;
    in_.take(static_cast<size_t>(length));
    return true;
  }

  bool cut(const Headers& headers) {
    handed(reading_.fault(document_id(headers), "unreadable", fmt::format("{}: the file ends inside a record", reading_.path)));
    return false;
  }

  Result<bool> skip(const Headers& headers, int64_t length) {
    while (length > 0) {
      BGL_TRY(in_.fill(1));
      const auto n = static_cast<size_t>(std::min<int64_t>(length, static_cast<int64_t>(in_.rest().size())));
      if (n == 0) return cut(headers);
      in_.take(n);
      length -= static_cast<int64_t>(n);
    }
    return true;
  }

  std::string document_id(const Headers& headers) const {
    std::string_view id = headers.get("warc-record-id");
    if (id.size() > 2 && id.front() == '<' && id.back() == '>') id = id.substr(1, id.size() - 2);
    return id.empty() ? this->id() : std::string(id);
  }

  Status response(const Headers& record, std::string_view bytes) {
    const std::string record_type = media_type(record.get("content-type")).type;
    if (!record_type.empty() && record_type != "application/http") return {};  // dns and the like
    const size_t head_end = std::min(bytes.find("\r\n\r\n"), bytes.find("\n\n"));
    std::string_view head = bytes.substr(0, head_end), after;
    if (head_end != std::string_view::npos) after = bytes.substr(head_end + (bytes[head_end] == '\r' ? 4 : 2));
    const size_t line_end = std::min(head.find('\n'), head.size());
    const std::string_view status_line = stripped(head.substr(0, line_end));
    const size_t space = status_line.find(' ');
    const std::string_view code = space == std::string_view::npos ? std::string_view() : status_line.substr(space + 1, 3);
    if (status_line.substr(0, 5) != "HTTP/" || !number_of(code)) {
      return reading_.fault(document_id(record), "unreadable", fmt::format("{}: a response that is not HTTP", reading_.path));
    }
    if (code[0] != '2') return reading_.fault(document_id(record), "http_status", std::string(code));
    Headers headers;
    for (head = head.substr(std::min(line_end + 1, head.size())); !head.empty();) {
      const size_t end = std::min(head.find('\n'), head.size());
      headers.add(head.substr(0, end));
      head = head.substr(std::min(end + 1, head.size()));
    }
    return coded_body(record, headers, after);
  }

  Status coded_body(const Headers& record, const Headers& headers, std::string_view bytes) {
    std::string plain, unpacked;
    if (lower(headers.get("transfer-encoding")).find("chunked") != std::string::npos) bytes = plain = undo_chunked(bytes);
    const std::string coding = lower(headers.get("content-encoding"));
    const MediaType type = media_type(headers.get("content-type"));
    if (coding == "gzip" || coding == "x-gzip" || coding == "zstd") {
      // Many archives undo the coding and leave the header; unpack_stream() passes plain bytes on.
      const auto stream = unpack_stream(view_stream(bytes), reading_.path, reading_.options.limits.unpack);
      Result<std::string> content = read_all(*stream, reading_.path, reading_.options.limits.document_bytes);
      if (!content.ok()) return reading_.stream_fault(document_id(record), content.status());
      bytes = unpacked = *std::move(content);
    } else if (!coding.empty() && coding != "identity" && !is_valid_utf8(bytes.substr(0, bytes.find('\n', 64)))) {
      return reading_.fault(document_id(record), "unreadable",
                            fmt::format("{}: content encoding '{}' is not known", reading_.path, coding));
    }
    return body(record, type, bytes);
  }

  Status body(const Headers& record, const MediaType& type, std::string_view bytes) {
    const std::string reader = reader_of(type.type, bytes);
    if (reader.empty()) return reading_.fault(document_id(record), "media_type", type.type);
    Document document;
    document.id = document_id(record);
    document.url = record.get("warc-target-uri");
    return reading_.page(reader, bytes, type.charset, std::move(document));
  }

  const Reading& reading_;
  StreamWindow in_;
  int64_t number_ = 1;
  std::optional<Status> failed_;
};

}  // namespace

std::string undo_chunked(std::string_view body) {
  std::string out;
  for (std::string_view left = body;;) {
    const size_t end = left.find('\n');
    if (end == std::string_view::npos) return out.empty() ? std::string(body) : out;
    uint64_t length = 0;
    const auto [stop, error] = std::from_chars(left.data(), left.data() + end, length, 16);
    if (error != std::errc() || stop == left.data()) return out.empty() ? std::string(body) : out;
    if (length == 0) return out;
    left = left.substr(end + 1);
    out += left.substr(0, length);
    if (length >= left.size()) return out;
    left = left.substr(length);
    left = left.substr(std::min(left.find('\n'), left.size() - 1) + 1);
  }
}

Status read_warc(const Reading& reading, ByteStream& bytes) { return WarcReader(reading, bytes).run(); }

}  // namespace bgl::text
