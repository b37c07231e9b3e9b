#include "prep/decontaminate.h"

#include <algorithm>

#include "base/hash.h"
#include "prep/dedup.h"
#include "prep/filters.h"
#include "text/documents/readers.h"

namespace bgl::prep {
namespace {

// The words from `at` to `at + n` as one piece of the normalised text, in which one space stands between two words.
std::string_view run_of(const std::vector<std::string_view>& words, size_t at, size_t n) {
  const std::string_view last = words[at + n - 1];
  return {words[at].data(), static_cast<size_t>(last.data() + last.size() - words[at].data())};
}

}  // namespace

Result<Evaluations> Evaluations::load(Env& env, const DecontaminateConfig& config) {
  Evaluations out(config);
  for (const std::string& path : config.against) {
    const std::string reader(text::reader_for_path(path));
    if (reader.empty()) {
      return invalid_argument("decontaminate.against: {}: no reader for this kind of file; .jsonl and .txt are read", path);
    }
    int64_t texts = 0;
    const std::vector<std::string> fields = reader == "jsonl" ? config.fields : std::vector<std::string>{""};
    for (const std::string& field : fields) {
      BGL_ASSIGN(std::unique_ptr<File> file, env.open(path, OpenMode::kRead));
      text::ReadOptions options;
      options.text_field = field;
      text::ReadHandlers handlers;
      handlers.document = [&](text::Document&& document) -> Status {
        ++texts;
        out.add(document.id, document.text);
        return {};
      };
      // A line without one of several fields is no damage.
      handlers.fault = [](text::ReadFault&&) { return Status(); };
      BGL_TRY(text::read_stream(reader, path, text::file_stream(std::move(file)), options, handlers));
    }
    if (texts == 0) {
      return invalid_argument(
          "decontaminate.against: {}: gives no text; decontaminate.fields names the fields of a line that are read", path);
    }
  }
  return out;
}

void Evaluations::add(const std::string& id, std::string_view text) {
  const std::string normal = normalised_text(text);
  const std::vector<std::string_view> words = words_of(normal);
  const size_t n = std::min(words.size(), static_cast<size_t>(words_));
  if (n < static_cast<size_t>(words_min_)) {
    ++too_short_;
    return;
  }
  const auto index = static_cast<uint32_t>(ids_.size());
  ids_.push_back(id);
  for (size_t at = 0; at + n <= words.size(); ++at) runs_.try_emplace(hash64(run_of(words, at, n), n), index);
  if (std::find(lengths_.begin(), lengths_.end(), n) == lengths_.end()) lengths_.push_back(n);
  std::sort(lengths_.begin(), lengths_.end());
}

std::optional<std::string> Evaluations::found_in(std::string_view normal) const {
  if (runs_.empty()) return std::nullopt;
  const std::vector<std::string_view> words = words_of(normal);
  for (size_t at = 0; at < words.size(); ++at) {
    for (const size_t n : lengths_) {
      if (at + n > words.size()) break;
      const auto hit = runs_.find(hash64(run_of(words, at, n), n));
      if (hit != runs_.end()) return ids_[hit->second];
    }
  }
  return std::nullopt;
}

std::string Evaluations::fingerprint() const {
  std::vector<uint64_t> hashes;
  for (const auto& [hash, text] : runs_) hashes.push_back(hash);
  std::sort(hashes.begin(), hashes.end());
  return hash128_hex({reinterpret_cast<const char*>(hashes.data()), hashes.size() * sizeof(uint64_t)});
}

}  // namespace bgl::prep
