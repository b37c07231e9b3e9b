// Any bytes are a lake's manifest or an error; a manifest written again gives the same rows. The checksum at the end is made to
// fit, or nothing but it would be tried.
#include "base/hash.h"
#include "base/testing/fuzz.h"
#include "storage/lake/internal/manifest.h"

using namespace bgl;
using namespace bgl::storage;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string text(reinterpret_cast<const char*>(data), size);
  text.resize(std::min(text.size(), text.rfind("{\"check\":\"")));
  text += "{\"check\":\"" + hash128_hex(text) + "\"}\n";
  std::vector<SegmentRow> rows;
  const auto manifest = parse_manifest(text, "input", rows);
  if (!manifest.ok()) {
    const Code code = manifest.status().code();
    if (code != Code::kDataLoss && code != Code::kUnimplemented) fuzz_failed("not data loss: " + manifest.status().to_string());
    return 0;
  }
  for (const SegmentRow& row : rows) {
    if (row.files < 0 || row.prefix_bits > 62 || row.index_bytes < 0) fuzz_failed("a row that no reader expects");
  }
  std::vector<SegmentRow> again;
  const auto written = write_manifest(*manifest, rows);
  if (!parse_manifest(written, "output", again).ok()) fuzz_failed("cannot be read again");
  if (write_manifest(*manifest, again) != written) fuzz_failed("another manifest was written");
  fuzz_canary(rows.size() >= 2);
  return 0;
}
