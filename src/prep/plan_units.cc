#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/hash.h"
#include "prep/glob.h"
#include "prep/internal/unit.h"
#include "text/documents/readers.h"

namespace bgl::prep {
namespace {

// Changes when the documents that a unit gives for the same inputs change.
constexpr const char* kUnitVersion = "unit 3";
constexpr size_t kUnitFiles = 64;
constexpr int64_t kUnitBytes = 16 << 20;

// Everything of the configuration that decides what a unit of this source gives.
std::string source_fingerprint(const PrepConfig& config, const Evaluations& evaluations, const SourceConfig& source) {
  const DedupConfig& d = config.dedup;
  const text::ReadLimits& l = config.limits;
  std::string out = fmt::format("{}\nlimits {} {} {} {} {}\nfields {} {} {} {}\nreader {}\nselect {}\n", kUnitVersion,
                                l.document_bytes, l.nodes, l.depth, l.seconds, l.unpack.ratio, source.text_field,
                                source.id_field, source.title_field, source.url_field, source.reader, source.select);
  out +=
      fmt::format("languages {} {} {}\nrules {}\nnear {} {} {} {}\n", fmt::join(source.languages, " "), source.language_share,
                  source.language_sample, source.rules.fingerprint(), d.near, d.words, d.bands, d.rows);
  for (const Privacy p : source.privacy) out += fmt::format("privacy {}\n", static_cast<int>(p));
  if (!evaluations.empty()) out += fmt::format("evaluations {}\n", evaluations.fingerprint());
  return out;
}

// Whether a unit begins at this file, whatever came before: about one in 32 small files, each large one, and in proportion
// between.
bool begins_unit(const FileEntry& file) {
  const double share = std::max(1.0 / 32, static_cast<double>(file.bytes) / (kUnitBytes / 2));
  return static_cast<double>(hash64(file.path) >> 11) * 0x1p-53 < share;
}

bool is_dictd(const SourceConfig& source, const std::string& path) {
  return source.reader.empty() ? text::reader_for_path(path) == "dictd" : source.reader == "dictd";
}

void add_units(size_t source, const Globs& match, const Globs& exclude, const std::vector<FileEntry>& files,
               std::vector<Unit>& out) {
  const size_t first = out.size();
  int64_t bytes = 0;
  bool alone = false;  // the file before is a unit of its own
  for (const FileEntry& file : files) {
    if (!match.match(file.path) || exclude.match(file.path)) continue;
    const bool large = file.bytes >= kUnitBytes / 2;
    if (out.size() == first || alone || large || begins_unit(file) || out.back().files.size() >= kUnitFiles ||
        bytes >= kUnitBytes) {
      out.push_back({source, {}, {}});
      bytes = 0;
    }
    alone = large;
    out.back().files.push_back(file);
    bytes += file.bytes;
  }
}

}  // namespace

Result<std::vector<Unit>> plan_units(const PrepConfig& config, const Evaluations& evaluations,
                                     const std::vector<FileEntry>& files) {
  std::map<std::string, std::string> hashes;  // of the files beside a dictd index
  for (const FileEntry& file : files) {
    if (file.path.ends_with(".dict.dz") || file.path.ends_with(".dict")) hashes[file.path] = file.hash;
  }
  std::vector<Unit> out;
  for (size_t s = 0; s < config.sources.size(); ++s) {
    const SourceConfig& source = config.sources[s];
    BGL_ASSIGN(const Globs match, Globs::compile(source.match));
    BGL_ASSIGN(const Globs exclude, Globs::compile(source.exclude));
    const size_t first = out.size();
    add_units(s, match, exclude, files, out);
    if (out.size() == first && !source.optional)
      return not_found("source '{}' matches no file ({})", source.name, fmt::join(source.match, ", "));
    const std::string fingerprint = source_fingerprint(config, evaluations, source);
    for (size_t u = first; u < out.size(); ++u) {
      std::string made_of = fingerprint;
      for (const FileEntry& file : out[u].files) {
        made_of += file.path + "\n" + file.hash + "\n";
        if (!is_dictd(source, file.path)) continue;
        const std::string base = file.path.substr(0, file.path.rfind('.'));
        made_of += hashes[base + ".dict.dz"] + hashes[base + ".dict"] + "\n";
      }
      out[u].key = hash128_hex(made_of);
    }
  }
  return out;
}

}  // namespace bgl::prep
