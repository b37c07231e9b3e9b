#include "prep/internal/unit.h"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>

#include "prep/glob.h"
#include "prep/language.h"
#include "text/decompress.h"
#include "text/readers.h"

namespace bgl::prep {
namespace {

using nlohmann::json;
// Changes when the documents that a unit gives for the same inputs change.
constexpr const char* kUnitVersion = "unit 2";
constexpr size_t kUnitFiles = 64;
constexpr int64_t kUnitBytes = 16 << 20;
constexpr char kUnitMagic[9] = "BGLUNIT1";

bool ends_in(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

// Everything of the configuration that decides what a unit of this source gives.
std::string source_fingerprint(const PrepConfig& config, const SourceConfig& source) {
  const DedupConfig& d = config.dedup;
  const text::ReadLimits& l = config.limits;
  return fmt::format(
      "{}\nlimits {} {} {} {} {}\nfields {} {} {} {}\nreader {}\nselect {}\nlanguages {}\nrules {}\nnear {} {} {} {}\n",
      kUnitVersion, l.document_bytes, l.nodes, l.depth, l.seconds, l.unpack.ratio, source.text_field, source.id_field,
      source.title_field, source.url_field, source.reader, source.select, fmt::join(source.languages, " "),
      source.rules.fingerprint(), d.near, d.words, d.bands, d.rows);
}

std::string reader_of(const SourceConfig& source, const std::string& path) {
  return source.reader.empty() ? std::string(text::reader_for_path(path)) : source.reader;
}

std::string line_of(const json& object) { return object.dump(-1, ' ', false, json::error_handler_t::replace) + "\n"; }

struct Making {
  std::string docs, drops;
  UnitSummary summary;
};

void drop(Making& making, const std::string& id, const std::string& rule, const json& value) {
  making.drops += line_of({{"id", id}, {"rule", rule}, {"value", value}});
}

void take_document(const PrepConfig& config, const SourceConfig& source, const re2::RE2* select, text::Document& document,
                   Making& making) {
  ++making.summary.documents_in;
  making.summary.bytes_in += static_cast<int64_t>(document.text.size());
  if (select && !re2::RE2::PartialMatch(document.text, *select)) return drop(making, document.id, "select", document.title);
  if (!source.languages.empty()) {
    const Language language = detect_language(document.text);
    if (std::find(source.languages.begin(), source.languages.end(), language.code) == source.languages.end()) {
      return drop(making, document.id, "language", language.code);
    }
  }
  if (const std::optional<Drop> broken = filter_document(source.rules, document.text)) {
    return drop(making, document.id, broken->rule, json::parse(broken->value, nullptr, false));
  }
  making.summary.signatures.push_back(signature_of(document.text, config.dedup));
  making.summary.text_bytes.push_back(static_cast<int64_t>(document.text.size()));
  making.docs += line_of({{"id", document.id}, {"title", document.title}, {"text", document.text}});
}

std::string encoded_summary(const UnitSummary& summary, size_t bands) {
  std::string out(kUnitMagic, 8);
  const auto put = [&](uint64_t value) { out.append(reinterpret_cast<const char*>(&value), 8); };
  put(summary.signatures.size());
  put(bands);
  put(static_cast<uint64_t>(summary.documents_in));
  put(static_cast<uint64_t>(summary.bytes_in));
  for (size_t i = 0; i < summary.signatures.size(); ++i) {
    const Signature& s = summary.signatures[i];
    put(s.exact.high), put(s.exact.low), put(static_cast<uint64_t>(summary.text_bytes[i]));
    for (const uint64_t band : s.bands) put(band);
  }
  put(hash64(out));
  return out;
}

Result<std::vector<json>> read_lines(Env& env, const std::string& path) {
  BGL_ASSIGN(const std::string packed, env.read_file(path));
  BGL_ASSIGN(const std::string lines, text::decompress(packed, path));
  std::vector<json> out;
  for (size_t at = 0; at < lines.size();) {
    const size_t end = std::min(lines.find('\n', at), lines.size());
    out.push_back(json::parse(lines.begin() + static_cast<long>(at), lines.begin() + static_cast<long>(end), nullptr, false));
    if (!out.back().is_object()) return data_loss("{}: line {} is not a JSON object", path, out.size());
    at = end + 1;
  }
  return out;
}

std::string unit_path(const std::string& work, const Unit& unit, const char* suffix) {
  return join_path(work, unit.key + suffix);
}

}  // namespace

Result<std::vector<Unit>> plan_units(const PrepConfig& config, const std::vector<FileEntry>& files) {
  std::map<std::string, std::string> hashes;  // of the files beside a dictd index
  for (const FileEntry& file : files) {
    if (ends_in(file.path, ".dict.dz") || ends_in(file.path, ".dict")) hashes[file.path] = file.hash;
  }
  std::vector<Unit> out;
  for (size_t s = 0; s < config.sources.size(); ++s) {
    const SourceConfig& source = config.sources[s];
    BGL_ASSIGN(const Globs match, Globs::compile(source.match));
    BGL_ASSIGN(const Globs exclude, Globs::compile(source.exclude));
    const size_t first = out.size();
    int64_t bytes = 0;
    for (const FileEntry& file : files) {
      if (!match.match(file.path) || exclude.match(file.path)) continue;
      if (out.size() == first || out.back().files.size() >= kUnitFiles || bytes >= kUnitBytes) {
        out.push_back({s, static_cast<int>(out.size() - first), {}, {}});
        bytes = 0;
      }
      out.back().files.push_back(file);
      bytes += file.bytes;
    }
    if (out.size() == first && !source.optional)
      return not_found("source '{}' matches no file ({})", source.name, fmt::join(source.match, ", "));
    for (size_t u = first; u < out.size(); ++u) {
      std::string made_of = source_fingerprint(config, source);
      for (const FileEntry& file : out[u].files) {
        made_of += file.path + "\n" + file.hash + "\n";
        if (reader_of(source, file.path) != "dictd") continue;
        const std::string base = file.path.substr(0, file.path.rfind('.'));
        made_of += hashes[base + ".dict.dz"] + hashes[base + ".dict"] + "\n";
      }
      out[u].key = hash128_hex(made_of);
    }
  }
  return out;
}

Status make_unit(Env& env, const std::string& work, const PrepConfig& config, const Unit& unit, FileSource& files) {
  if (env.exists(unit_path(work, unit, ".sig"))) return {};
  const SourceConfig& source = config.sources[unit.source];
  std::unique_ptr<re2::RE2> select;
  if (!source.select.empty()) select = std::make_unique<re2::RE2>(source.select, re2::RE2::Quiet);
  Making making;
  text::ReadOptions options{config.limits, source.text_field, source.id_field, source.title_field, source.url_field, {}};
  options.fetch = [&](const std::string& path) { return files.get(path); };
  text::ReadHandlers handlers;
  handlers.document = [&](text::Document&& document) -> Status {
    take_document(config, source, select.get(), document, making);
    return {};
  };
  handlers.fault = [&](text::ReadFault&& fault) -> Status {
    ++making.summary.documents_in;
    drop(making, fault.id, fault.rule, fault.why);
    return {};
  };
  for (const FileEntry& file : unit.files) {
    const std::string reader = reader_of(source, file.path);
    if (reader.empty()) {
      drop(making, file.path, "unreadable", "no reader for this kind of file");
      continue;
    }
    BGL_ASSIGN(std::unique_ptr<text::ByteStream> bytes, files.open(file.path));
    BGL_TRY(text::read_stream(reader, file.path, std::move(bytes), options, handlers));
  }
  BGL_ASSIGN(const std::string docs, text::compress_zstd(making.docs));
  BGL_ASSIGN(const std::string drops, text::compress_zstd(making.drops));
  BGL_TRY(env.write_file_atomic(unit_path(work, unit, ".docs.zst"), docs));
  BGL_TRY(env.write_file_atomic(unit_path(work, unit, ".drops.zst"), drops));
  const size_t bands = config.dedup.near ? static_cast<size_t>(config.dedup.bands) : 0;
  return env.write_file_atomic(unit_path(work, unit, ".sig"), encoded_summary(making.summary, bands));
}

Result<UnitSummary> read_unit_summary(Env& env, const std::string& work, const Unit& unit) {
  const std::string path = unit_path(work, unit, ".sig");
  BGL_ASSIGN(const std::string bytes, env.read_file(path));
  const auto at = [&](size_t i) {
    uint64_t value = 0;
    std::memcpy(&value, bytes.data() + i * 8, 8);
    return value;
  };
  const size_t words = bytes.size() / 8;
  const bool whole = bytes.size() % 8 == 0 && words >= 6 && bytes.compare(0, 8, kUnitMagic, 8) == 0 &&
                     hash64(std::string_view(bytes).substr(0, bytes.size() - 8)) == at(words - 1) && at(1) <= words &&
                     at(2) <= 256 && words == 6 + at(1) * (3 + at(2));
  if (!whole) return data_loss("{}: damaged; remove it and run again", path);
  UnitSummary out;
  out.documents_in = static_cast<int64_t>(at(3));
  out.bytes_in = static_cast<int64_t>(at(4));
  size_t i = 5;
  for (uint64_t n = 0; n < at(1); ++n) {
    Signature s;
    s.exact = {at(i), at(i + 1)};
    out.text_bytes.push_back(static_cast<int64_t>(at(i + 2)));
    i += 3;
    for (uint64_t b = 0; b < at(2); ++b) s.bands.push_back(at(i++));
    out.signatures.push_back(std::move(s));
  }
  return out;
}

Result<std::vector<UnitDocument>> read_unit_documents(Env& env, const std::string& work, const Unit& unit) {
  BGL_ASSIGN(const std::vector<json> lines, read_lines(env, unit_path(work, unit, ".docs.zst")));
  std::vector<UnitDocument> out;
  for (const json& line : lines) out.push_back({line.value("id", ""), line.value("title", ""), line.value("text", "")});
  return out;
}

Result<std::vector<UnitDrop>> read_unit_drops(Env& env, const std::string& work, const Unit& unit) {
  BGL_ASSIGN(const std::vector<json> lines, read_lines(env, unit_path(work, unit, ".drops.zst")));
  std::vector<UnitDrop> out;
  for (const json& line : lines)
    out.push_back({line.value("id", ""), line.value("rule", ""), line.value("value", json()).dump()});
  return out;
}

}  // namespace bgl::prep
