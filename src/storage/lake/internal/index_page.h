// The index of a segment: for sorted 64-bit keys, the rank of a key and where its record lies, in about 2 bytes per key.
//
// Keys are spread over `buckets` buckets (as many as keys) by multiplication, which keeps their order; 6 more bits of the key
// tell the keys of one bucket apart. A page covers `buckets_per_page` neighbouring buckets, so the page of a key is known by
// arithmetic, and it holds everything to answer for them. Page (4096 bytes, little-endian):
//
//   0  u64 checksum       XXH3-64 of bytes 8..4095, seeded with the page's number
//   8  u64 first_rank     keys in all pages before
//   16 u64 first_unit     where the first record of the page begins, in units of `align` bytes
//   24 u16 count          keys of this page
//   26 u8  low_bits       of the offsets
//   27 u8  zero
//   28 u32 span           units from first_unit to the end of the page's last record
//   32 bits, one after another, each lowest bit of a byte first:
//      bucket bits        Elias-Fano high half: for each bucket its keys as ones, then a zero (count + buckets of the page)
//      key bits           6 bits per key
//      offset high bits   count + (span >> low_bits) + 1: Elias-Fano of the records' beginnings, relative to first_unit
//      offset low bits    low_bits per key
//
// Elias (1974), Fano (1971). An absent key is taken for present with probability about 1/64: the record's own path decides.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/status.h"

namespace bgl::storage {

inline constexpr int64_t kIndexPageBytes = 4096;

struct IndexShape {
  uint64_t buckets = 0;
  uint64_t buckets_per_page = 1;
  uint64_t pages() const { return buckets == 0 ? 0 : (buckets + buckets_per_page - 1) / buckets_per_page; }
  uint64_t page_of(uint64_t key) const;
};

// Builds the pages for `keys` (sorted); record i lies in units [units[i], units[i+1]), so `units` has one more element, the
// first 0, rising strictly. Returns the pages in a row and sets `shape`.
Result<std::string> build_index(std::span<const uint64_t> keys, std::span<const uint64_t> units, IndexShape& shape);

// The records that may have a key: ranks [rank, rank + count), which lie in units [begin, end). count 0: certainly absent.
struct IndexHit {
  uint64_t rank = 0;
  uint64_t count = 0;
  uint64_t begin = 0;
  uint64_t end = 0;
};
// `page` is the page that shape.page_of(key) names, already checked.
IndexHit find_in_page(const IndexShape& shape, std::string_view page, uint64_t key);

// The ranks in a page: [first, first + count).
struct PageRanks {
  uint64_t first = 0;
  uint64_t count = 0;
};
PageRanks page_ranks(std::string_view page);
// Record `rank`, which must be among the ranks of `page`, the page number `number`.
IndexHit record_in_page(const IndexShape& shape, std::string_view page, uint64_t number, uint64_t rank);

// kDataLoss, without naming the file, unless the page is whole and is page number `number`.
Status check_index_page(std::string_view page, uint64_t number);

}  // namespace bgl::storage
