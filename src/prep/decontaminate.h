// Decontamination: a document that shares a run of `words` words with a given evaluation text must not be learnt (Brown et al.
// 2020, https://arxiv.org/abs/2005.14165, appendix C, with 13 words). Words are those of normalised_text(): lower case, without
// punctuation. A shorter evaluation text counts as a whole if it has at least `words_min` words, and is left out below that,
// because such runs are in every text.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/env.h"
#include "base/status.h"
#include "prep/config.h"

namespace bgl::prep {

class Evaluations {
 public:
  // Reads the files of `config.against` (any reader; of jsonl each of `config.fields`). Memory: 40 bytes per word read. Errors:
  // a file that is not there, or gives no text.
  static Result<Evaluations> load(Env& env, const DecontaminateConfig& config);

  void add(const std::string& id, std::string_view text);
  // The id of the first evaluation text that `normal`, a normalised text, shares a run with.
  std::optional<std::string> found_in(std::string_view normal) const;

  bool empty() const { return runs_.empty(); }
  int64_t texts() const { return static_cast<int64_t>(ids_.size()); }
  int64_t too_short() const { return too_short_; }
  // Of all runs: two sets of one fingerprint decide alike.
  std::string fingerprint() const;

 private:
  explicit Evaluations(const DecontaminateConfig& config) : words_(config.words), words_min_(config.words_min) {}
  int words_, words_min_;
  int64_t too_short_ = 0;
  std::vector<std::string> ids_;
  std::unordered_map<uint64_t, uint32_t> runs_;  // hash of a run, to the text it is from
  std::vector<size_t> lengths_;                  // in words, of the runs that are there
};

}  // namespace bgl::prep
