// JSON lines. Only the wanted fields of a line are kept while it is parsed, so that no value, however long or deep, costs more
// than the line itself.
#include <array>
#include <nlohmann/json.hpp>

#include "text/documents/internal/document_text.h"
#include "text/documents/internal/reader_parts.h"
#include "text/encoding.h"
#include "text/files/stream_window.h"
#include "text/unicode.h"

namespace bgl::text {
namespace {

struct Wanted {
  const std::string* name;
  std::string* value;
  bool found = false;
};

// Takes the strings of the outermost object whose keys are wanted.
class Fields final : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit Fields(std::span<Wanted> wanted) : wanted_(wanted) {}

  bool null() override { return other(); }
  bool boolean(bool) override { return other(); }
  bool number_integer(number_integer_t) override { return other(); }
  bool number_unsigned(number_unsigned_t) override { return other(); }
  bool number_float(number_float_t, const string_t&) override { return other(); }
  bool binary(binary_t&) override { return other(); }
  bool string(string_t& value) override {
    if (depth_ == 1 && now_) {
      *now_->value = std::move(value);
      now_->found = true;
    }
    now_ = nullptr;
    return depth_ > 0;
  }
  bool key(string_t& name) override {
    now_ = nullptr;
    if (depth_ != 1) return true;
    for (Wanted& w : wanted_) {
      if (name == *w.name) now_ = &w;
    }
    return true;
  }
  bool start_object(size_t) override { return begin(); }
  bool end_object() override { return --depth_, true; }
  bool start_array(size_t) override { return depth_ > 0 && begin(); }
  bool end_array() override { return --depth_, true; }
  bool parse_error(size_t, const std::string&, const nlohmann::detail::exception&) override { return false; }

 private:
  bool other() { return now_ = nullptr, depth_ > 0; }
  bool begin() { return now_ = nullptr, ++depth_, true; }
  std::span<Wanted> wanted_;
  Wanted* now_ = nullptr;
  int64_t depth_ = 0;
};

Status read_line(const Reading& reading, int64_t number, std::string_view line) {
  const std::string line_id = fmt::format("{}#{}", reading.path, number);
  const ReadOptions& o = reading.options;
  Document document;
  document.source = reading.path;
  std::string text;
  std::array<Wanted, 4> wanted = {
      {{&o.text_field, &text}, {&o.id_field, &document.id}, {&o.title_field, &document.title}, {&o.url_field, &document.url}}};
  Fields fields(wanted);
  const std::string utf8 = is_valid_utf8(line) ? std::string() : to_utf8(line, false).text;
  const std::string_view json = utf8.empty() ? line : std::string_view(utf8);
  if (!nlohmann::json::sax_parse(json.begin(), json.end(), &fields)) {
    return reading.fault(line_id, "unreadable", fmt::format("{}:{}: not a JSON object", reading.path, number));
  }
  if (!wanted[0].found) {
    return reading.fault(line_id, "unreadable", fmt::format("{}:{}: no string \"{}\"", reading.path, number, o.text_field));
  }
  if (document.id.empty()) document.id = line_id;
  document.text = tidy_lines(text);
  return document.text.empty() ? reading.fault(document.id, "empty", "no text") : reading.handlers.document(std::move(document));
}

}  // namespace

Status read_jsonl(const Reading& reading, ByteStream& bytes) {
  StreamWindow window(bytes);
  const auto bytes_max = static_cast<size_t>(reading.options.limits.document_bytes);
  std::string line;
  for (int64_t number = 1;; ++number) {
    bool cut = false;
    const Result<bool> more = window.take_until('\n', bytes_max, line, cut);
    const std::string id = fmt::format("{}#{}", reading.path, number);
    if (!more.ok()) return reading.stream_fault(id, more.status());
    if (!*more) return {};
    if (cut) {
      BGL_TRY(
          reading.fault(id, "over_limit", fmt::format("{}:{}: a line of more than {} bytes", reading.path, number, bytes_max)));
      continue;
    }
    if (number == 1 && line.compare(0, 3, "\xEF\xBB\xBF") == 0) line.erase(0, 3);
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    BGL_TRY(read_line(reading, number, line));
  }
}

}  // namespace bgl::text
