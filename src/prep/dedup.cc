#include "prep/dedup.h"

#include <algorithm>
#include <numeric>
#include <unordered_map>

#include "prep/filters.h"
#include "text/unicode.h"

namespace bgl::prep {
namespace {

// SplitMix64 (Steele, Lea, Flood 2014): the fixed stream of the permutations' coefficients.
uint64_t splitmix(uint64_t& state) {
  uint64_t z = state += 0x9E3779B97F4A7C15ull;
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ z >> 27) * 0x94D049BB133111EBull;
  return z ^ z >> 31;
}

// h(x) = (a x + b) mod 2^64, upper half: a multiply-shift family, a odd (Dietzfelbinger et al. 1997).
struct Permutation {
  uint64_t a, b;
};
std::vector<Permutation> permutations(size_t count) {
  uint64_t state = 1;
  std::vector<Permutation> out(count);
  for (Permutation& p : out) p = {splitmix(state) | 1, splitmix(state)};
  return out;
}

// Disjoint sets whose representative is the smallest member.
class Groups {
 public:
  explicit Groups(size_t n) : parent_(n) { std::iota(parent_.begin(), parent_.end(), 0u); }
  uint32_t find(uint32_t x) {
    while (parent_[x] != x) x = parent_[x] = parent_[parent_[x]];
    return x;
  }
  void join(uint32_t a, uint32_t b) {
    a = find(a), b = find(b);
    if (a != b) parent_[std::max(a, b)] = std::min(a, b);
  }

 private:
  std::vector<uint32_t> parent_;
};

bool held_out(const Hash128& hash, double share) { return static_cast<double>(hash.low >> 11) * 0x1p-53 < share; }

void join_near(const std::vector<DedupItem>& items, const std::vector<Verdict>& verdicts, int bands, Groups& groups) {
  std::vector<std::pair<uint64_t, uint32_t>> column;
  for (size_t band = 0; band < static_cast<size_t>(bands); ++band) {
    column.clear();
    for (uint32_t i = 0; i < items.size(); ++i) {
      if (verdicts[i] != Verdict::kExactDuplicate) column.emplace_back(items[i].signature.bands[band], i);
    }
    std::sort(column.begin(), column.end());
    for (size_t k = 1; k < column.size(); ++k) {
      if (column[k].first == column[k - 1].first) groups.join(column[k].second, column[k - 1].second);
    }
  }
}

// Every domain gets something to be measured by.
void hold_out_one_per_domain(const std::vector<DedupItem>& items, std::vector<Verdict>& verdicts) {
  struct Domain {
    size_t kept = 0;
    bool has_heldout = false;
    uint32_t smallest = UINT32_MAX;
  };
  std::unordered_map<uint32_t, Domain> domains;
  for (uint32_t i = 0; i < items.size(); ++i) {
    if (verdicts[i] != Verdict::kTrain && verdicts[i] != Verdict::kHeldout) continue;
    Domain& d = domains[items[i].domain];
    ++d.kept;
    d.has_heldout = d.has_heldout || verdicts[i] == Verdict::kHeldout;
    if (d.smallest == UINT32_MAX || items[i].signature.exact < items[d.smallest].signature.exact) d.smallest = i;
  }
  for (const auto& [name, d] : domains) {
    if (!d.has_heldout && d.kept >= 2) verdicts[d.smallest] = Verdict::kHeldout;
  }
}

}  // namespace

std::string normalised_text(std::string_view text) {
  const std::string lower = text::to_lower(text::nfkc(text));
  std::string out;
  bool gap = false;
  for (size_t at = 0; at < lower.size();) {
    const text::Char c = text::decode_utf8(lower, at);
    const text::CharClass cls = text::char_class(c.codepoint);
    if (cls == text::CharClass::kLetter || cls == text::CharClass::kNumber) {
      if (gap && !out.empty()) out += ' ';
      gap = false;
      out.append(lower, at, c.bytes);
    } else {
      gap = true;
    }
    at += c.bytes;
  }
  return out;
}

Signature signature_of(std::string_view text, const DedupConfig& config) {
  const std::string normal = normalised_text(text);
  Signature out;
  out.exact = hash128(normal);
  if (!config.near) return out;
  const size_t count = static_cast<size_t>(config.bands) * static_cast<size_t>(config.rows);
  const std::vector<Permutation> family = permutations(count);
  const std::vector<std::string_view> words = words_of(normal);
  const size_t n = static_cast<size_t>(config.words);
  std::vector<uint32_t> minima(count, UINT32_MAX);
  const size_t shingles = words.size() < n ? 1 : words.size() - n + 1;
  for (size_t s = 0; s < shingles; ++s) {
    std::string_view shingle = normal;  // a text shorter than a shingle is its own
    if (words.size() >= n) {
      const std::string_view last = words[s + n - 1];
      shingle = {words[s].data(), static_cast<size_t>(last.data() + last.size() - words[s].data())};
    }
    const uint64_t x = hash64(shingle);
    for (size_t i = 0; i < count; ++i) {
      minima[i] = std::min(minima[i], static_cast<uint32_t>((family[i].a * x + family[i].b) >> 32));
    }
  }
  const size_t row_bytes = static_cast<size_t>(config.rows) * sizeof(uint32_t);
  for (size_t band = 0; band < static_cast<size_t>(config.bands); ++band) {
    out.bands.push_back(hash64({reinterpret_cast<const char*>(minima.data()) + band * row_bytes, row_bytes}, band));
  }
  return out;
}

std::vector<Verdict> judge_duplicates(const std::vector<DedupItem>& items, const DedupConfig& config, double heldout_share) {
  std::vector<Verdict> verdicts(items.size(), Verdict::kTrain);
  struct HashOf {
    size_t operator()(const Hash128& h) const { return h.low; }
  };
  std::unordered_map<Hash128, uint32_t, HashOf> first;
  for (uint32_t i = 0; i < items.size(); ++i) {
    const Hash128& hash = items[i].signature.exact;
    if (held_out(hash, heldout_share)) verdicts[i] = Verdict::kHeldout;
    if (config.exact && !first.emplace(hash, i).second) verdicts[i] = Verdict::kExactDuplicate;
  }
  if (config.near) {
    Groups groups(items.size());
    join_near(items, verdicts, config.bands, groups);
    // The first held-out document of a group is the one kept; without one, the first.
    std::vector<uint32_t> keeper(items.size(), UINT32_MAX);
    for (const Verdict wanted : {Verdict::kHeldout, Verdict::kTrain}) {
      for (uint32_t i = 0; i < items.size(); ++i) {
        uint32_t& kept = keeper[groups.find(i)];
        if (verdicts[i] == wanted && kept == UINT32_MAX) kept = i;
      }
    }
    for (uint32_t i = 0; i < items.size(); ++i) {
      const uint32_t kept = keeper[groups.find(i)];
      if (verdicts[i] == Verdict::kExactDuplicate || kept == i) continue;
      verdicts[i] = verdicts[i] == Verdict::kTrain && verdicts[kept] == Verdict::kHeldout ? Verdict::kLikeHeldout
                                                                                          : Verdict::kNearDuplicate;
    }
  }
  if (heldout_share > 0) hold_out_one_per_domain(items, verdicts);
  return verdicts;
}

}  // namespace bgl::prep
