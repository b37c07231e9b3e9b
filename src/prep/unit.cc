#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#include "prep/internal/samples.h"
#include "prep/language.h"
#include "text/documents/readers.h"
#include "text/files/packed_writer.h"
#include "text/files/stream_window.h"

namespace bgl::prep {
namespace {

using nlohmann::json;
constexpr char kUnitMagic[9] = "BGLUNIT2";
constexpr size_t kFooterBytes = 40;
constexpr size_t kSamplesPerRule = 4;
constexpr size_t kSampleBytes = 1200;

std::string line_of(const json& object) { return object.dump(-1, ' ', false, json::error_handler_t::replace) + "\n"; }

std::string unit_path(const std::string& work, const Unit& unit, const char* suffix) {
  return join_path(work, unit.key + suffix);
}

std::string beginning(const std::string& text) {
  size_t end = std::min(text.size(), kSampleBytes);
  while (end < text.size() && end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end);
}

// The .sig file while it is written.
class SignatureWriter {
 public:
  SignatureWriter(std::unique_ptr<File> file, size_t bands) : file_(std::move(file)), bands_(bands) {}
  Status add(const Signature& s, size_t text_bytes) {
    put(s.exact.high), put(s.exact.low), put(text_bytes);
    for (const uint64_t band : s.bands) put(band);
    ++rows_;
    return buffer_.size() < (size_t{1} << 20) ? Status() : flush();
  }
  Status finish(const UnitCounts& counts) {
    const std::string text = json{
        {"documents_in", counts.documents_in},
        {"bytes_in", counts.bytes_in},
        {"drops", counts.drops},
        {"masked",
         counts.masked}}.dump();
    buffer_ += text;
    put(rows_), put(bands_), put(text.size());
    BGL_TRY(flush());
    put(hasher_.digest64());
    buffer_.append(kUnitMagic, 8);
    BGL_TRY(flush());
    BGL_TRY(file_->sync());
    return file_->close();
  }

 private:
  void put(uint64_t value) { buffer_.append(reinterpret_cast<const char*>(&value), 8); }
  Status flush() {
    hasher_.update(buffer_);
    BGL_TRY(file_->append(buffer_));
    buffer_.clear();
    return {};
  }
  std::unique_ptr<File> file_;
  const size_t bands_;
  uint64_t rows_ = 0;
  std::string buffer_;
  Hasher hasher_;
};

// One unit in the making. Each document goes through take(), whose order is that of the report: what it is, what it says, whom
// it names, whether it is a test's.
class Making {
 public:
  Making(const Workshop& shop, const Unit& unit, text::PackedWriter docs, text::PackedWriter drops, SignatureWriter signatures)
      : shop_(shop),
        unit_(unit),
        source_(shop.config.sources[unit.source]),
        docs_(std::move(docs)),
        drops_(std::move(drops)),
        signatures_(std::move(signatures)),
        samples_(kSamplesPerRule) {
    if (!source_.select.empty()) select_ = std::make_unique<re2::RE2>(source_.select, re2::RE2::Quiet);
  }

  Status read(const FileEntry& file) {
    const std::string reader = source_.reader.empty() ? std::string(text::reader_for_path(file.path)) : source_.reader;
    if (reader.empty()) return not_read({file.path, "unreadable", "no reader for this kind of file"});
    if (file.bytes > shop_.files.open_bytes_max()) {
      return not_read(
          {file.path, "over_limit",
           fmt::format("{}: a lake gives a file as a whole, and this has {} bytes, more than {}; keep it in a folder",
                       file.path, file.bytes, shop_.files.open_bytes_max())});
    }
    text::ReadOptions options{shop_.config.limits, source_.text_field, source_.id_field,
                              source_.title_field, source_.url_field,  {}};
    options.fetch = [&](const std::string& path) { return shop_.files.get(path); };
    const text::ReadHandlers handlers{[&](text::Document&& d) { return take(d); },
                                      [&](text::ReadFault&& fault) { return not_read(fault); }};
    BGL_ASSIGN(std::unique_ptr<text::ByteStream> bytes, shop_.files.open(file.path));
    return text::read_stream(reader, file.path, std::move(bytes), options, handlers);
  }

  Status finish() {
    BGL_TRY(docs_.finish());
    BGL_TRY(drops_.finish());
    json samples = json::array();
    for (const auto& [kind, list] : samples_.kinds()) {
      for (const Sample& s : list) {
        samples.push_back({{"order", s.order},
                           {"number", s.number},
                           {"id", s.id},
                           {"rule", s.rule},
                           {"value", s.value},
                           {"title", s.title},
                           {"text", s.text}});
      }
    }
    BGL_TRY(shop_.env.write_file_atomic(unit_path(shop_.work, unit_, ".samples.json"), line_of(samples)));
    BGL_TRY(signatures_.finish(counts_));
    const std::string path = unit_path(shop_.work, unit_, ".sig");
    BGL_TRY(shop_.env.rename(path + ".tmp", path));
    return shop_.env.sync_dir(shop_.work);
  }

 private:
  Status not_read(const text::ReadFault& fault) {
    ++counts_.documents_in;
    return drop({fault.id, {}, {}, {}, {}}, fault.rule, json(fault.why));
  }

  Status drop(const text::Document& document, const std::string& rule, const json& value) {
    ++counts_.drops[rule];
    sample(document, rule, value.dump(-1, ' ', false, json::error_handler_t::replace), -1);
    return drops_.append(line_of({{"id", document.id}, {"rule", rule}, {"value", value}}));
  }

  void sample(const text::Document& document, const std::string& rule, const std::string& value, int64_t number) {
    const uint64_t order = hash64(document.id);
    if (!samples_.wants(rule, order)) return;
    samples_.add(rule, {order, number, document.id, rule, value, document.title, beginning(document.text)});
  }

  Status take(text::Document& document) {
    ++counts_.documents_in;
    counts_.bytes_in += static_cast<int64_t>(document.text.size());
    if (select_ && !re2::RE2::PartialMatch(document.text, *select_)) return drop(document, "select", document.title);
    if (!source_.languages.empty()) {
      const Language language = detect_language(document.text, source_.language_sample);
      const bool wanted =
          std::find(source_.languages.begin(), source_.languages.end(), language.code) != source_.languages.end();
      if (!wanted || language.share < source_.language_share) return drop(document, "language", language.code);
    }
    if (const std::optional<Drop> broken = filter_document(source_.rules, document.text)) return drop(document, *broken);
    int64_t masked[kPersonalKinds] = {};
    if (const std::optional<Drop> named = protect_personal_data(source_.privacy, document.text, masked))
      return drop(document, *named);
    for (size_t k = 0; k < kPersonalKinds; ++k) {
      if (masked[k] > 0) counts_.masked[personal_kind_name(static_cast<PersonalKind>(k))] += masked[k];
    }
    const std::string normal = normalised_text(document.text);
    if (const std::optional<std::string> test = shop_.evaluations.found_in(normal))
      return drop(document, "contaminated", *test);
    sample(document, "", "null", number_++);
    BGL_TRY(signatures_.add(signature_of_normalised(normal, shop_.config.dedup), document.text.size()));
    json line = {{"id", document.id}, {"text", document.text}};
    if (!document.title.empty()) line["title"] = document.title;
    if (!document.url.empty()) line["url"] = document.url;
    return docs_.append(line_of(line));
  }
  Status drop(const text::Document& document, const Drop& broken) {
    return drop(document, broken.rule, json::parse(broken.value, nullptr, false));
  }

  const Workshop& shop_;
  const Unit& unit_;
  const SourceConfig& source_;
  text::PackedWriter docs_, drops_;
  SignatureWriter signatures_;
  Samples samples_;
  std::unique_ptr<re2::RE2> select_;
  UnitCounts counts_;
  int64_t number_ = 0;
};

Status each_line(Env& env, const std::string& path, const std::function<Status(std::string_view)>& fn) {
  BGL_ASSIGN(std::unique_ptr<File> file, env.open(path, OpenMode::kRead));
  const auto lines = text::unpack_stream(text::file_stream(std::move(file)), path, {.free_bytes = INT64_MAX});
  text::StreamWindow window(*lines);
  std::string line;
  for (;;) {
    bool cut = false;
    BGL_ASSIGN(const bool more, window.take_until('\n', SIZE_MAX, line, cut));
    if (!more) return {};
    if (line.empty() || line[0] != '{') return data_loss("{}: damaged; remove it and run again", path);
    BGL_TRY(fn(line));
  }
}

}  // namespace

Status make_unit(const Workshop& shop, const Unit& unit) {
  const std::string signatures = unit_path(shop.work, unit, ".sig");
  if (shop.env.exists(signatures)) return {};
  BGL_ASSIGN(text::PackedWriter docs, text::PackedWriter::create(shop.env, unit_path(shop.work, unit, ".docs.zst")));
  BGL_ASSIGN(text::PackedWriter drops, text::PackedWriter::create(shop.env, unit_path(shop.work, unit, ".drops.zst")));
  BGL_ASSIGN(std::unique_ptr<File> file, shop.env.open(signatures + ".tmp", OpenMode::kWrite));
  const size_t bands = shop.config.dedup.near ? static_cast<size_t>(shop.config.dedup.bands) : 0;
  Making making(shop, unit, std::move(docs), std::move(drops), SignatureWriter(std::move(file), bands));
  for (const FileEntry& entry : unit.files) BGL_TRY(making.read(entry));
  return making.finish();
}

Result<UnitSignatures> UnitSignatures::open(Env& env, const std::string& work, const Unit& unit) {
  const std::string path = unit_path(work, unit, ".sig");
  UnitSignatures out;
  BGL_ASSIGN(out.view_, env.map(path));
  const std::string_view bytes = out.view_->bytes();
  const auto damaged = [&] { return data_loss("{}: damaged; remove it and run again", path); };
  if (bytes.size() < kFooterBytes || !bytes.ends_with(std::string_view(kUnitMagic, 8))) return damaged();
  const auto field = [&](size_t i) {
    uint64_t value = 0;
    std::memcpy(&value, bytes.data() + bytes.size() - kFooterBytes + i * 8, 8);
    return value;
  };
  const uint64_t rows = field(0), bands = field(1), json_bytes = field(2), room = bytes.size() - kFooterBytes;
  const bool fits = bands <= 256 && json_bytes <= room && rows <= room / 8 && rows * (3 + bands) * 8 + json_bytes == room &&
                    hash64(bytes.substr(0, bytes.size() - 16)) == field(3);
  if (!fits) return damaged();
  const json counts = json::parse(bytes.substr(room - json_bytes, json_bytes), nullptr, false);
  if (!counts.is_object()) return damaged();
  out.size_ = rows;
  out.bands_ = bands;
  out.counts_ = {counts.value("documents_in", int64_t{0}), counts.value("bytes_in", int64_t{0}),
                 counts.value("drops", std::map<std::string, int64_t>()),
                 counts.value("masked", std::map<std::string, int64_t>())};
  return out;
}

Status each_unit_document(Env& env, const std::string& work, const Unit& unit,
                          const std::function<Status(std::string_view)>& fn) {
  return each_line(env, unit_path(work, unit, ".docs.zst"), fn);
}

Status each_unit_drop(Env& env, const std::string& work, const Unit& unit, const std::function<Status(std::string_view)>& fn) {
  return each_line(env, unit_path(work, unit, ".drops.zst"), fn);
}

Result<std::vector<Sample>> read_unit_samples(Env& env, const std::string& work, const Unit& unit) {
  const std::string path = unit_path(work, unit, ".samples.json");
  BGL_ASSIGN(const std::string bytes, env.read_file(path));
  const json list = json::parse(bytes, nullptr, false);
  if (!list.is_array()) return data_loss("{}: damaged; remove it and run again", path);
  std::vector<Sample> out;
  for (const json& s : list) {
    if (!s.is_object()) return data_loss("{}: damaged; remove it and run again", path);
    out.push_back({s.value("order", uint64_t{0}), s.value("number", int64_t{-1}), s.value("id", ""), s.value("rule", ""),
                   s.value("value", ""), s.value("title", ""), s.value("text", "")});
  }
  return out;
}

}  // namespace bgl::prep
