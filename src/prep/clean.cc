#include "prep/clean.h"

#include <nlohmann/json.hpp>

#include "text/files/byte_stream.h"
#include "text/files/stream_window.h"

namespace bgl::prep {

Result<CleanIndex> read_clean_index(Env& env, const std::string& clean) {
  const std::string path = join_path(clean, "summary.json");
  if (!env.exists(path)) return not_found("{}: no summary.json; run 'bgl prep CONFIG --in LAKE --out {}' first", clean, clean);
  BGL_ASSIGN(const std::string bytes, env.read_file(path));
  const nlohmann::json summary = nlohmann::json::parse(bytes, nullptr, false);
  if (!summary.is_object() || !summary.contains("key") || !summary.contains("files") || !summary["files"].is_array()) {
    return data_loss("{}: not a summary of prep", path);
  }
  CleanIndex out;
  out.key = summary.value("key", "");
  for (const nlohmann::json& file : summary["files"]) {
    out.files.push_back({file.value("file", ""), file.value("unit", ""),
                         file.value("train_documents", int64_t{0}) + file.value("heldout_documents", int64_t{0})});
  }
  return out;
}

namespace {

Status each_document_of(Env& env, const std::string& path, int64_t documents, const std::function<Status(const CleanDocument&)>& fn) {
  BGL_ASSIGN(std::unique_ptr<File> opened, env.open(path, OpenMode::kRead));
  const auto lines = text::unpack_stream(text::file_stream(std::move(opened)), path, {.free_bytes = INT64_MAX});
  text::StreamWindow window(*lines);
  std::string line;
  for (int64_t number = 1;; ++number) {
    bool cut = false;
    BGL_ASSIGN(const bool more, window.take_until('\n', SIZE_MAX, line, cut));
    if (!more && number - 1 == documents) return {};
    if (!more) return data_loss("{}: holds {} documents, its summary says {}", path, number - 1, documents);
    const nlohmann::json json = nlohmann::json::parse(line, nullptr, false);
    if (!json.is_object()) return data_loss("{}: line {} is not a JSON object", path, number);
    CleanDocument d;
    d.id = json.value("id", "");
    d.domain = json.value("domain", "");
    d.source = json.value("source", "");
    d.licence = json.value("licence", "");
    d.title = json.value("title", "");
    d.text = json.value("text", "");
    d.heldout = json.value("split", "") == "heldout";
    BGL_TRY(fn(d));
  }
}

}  // namespace

Status each_clean_document(Env& env, const std::string& clean, const CleanIndex::File& file,
                           const std::function<Status(const CleanDocument&)>& fn) {
  const Status read = each_document_of(env, join_path(clean, file.file), file.documents, fn);
  if (read.code() != Code::kDataLoss) return read;
  return data_loss("{}; remove the file and run 'bgl prep' again, which writes it anew", read.message());
}

Status each_clean_document(Env& env, const std::string& clean, const std::function<Status(const CleanDocument&)>& fn) {
  BGL_ASSIGN(const CleanIndex index, read_clean_index(env, clean));
  for (const CleanIndex::File& file : index.files) BGL_TRY(each_clean_document(env, clean, file, fn));
  return {};
}

}  // namespace bgl::prep
