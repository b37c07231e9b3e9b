#include "prep/dedup.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <unordered_map>
#include <utility>

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
struct Family {
  std::vector<uint64_t> a, b;
};
const Family& family_of(size_t count) {
  thread_local Family family;
  if (family.a.size() == count) return family;
  uint64_t state = 1;
  family = {std::vector<uint64_t>(count), std::vector<uint64_t>(count)};
  for (size_t i = 0; i < count; ++i) family.a[i] = splitmix(state) | 1, family.b[i] = splitmix(state);
  return family;
}

// The one hot loop: written so that the compiler makes vectors of it, for each kind of processor.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
__attribute__((target_clones("arch=x86-64-v4", "avx2", "default"), optimize("O3")))
#endif
void lower_minima(const uint64_t* __restrict a, const uint64_t* __restrict b, uint64_t x, uint32_t* __restrict minima, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    const auto h = static_cast<uint32_t>((a[i] * x + b[i]) >> 32);
    minima[i] = h < minima[i] ? h : minima[i];
  }
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

// Judges by passes over the items. A pass keeps one part of some columns of hashes, as many as the memory holds, and sorts
// them.
class DuplicateJudge {
 public:
  DuplicateJudge(const EachItem& each, const DedupConfig& config, const JudgeOptions& options)
      : each_(each), config_(config), options_(options), verdicts_(static_cast<size_t>(options.count), Verdict::kTrain) {}

  Result<std::vector<Verdict>> run() {
    BGL_TRY(hold_out());
    if (config_.exact) BGL_TRY(find_exact());
    if (config_.near) {
      Groups groups(verdicts_.size());
      BGL_TRY(join_near(groups));
      keep_one(groups);
    }
    if (options_.heldout_share > 0) BGL_TRY(hold_out_one_per_domain());
    return std::move(verdicts_);
  }

 private:
  Status pass(const std::function<void(uint32_t, const DedupItem&)>& fn) {
    uint32_t i = 0;
    BGL_TRY(each_([&](const DedupItem& item) { fn(i++, item); }));
    BGL_CHECK(i == verdicts_.size(), "{} documents, {} were announced", i, verdicts_.size());
    return {};
  }

  // Into how many parts the hashes of one column are cut, so that a part of `bytes` an item fits. At most 1024 passes.
  uint64_t parts_of(size_t bytes) const {
    const uint64_t all = verdicts_.size() * bytes, room = static_cast<uint64_t>(std::max<int64_t>(options_.memory_bytes, 1));
    return std::clamp<uint64_t>((all + room - 1) / room, 1, 1024);
  }

  Status hold_out() {
    return pass([&](uint32_t i, const DedupItem& item) {
      if (held_out(item.exact, options_.heldout_share)) verdicts_[i] = Verdict::kHeldout;
    });
  }

  Status find_exact() {
    const uint64_t parts = parts_of(sizeof(std::pair<Hash128, uint32_t>));
    std::vector<std::pair<Hash128, uint32_t>> column;
    for (uint64_t part = 0; part < parts; ++part) {
      column.clear();
      BGL_TRY(pass([&](uint32_t i, const DedupItem& item) {
        if (item.exact.high % parts == part) column.emplace_back(item.exact, i);
      }));
      std::sort(column.begin(), column.end());
      for (size_t k = 1; k < column.size(); ++k) {
        if (column[k].first == column[k - 1].first) verdicts_[column[k].second] = Verdict::kExactDuplicate;
      }
    }
    return {};
  }

  Status join_near(Groups& groups) {
    using Column = std::vector<std::pair<uint64_t, uint32_t>>;
    const uint64_t parts = parts_of(sizeof(Column::value_type));
    const size_t bands = static_cast<size_t>(config_.bands);
    const int64_t column_bytes = std::max<int64_t>(1, static_cast<int64_t>(verdicts_.size() * sizeof(Column::value_type)));
    const size_t together =
        parts > 1 ? 1 : std::clamp<size_t>(static_cast<size_t>(options_.memory_bytes / column_bytes), 1, bands);
    std::vector<Column> columns(together);
    for (size_t first = 0; first < bands; first += together) {
      const size_t last = std::min(first + together, bands);
      for (uint64_t part = 0; part < parts; ++part) {
        for (Column& column : columns) column.clear();
        BGL_TRY(pass([&](uint32_t i, const DedupItem& item) {
          if (verdicts_[i] == Verdict::kExactDuplicate) return;
          for (size_t band = first; band < last; ++band) {
            if (item.bands[band] % parts == part) columns[band - first].emplace_back(item.bands[band], i);
          }
        }));
        for (Column& column : columns) {
          std::sort(column.begin(), column.end());
          for (size_t k = 1; k < column.size(); ++k) {
            if (column[k].first == column[k - 1].first) groups.join(column[k].second, column[k - 1].second);
          }
        }
      }
    }
    return {};
  }

  // The first held-out document of a group is the one kept; without one, the first.
  void keep_one(Groups& groups) {
    const auto count = static_cast<uint32_t>(verdicts_.size());
    std::vector<uint32_t> keeper(count, UINT32_MAX);
    for (const Verdict wanted : {Verdict::kHeldout, Verdict::kTrain}) {
      for (uint32_t i = 0; i < count; ++i) {
        uint32_t& kept = keeper[groups.find(i)];
        if (verdicts_[i] == wanted && kept == UINT32_MAX) kept = i;
      }
    }
    for (uint32_t i = 0; i < count; ++i) {
      const uint32_t kept = keeper[groups.find(i)];
      if (verdicts_[i] == Verdict::kExactDuplicate || kept == i) continue;
      const bool learnt = verdicts_[i] == Verdict::kTrain;
      verdicts_[i] = learnt && verdicts_[kept] == Verdict::kHeldout ? Verdict::kLikeHeldout : Verdict::kNearDuplicate;
    }
  }

  // Every domain gets something to be measured by.
  Status hold_out_one_per_domain() {
    struct Domain {
      size_t kept = 0;
      bool has_heldout = false;
      uint32_t smallest = UINT32_MAX;
      Hash128 hash;
    };
    std::unordered_map<uint32_t, Domain> domains;
    BGL_TRY(pass([&](uint32_t i, const DedupItem& item) {
      if (verdicts_[i] != Verdict::kTrain && verdicts_[i] != Verdict::kHeldout) return;
      Domain& d = domains[item.domain];
      ++d.kept;
      d.has_heldout = d.has_heldout || verdicts_[i] == Verdict::kHeldout;
      if (d.smallest == UINT32_MAX || item.exact < d.hash) d.smallest = i, d.hash = item.exact;
    }));
    for (const auto& [name, d] : domains) {
      if (!d.has_heldout && d.kept >= 2) verdicts_[d.smallest] = Verdict::kHeldout;
    }
    return {};
  }

  const EachItem& each_;
  const DedupConfig& config_;
  const JudgeOptions& options_;
  std::vector<Verdict> verdicts_;
};

}  // namespace

std::string normalised_text(std::string_view text) {
  const std::string lower = text::nfkc_lower(text);
  std::string out(lower.size(), '\0');  // a gap takes no more than what it stands for
  size_t n = 0;
  bool gap = false;
  for (size_t at = 0; at < lower.size();) {
    const auto byte = static_cast<unsigned char>(lower[at]);
    if (byte < 0x80) {
      const bool kept = (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9');
      if (kept && gap && n > 0) out[n++] = ' ';
      if (kept) out[n++] = lower[at];
      gap = !kept;
      ++at;
      continue;
    }
    const text::Char c = text::decode_utf8(lower, at);
    const text::CharClass cls = text::char_class(c.codepoint);
    if (cls == text::CharClass::kLetter || cls == text::CharClass::kNumber) {
      if (std::exchange(gap, false) && n > 0) out[n++] = ' ';
      std::memcpy(out.data() + n, lower.data() + at, c.bytes);
      n += c.bytes;
    } else {
      gap = true;
    }
    at += c.bytes;
  }
  out.resize(n);
  return out;
}

Signature signature_of(std::string_view text, const DedupConfig& config) {
  return signature_of_normalised(normalised_text(text), config);
}

Signature signature_of_normalised(std::string_view normal, const DedupConfig& config) {
  Signature out;
  out.exact = hash128(normal);
  if (!config.near) return out;
  const size_t count = static_cast<size_t>(config.bands) * static_cast<size_t>(config.rows);
  const Family& family = family_of(count);
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
    lower_minima(family.a.data(), family.b.data(), x, minima.data(), count);
  }
  const size_t row_bytes = static_cast<size_t>(config.rows) * sizeof(uint32_t);
  for (size_t band = 0; band < static_cast<size_t>(config.bands); ++band) {
    out.bands.push_back(hash64({reinterpret_cast<const char*>(minima.data()) + band * row_bytes, row_bytes}, band));
  }
  return out;
}

Result<std::vector<Verdict>> judge_duplicates(const EachItem& each, const DedupConfig& config, const JudgeOptions& options) {
  if (options.count < 0 || options.count >= UINT32_MAX) {
    return invalid_argument("{} documents in one run, and {} are possible: make several runs", options.count, UINT32_MAX - 1);
  }
  return DuplicateJudge(each, config, options).run();
}

}  // namespace bgl::prep
