// Any bytes are an archive or an error; entries lie inside it, and what is written again is read again.
#include "base/testing/fuzz.h"
#include "text/files/tar.h"

using bgl::fuzz_failed;
using bgl::text::TarReader;

namespace {

TarReader reader_of(const std::string& bytes, size_t& at) {
  return {[&bytes, &at](size_t limit) -> bgl::Result<std::string> {
            const std::string piece = bytes.substr(at, limit);
            at += piece.size();
            return piece;
          },
          "input"};
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  size_t at = 0, files = 0;
  TarReader reader = reader_of(bytes, at);
  for (;;) {
    const auto entry = reader.next();
    if (!entry.ok() || !*entry) break;
    if ((*entry)->bytes < 0) fuzz_failed("an entry of negative size");
    if (!(*entry)->is_file()) continue;
    const auto content = reader.content();
    if (!content.ok()) break;
    if (static_cast<int64_t>(content->size()) != (*entry)->bytes) fuzz_failed("the content has another size than said");
    ++files;
    const auto header = bgl::text::tar_header((*entry)->name, (*entry)->bytes);
    if (!header.ok()) continue;
    const std::string again = *header + *content + bgl::text::tar_padding((*entry)->bytes) + bgl::text::tar_end();
    size_t at_again = 0;
    TarReader second = reader_of(again, at_again);
    const auto same = second.next();
    if (!same.ok() || !*same || (*same)->name != (*entry)->name || *second.content() != *content)
      fuzz_failed("it is not read again");
  }
  bgl::fuzz_canary(files >= 2);
  return 0;
}
