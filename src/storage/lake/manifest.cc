#include "storage/lake/internal/manifest.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <utility>

namespace bgl::storage {
namespace {

using nlohmann::json;

constexpr std::string_view kFormatName = "bgl lake";
constexpr int kVersion = 3;
constexpr int kOldestVersion = 2;
constexpr std::string_view kCheckStart = "{\"check\":\"";

// A column of a row: a number, or a checksum as 32 hex digits.
struct Column {
  const char* name;
  int64_t SegmentRow::*number = nullptr;
  Hash128 SegmentRow::*hash = nullptr;
};
constexpr Column kAllColumns[] = {
    {"id", &SegmentRow::id},
    {"run", &SegmentRow::run},
    {"tier", &SegmentRow::tier},
    {"files", &SegmentRow::files},
    {"bytes", &SegmentRow::bytes},
    {"tombstones", &SegmentRow::tombstones},
    {"supersedes", &SegmentRow::supersedes},
    {"revived", &SegmentRow::revived},
    {"superseded_bytes", &SegmentRow::superseded_bytes},
    {"prefix_bits", &SegmentRow::prefix_bits},
    {"prefix", &SegmentRow::prefix},
    {"segment_bytes", &SegmentRow::segment_bytes},
    {"names_bytes", &SegmentRow::names_bytes},
    {"index_bytes", &SegmentRow::index_bytes},
    {"segment_check", nullptr, &SegmentRow::segment_check},
    {"names_check", nullptr, &SegmentRow::names_check},
    {"run_names", &SegmentRow::run_names},
    {"form", &SegmentRow::form},
};
constexpr size_t kFewestColumns = 16;  // those of version 2

json column_names(size_t count) {
  json names = json::array();
  for (const Column& column : std::span(kAllColumns).first(count)) names.push_back(column.name);
  return names;
}

// A row is written by hand as it is read: a seal writes all of them.
void append_row(std::string& text, const SegmentRow& row) {
  char digits[24];
  char before = '[';
  for (const Column& column : kAllColumns) {
    text += std::exchange(before, ',');
    if (column.number) {
      text.append(digits, std::to_chars(digits, digits + sizeof digits, row.*column.number).ptr);
    } else {
      text += '"' + (row.*column.hash).hex() + '"';
    }
  }
  text += "]\n";
}

// Takes what a row has next off the front of `line`; false when something else stands there.
bool take(std::string_view& line, char c) {
  if (line.empty() || line.front() != c) return false;
  line.remove_prefix(1);
  return true;
}

template <typename T>
bool take_number(std::string_view& line, T& value, int base = 10, size_t digits = 20) {
  const char* end = line.data() + std::min(line.size(), digits);
  const auto [at, error] = std::from_chars(line.data(), end, value, base);
  line.remove_prefix(static_cast<size_t>(at - line.data()));
  return error == std::errc();
}

// A row is read by hand: a manifest of 10^6 rows is read at every open.
bool parse_row(std::string_view line, std::span<const Column> columns, SegmentRow& row) {
  row.run_names = 0;
  char before = '[';
  for (const Column& column : columns) {
    if (!take(line, std::exchange(before, ','))) return false;
    if (column.number) {
      if (!take_number(line, row.*column.number)) return false;
    } else {
      Hash128& hash = row.*column.hash;
      const bool fine =
          take(line, '"') && take_number(line, hash.high, 16, 16) && take_number(line, hash.low, 16, 16) && take(line, '"');
      if (!fine) return false;
    }
  }
  return line == "]";
}

// What every reader of the rows takes for granted.
bool is_sane(const SegmentRow& row) {
  const bool counts = row.files >= 0 && row.tombstones >= 0 && row.tombstones <= row.files && row.bytes >= 0 &&
                      row.supersedes >= 0 && row.revived >= 0 && row.revived <= row.supersedes;
  const bool sizes = row.segment_bytes >= 0 && row.names_bytes >= 0 && row.index_bytes >= 0;
  const bool prefix = row.prefix_bits >= 0 && row.prefix_bits < 63 && row.prefix >= 0 && row.prefix >> row.prefix_bits == 0;
  const bool forms = row.run_names >> 1 == 0 && row.form >> 1 == 0 && (row.form == 0 || row.prefix_bits == 0);
  return row.id > 0 && counts && sizes && prefix && forms;
}

}  // namespace

std::string write_manifest(const Manifest& manifest, std::span<const SegmentRow> rows) {
  const json head = {{"format", kFormatName},  {"version", kVersion},     {"next_id", manifest.next_id},
                     {"log", manifest.log_id}, {"segments", rows.size()}, {"columns", column_names(std::size(kAllColumns))}};
  std::string text = head.dump() + "\n";
  text.reserve(text.size() + 256 * rows.size());
  for (const SegmentRow& row : rows) append_row(text, row);
  return text + std::string(kCheckStart) + hash128_hex(text) + "\"}\n";
}

Result<Manifest> parse_manifest(std::string_view text, const std::string& where, std::vector<SegmentRow>& rows) {
  const auto damaged = [&where](const std::string& what) {
    return data_loss("{}: {}; restore this file from a copy or from a snapshot", where, what);
  };
  const size_t check_at = text.rfind(kCheckStart);
  if (check_at == std::string_view::npos) return damaged("it is cut: its checksum is missing");
  const std::string_view checked = text.substr(0, check_at);
  const std::string wanted = std::string(kCheckStart) + hash128_hex(checked) + "\"}\n";
  if (text.substr(check_at) != wanted) return damaged("its checksum differs");
  size_t at = std::min(checked.find('\n'), checked.size());
  const json head = json::parse(checked.substr(0, at), nullptr, false);
  if (!head.is_object() || head.value("format", json()) != kFormatName) return damaged("it is not a lake's manifest");
  const json version = head.value("version", json());
  if (version != kVersion && version != kOldestVersion) {
    return make_status(Code::kUnimplemented, "{}: version {} of the lake; this program reads versions {} and {}", where,
                       version.dump(), kOldestVersion, kVersion);
  }
  Manifest manifest;
  for (const char* number : {"next_id", "log", "segments"}) {
    if (!head.value(number, json()).is_number_unsigned()) return damaged(fmt::format("\"{}\" is not a number", number));
  }
  manifest.next_id = head["next_id"];
  manifest.log_id = head["log"];
  // Columns that were added since have their defaults.
  const json named = head.value("columns", json::array());
  const size_t count = std::clamp(named.size(), kFewestColumns, std::size(kAllColumns));
  if (named != column_names(count)) return damaged("its columns are not those of this version");
  const std::span<const Column> columns = std::span(kAllColumns).first(count);
  rows.clear();
  for (++at; at < checked.size();) {
    const size_t end = std::min(checked.find('\n', at), checked.size());
    SegmentRow row;
    if (!parse_row(checked.substr(at, end - at), columns, row) || !is_sane(row))
      return damaged(fmt::format("the row at byte {} is not as written", at));
    rows.push_back(row);
    at = end + 1;
  }
  if (head["segments"] != rows.size()) return damaged("rows are missing");
  return manifest;
}

}  // namespace bgl::storage
