// How often each word is in a corpus, with a bound on memory: beyond it, sorted runs of words go to a file, and are merged when
// the words are asked for. Counts have 64 bits.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/status.h"
#include "text/tokenizers/internal/scratch_file.h"

namespace bgl::text {

class WordCounts {
 public:
  // `folder` holds the runs while this lives. `memory_bytes` <= 0: no bound, no file.
  WordCounts(std::string folder, int64_t memory_bytes) : folder_(std::move(folder)), memory_bytes_(memory_bytes) {}
  Status add(std::string_view word);
  // Calls fn for every word once: in the order of their bytes where runs were written, else in any. Then this is empty.
  Status take(const std::function<Status(std::string_view word, int64_t count)>& fn);
  bool spilled() const { return !runs_.empty(); }

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view s) const;
  };
  Status spill();
  Status merge(const std::function<Status(std::string_view, int64_t)>& fn);

  const std::string folder_;
  const int64_t memory_bytes_;
  int64_t held_bytes_ = 0;
  std::unordered_map<std::string, int64_t, Hash, std::equal_to<>> counts_;
  std::vector<ScratchFile> runs_;
};

}  // namespace bgl::text
