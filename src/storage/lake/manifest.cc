#include "storage/lake/internal/manifest.h"

#include <nlohmann/json.hpp>

namespace bgl::storage {
namespace {

using nlohmann::json;

constexpr std::string_view kFormatName = "bgl lake";
constexpr std::string_view kCheckStart = "{\"check\":\"";

json row_json(const SegmentRow& row) {
  return {{"id", row.id},
          {"run", row.run},
          {"tier", row.tier},
          {"files", row.files},
          {"bytes", row.bytes},
          {"supersedes", row.supersedes},
          {"superseded_bytes", row.superseded_bytes},
          {"prefix_bits", row.prefix_bits},
          {"prefix", row.prefix},
          {"segment_bytes", row.segment_bytes},
          {"names_bytes", row.names_bytes},
          {"index_bytes", row.index_bytes},
          {"segment_check", row.segment_check.hex()},
          {"names_check", row.names_check.hex()}};
}

Hash128 parse_hash(const std::string& hex) {
  return {std::stoull(hex.substr(0, 16), nullptr, 16), std::stoull(hex.substr(16, 16), nullptr, 16)};
}

SegmentRow parse_row(const json& line) {
  SegmentRow row;
  row.id = line.at("id");
  row.run = line.at("run");
  row.tier = line.at("tier");
  row.files = line.at("files");
  row.bytes = line.at("bytes");
  row.supersedes = line.at("supersedes");
  row.superseded_bytes = line.at("superseded_bytes");
  row.prefix_bits = line.at("prefix_bits");
  row.prefix = line.at("prefix");
  row.segment_bytes = line.at("segment_bytes");
  row.names_bytes = line.at("names_bytes");
  row.index_bytes = line.at("index_bytes");
  row.segment_check = parse_hash(line.at("segment_check"));
  row.names_check = parse_hash(line.at("names_check"));
  return row;
}

}  // namespace

std::string write_manifest(const Manifest& manifest) {
  json head = {{"format", kFormatName},
               {"version", 1},
               {"next_id", manifest.next_id},
               {"log", manifest.log_id},
               {"segments", manifest.segments.size()}};
  std::string text = head.dump() + "\n";
  for (const SegmentRow& row : manifest.segments) text += row_json(row).dump() + "\n";
  return text + std::string(kCheckStart) + hash128_hex(text) + "\"}\n";
}

Result<Manifest> parse_manifest(std::string_view text, const std::string& where) {
  const auto damaged = [&where](const std::string& what) {
    return data_loss("{}: {}; restore this file from a copy or from a snapshot", where, what);
  };
  const size_t check_at = text.rfind(kCheckStart);
  if (check_at == std::string_view::npos) return damaged("it is cut: its checksum is missing");
  const std::string_view checked = text.substr(0, check_at);
  const std::string wanted = std::string(kCheckStart) + hash128_hex(checked) + "\"}\n";
  if (text.substr(check_at) != wanted) return damaged("its checksum differs");
  Manifest manifest;
  try {
    size_t at = 0;
    while (at < checked.size()) {
      const size_t end = checked.find('\n', at);
      const json line = json::parse(checked.substr(at, end - at));
      if (at == 0) {
        if (line.at("format") != kFormatName) return damaged("it is not a lake's manifest");
        if (line.at("version") != 1) {
          return make_status(Code::kUnimplemented, "{}: version {} of the lake; this program reads version 1", where,
                             line.at("version").dump());
        }
        manifest.next_id = line.at("next_id");
        manifest.log_id = line.at("log");
      } else {
        manifest.segments.push_back(parse_row(line));
      }
      at = end + 1;
    }
  } catch (const std::exception& e) {
    return damaged(std::string("it is not as written (") + e.what() + ")");
  }
  return manifest;
}

}  // namespace bgl::storage
