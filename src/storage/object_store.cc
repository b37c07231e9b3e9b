#include "storage/object_store.h"

namespace bgl::storage {

Status ObjectStore::put(const std::string& key, std::string_view bytes) {
  BGL_ASSIGN(auto writer, create(key));
  BGL_TRY(writer->append(bytes));
  return writer->commit();
}

Result<std::string> ObjectStore::get(const std::string& key) {
  BGL_ASSIGN(const int64_t bytes, size(key));
  return get_range(key, 0, bytes);
}

Status check_key(const std::string& key) {
  const auto wrong = [&key](const char* why) {
    return invalid_argument("object key \"{}\": {}; use parts of letters, digits, \".\", \"_\", \"-\", joined by \"/\"", key,
                            why);
  };
  size_t at = 0;
  while (at <= key.size()) {
    const size_t end = std::min(key.find('/', at), key.size());
    const std::string_view part = std::string_view(key).substr(at, end - at);
    if (part.empty()) return wrong("a part is empty");
    if (part == "." || part == "..") return wrong("a part is \".\" or \"..\"");
    if (part.ends_with(".tmp") || part.ends_with(".lock")) return wrong("a part ends in \".tmp\" or \".lock\"");
    for (const char c : part) {
      const bool fine =
          (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
      if (!fine) return wrong("a character is not allowed");
    }
    at = end + 1;
  }
  return {};
}

}  // namespace bgl::storage
