#include "storage/lake/internal/index_page.h"

#include <algorithm>
#include <bit>
#include <vector>

#include "base/hash.h"
#include "storage/lake/internal/bytes.h"

namespace bgl::storage {
namespace {

constexpr int kKeyBits = 6;
constexpr uint64_t kPageHeader = 32;
constexpr uint64_t kPageBits = (kIndexPageBytes - kPageHeader) * 8;

uint64_t multiply_high(uint64_t a, uint64_t b) { return static_cast<uint64_t>((static_cast<unsigned __int128>(a) * b) >> 64); }

// The bucket of a key (high part) and its 6 further bits (low part).
uint64_t spread_key(uint64_t key, uint64_t buckets) { return multiply_high(key, buckets << kKeyBits); }

void set_bits(char* bits, uint64_t at, uint64_t value, int count) {
  for (int i = 0; i < count; ++i, ++at) {
    if (value >> i & 1) bits[at / 8] = static_cast<char>(bits[at / 8] | (1 << (at % 8)));
  }
}

// Up to 57 bits: one unaligned load. The page is followed by nothing, so the load is clamped to its end.
uint64_t get_bits(std::string_view page, uint64_t at, int count) {
  if (count == 0) return 0;
  const uint64_t byte = kPageHeader + at / 8;
  if (byte >= page.size()) return 0;  // only in a page that is not what its checksum says
  uint64_t word = 0;
  std::memcpy(&word, page.data() + byte, std::min<uint64_t>(8, page.size() - byte));
  return word >> (at % 8) & ((uint64_t{1} << count) - 1);
}

// Position, counted from `from`, of the `nth` (from 0) bit equal to `One` at or after `from`.
template <bool One>
uint64_t select_bit(std::string_view page, uint64_t from, uint64_t nth) {
  uint64_t at = from;
  while (true) {
    uint64_t word = get_bits(page, at, 56);
    if (!One) word = ~word & ((uint64_t{1} << 56) - 1);
    const uint64_t ones = static_cast<uint64_t>(std::popcount(word));
    if (nth < ones) {
      while (nth-- > 0) word &= word - 1;
      return at + static_cast<uint64_t>(std::countr_zero(word)) - from;
    }
    nth -= ones;
    at += 56;
    if (kPageHeader + at / 8 >= page.size()) return at - from;  // only in a page that is not what its checksum says
  }
}

struct PageSizes {
  int low_bits = 0;
  uint64_t bucket_bits = 0;
  uint64_t key_bits = 0;
  uint64_t high_bits = 0;
  uint64_t total() const { return bucket_bits + key_bits + high_bits + count * static_cast<uint64_t>(low_bits); }
  uint64_t count = 0;
};

PageSizes page_sizes(uint64_t buckets, uint64_t count, uint64_t span, int low_bits) {
  PageSizes s;
  s.low_bits = low_bits;
  s.count = count;
  s.bucket_bits = count + buckets;
  s.key_bits = count * kKeyBits;
  s.high_bits = count == 0 ? 0 : count + (span >> low_bits) + 1;
  return s;
}

int best_low_bits(uint64_t count, uint64_t span) {
  if (count == 0 || span <= count) return 0;
  return std::bit_width(span / count) - 1;
}

// Keys of the page [first, last) by their spread value, found once for all tries of buckets_per_page.
struct PageRange {
  uint64_t first;
  uint64_t last;
};

// Cuts the keys into pages; false when one does not fit or its records span more than 32 bits of units.
bool cut_pages(std::span<const uint64_t> spread, std::span<const uint64_t> units, const IndexShape& shape,
               std::vector<PageRange>& pages) {
  pages.clear();
  uint64_t first = 0;
  for (uint64_t p = 0; p < shape.pages(); ++p) {
    const uint64_t end_bucket = std::min(shape.buckets, (p + 1) * shape.buckets_per_page);
    uint64_t last = first;
    while (last < spread.size() && spread[last] >> kKeyBits < end_bucket) ++last;
    const uint64_t span = units[last] - units[first];
    const uint64_t count = last - first;
    if (span > UINT32_MAX || count > UINT16_MAX) return false;
    const uint64_t buckets = end_bucket - p * shape.buckets_per_page;
    if (page_sizes(buckets, count, span, best_low_bits(count, span)).total() > kPageBits) return false;
    pages.push_back({first, last});
    first = last;
  }
  return true;
}

void write_page(std::span<const uint64_t> spread, std::span<const uint64_t> units, const IndexShape& shape, uint64_t number,
                PageRange range, char* page) {
  const uint64_t first_bucket = number * shape.buckets_per_page;
  const uint64_t buckets = std::min(shape.buckets, first_bucket + shape.buckets_per_page) - first_bucket;
  const uint64_t count = range.last - range.first;
  const uint64_t span = units[range.last] - units[range.first];
  const PageSizes s = page_sizes(buckets, count, span, best_low_bits(count, span));
  set_int<uint64_t>(page + 8, range.first);
  set_int<uint64_t>(page + 16, units[range.first]);
  set_int<uint16_t>(page + 24, static_cast<uint16_t>(count));
  page[26] = static_cast<char>(s.low_bits);
  set_int<uint32_t>(page + 28, static_cast<uint32_t>(span));
  char* bits = page + kPageHeader;
  const uint64_t keys_at = s.bucket_bits;
  const uint64_t high_at = keys_at + s.key_bits;
  const uint64_t low_at = high_at + s.high_bits;
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t t = spread[range.first + i];
    set_bits(bits, (t >> kKeyBits) - first_bucket + i, 1, 1);
    set_bits(bits, keys_at + i * kKeyBits, t & ((1 << kKeyBits) - 1), kKeyBits);
    const uint64_t unit = units[range.first + i] - units[range.first];
    set_bits(bits, high_at + (unit >> s.low_bits) + i, 1, 1);
    set_bits(bits, low_at + i * static_cast<uint64_t>(s.low_bits), unit, s.low_bits);
  }
  set_int<uint64_t>(page, hash64({page + 8, kIndexPageBytes - 8}, number));
}

}  // namespace

uint64_t IndexShape::page_of(uint64_t key) const { return (spread_key(key, buckets) >> kKeyBits) / buckets_per_page; }

Result<std::string> build_index(std::span<const uint64_t> keys, std::span<const uint64_t> units, IndexShape& shape) {
  shape.buckets = keys.size();
  if (keys.empty()) return std::string();
  std::vector<uint64_t> spread(keys.size());
  for (size_t i = 0; i < keys.size(); ++i) spread[i] = spread_key(keys[i], shape.buckets);
  const uint64_t average_bits = 2 + kKeyBits + 2 + static_cast<uint64_t>(best_low_bits(keys.size(), units.back()));
  std::vector<PageRange> pages;
  // The fullest page decides; start where the average page would be full and come down in steps of 1 %.
  shape.buckets_per_page = std::max<uint64_t>(1, kPageBits / average_bits);
  while (!cut_pages(spread, units, shape, pages)) {
    if (shape.buckets_per_page == 1) return invalid_argument("too many equal keys for an index page");
    shape.buckets_per_page -= std::max<uint64_t>(1, shape.buckets_per_page / 100);
  }
  std::string out(pages.size() * kIndexPageBytes, '\0');
  for (size_t p = 0; p < pages.size(); ++p) write_page(spread, units, shape, p, pages[p], out.data() + p * kIndexPageBytes);
  return out;
}

namespace {

// A page's parts, as found from its header.
class PageView {
 public:
  PageView(const IndexShape& shape, std::string_view page, uint64_t first_bucket) : page_(page) {
    const uint64_t count = get_int<uint16_t>(page.data() + 24);
    const uint64_t buckets = std::min(shape.buckets, first_bucket + shape.buckets_per_page) - first_bucket;
    span_ = get_int<uint32_t>(page.data() + 28);
    sizes_ = page_sizes(buckets, count, span_, static_cast<unsigned char>(page[26]));
  }
  // 6 more bits of the page's key i.
  uint64_t key_bits(uint64_t i) const { return get_bits(page_, sizes_.bucket_bits + i * kKeyBits, kKeyBits); }
  // The page's records [i, i + count).
  IndexHit records(uint64_t i, uint64_t count) const {
    const uint64_t first_unit = get_int<uint64_t>(page_.data() + 16);
    return {get_int<uint64_t>(page_.data() + 8) + i, count, first_unit + unit_of(i), first_unit + unit_of(i + count)};
  }

 private:
  uint64_t unit_of(uint64_t i) const {
    if (i == sizes_.count) return span_;
    const uint64_t high_at = sizes_.bucket_bits + sizes_.key_bits;
    const uint64_t low_at = high_at + sizes_.high_bits;
    const uint64_t high = select_bit<true>(page_, high_at, i) - i;
    return high << sizes_.low_bits | get_bits(page_, low_at + i * static_cast<uint64_t>(sizes_.low_bits), sizes_.low_bits);
  }
  std::string_view page_;
  uint64_t span_ = 0;
  PageSizes sizes_;
};

}  // namespace

IndexHit find_in_page(const IndexShape& shape, std::string_view page, uint64_t key) {
  if (get_int<uint16_t>(page.data() + 24) == 0) return {};
  const uint64_t t = spread_key(key, shape.buckets);
  const uint64_t bucket = (t >> kKeyBits) % shape.buckets_per_page;
  const PageView view(shape, page, (t >> kKeyBits) - bucket);
  // The bucket's ones begin after the zero of the bucket before.
  const uint64_t begin_bit = bucket == 0 ? 0 : select_bit<false>(page, 0, bucket - 1) + 1;
  const uint64_t in_bucket = select_bit<false>(page, begin_bit, 0);
  const uint64_t first = begin_bit - bucket;
  const uint64_t wanted = t & ((1 << kKeyBits) - 1);
  uint64_t found = 0, count = 0;
  for (uint64_t i = first; i < first + in_bucket; ++i) {
    if (view.key_bits(i) != wanted) continue;
    if (count == 0) found = i;
    ++count;
  }
  return count == 0 ? IndexHit{} : view.records(found, count);
}

PageRanks page_ranks(std::string_view page) {
  return {get_int<uint64_t>(page.data() + 8), get_int<uint16_t>(page.data() + 24)};
}

IndexHit record_in_page(const IndexShape& shape, std::string_view page, uint64_t number, uint64_t rank) {
  return PageView(shape, page, number * shape.buckets_per_page).records(rank - page_ranks(page).first, 1);
}

Status check_index_page(std::string_view page, uint64_t number) {
  if (hash64(page.substr(8), number) != get_int<uint64_t>(page.data()))
    return data_loss("checksum of index page {} differs", number);
  const uint64_t low_bits = static_cast<unsigned char>(page[26]);
  const uint64_t count = get_int<uint16_t>(page.data() + 24);
  // Every key takes 8 bits at least, one of the places and two of the buckets among them.
  if (low_bits <= 32 && count * (kKeyBits + 2 + low_bits) <= kPageBits) return {};
  return data_loss("index page {} is not as written", number);
}

}  // namespace bgl::storage
