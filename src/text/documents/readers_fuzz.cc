// Any bytes are documents of valid UTF-8, or faults that say why, for every reader; the first line of an input names the
// reader.
#include <algorithm>

#include "base/testing/fuzz.h"
#include "text/documents/reading_for_test.h"
#include "text/unicode.h"

using bgl::fuzz_failed;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t line = std::min(input.find('\n'), size);
  const auto names = bgl::text::reader_names();
  const bool named = std::find(names.begin(), names.end(), input.substr(0, line)) != names.end();
  const std::string reader(named ? input.substr(0, line) : names[size % names.size()]);
  const std::string_view bytes = named ? input.substr(std::min(line + 1, size)) : input;
  bgl::text::ReadOptions options;
  options.limits.document_bytes = 100000;
  options.limits.nodes = 2000;
  options.limits.depth = 300;
  options.fetch = [&](const std::string&) -> bgl::Result<std::string> { return std::string(bytes); };
  const bgl::text::ReadResult read = bgl::text::read_bytes(reader, "f.index", bytes, options);
  if (!read.status.ok()) fuzz_failed("not a fault but a failure: " + read.status.message());
  for (const bgl::text::Document& d : read.documents) {
    if (d.text.empty() || !bgl::text::is_valid_utf8(d.text)) fuzz_failed("a document of no text: " + d.id);
  }
  for (const bgl::text::ReadFault& f : read.faults) {
    if (f.id.empty() || f.rule.empty()) fuzz_failed("a fault without a name");
  }
  bgl::fuzz_canary(reader == "warc" && read.documents.size() >= 2 && !read.faults.empty());
  return 0;
}
