#include "ops/kernels/matmul_schedule.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "ops/packed.h"

namespace bgl::ops::kernels {
namespace {

// As many accumulators as the registers hold beside two of b and one of a.
GemmSchedule tile_for(const Machine& m) {
  const int nr = 2 * m.vector_floats;
  return m.registers >= 32 ? GemmSchedule{12, nr, false} : GemmSchedule{6, nr, false};
}

// Rows that lie together pack at the speed of memory; scattered ones must be used by more panels to be worth it.
bool worth_packing(int64_t panels, bool rows_together) { return panels >= (rows_together ? 4 : 16); }

// Threads worth waking for a product: each needs some microseconds of work. None: one program does it all.
int useful_threads(const ProductSize& p, const Machine& machine) {
  constexpr int64_t kWorth = int64_t{1} << 17;  // multiply-adds
  return static_cast<int>(std::min<int64_t>(machine.threads, p.batches * p.m * p.n * p.k / kWorth));
}

int64_t up_to(int64_t n) { return n <= 0 ? 0 : static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(n))); }

ProductSize largest_of_class(const ProductSize& s) { return {up_to(s.batches), up_to(s.m), up_to(s.n), up_to(s.k)}; }

}  // namespace

GemmSchedule general_gemm(const ProductSize& size, const GemmKind& kind, const Machine& machine) {
  GemmSchedule s = tile_for(machine);
  if (size.m < s.mr || (size.m <= 16 && size.m % s.mr != 0 && size.m % 4 == 0)) s.mr = 4;  // no row twice
  // A few rows pack in no time, and then they need no kernel more.
  s.packs_a = s.mr == 4 || worth_packing((size.n + s.nr - 1) / s.nr, kind.rows_together);
  return s;
}

std::vector<GemmSchedule> other_gemms(const ProductSize& size, const GemmKind& kind, const Machine& machine) {
  const ProductSize top = largest_of_class(size);
  GemmSchedule base = tile_for(machine);
  base.packs_a = worth_packing((top.n + base.nr - 1) / base.nr, kind.rows_together);
  const int64_t work = top.batches * top.m * top.n * top.k;
  const int vector = machine.vector_floats;
  std::vector<GemmSchedule> out;
  auto add = [&](auto change) {
    GemmSchedule s = base;
    change(s);
    const bool fits = s.k_block * s.panels_most <= kPackedMost && s.rows_most * s.panels_most <= kUnfinishedMost;
    if (fits && (!kind.panels || kPanelWidth % s.nr == 0)) out.push_back(s);
  };
  using S = GemmSchedule;
  // What needs a kernel of its own is for products of some weight.
  if (work >= int64_t{1} << 24) add([](S& s) { s.packs_a = !s.packs_a; });
  const bool many = machine.registers >= 32;
  if (many && work >= int64_t{1} << 24) add([&](S& s) { s.mr = 14; });
  if (many && work >= int64_t{1} << 24) add([&](S& s) { s.mr = 6, s.nr = 4 * vector; });
  if (top.n <= 4 * vector && work >= int64_t{1} << 22) add([&](S& s) { s.mr = many ? 24 : 12, s.nr = vector; });
  if (top.k >= 256) add([](S& s) { s.k_block = 128, s.panels_most = 8; });
  if (top.k > 256) add([](S& s) { s.k_block = 512; });
  if (top.k > 256) add([](S& s) { s.k_block = 512, s.panels_most = 2, s.rows_most = 768; });
  if (top.n > 4 * base.nr) add([](S& s) { s.panels_most = 8; });
  if (top.m > base.rows_most) add([](S& s) { s.rows_most = 768; });
  if (top.m > base.row_block) add([](S& s) { s.row_block = 192; });
  if (top.m > base.row_block) add([](S& s) { s.row_block = 48, s.k_block = 512; });
  return out;
}

std::string name_of(const GemmSchedule& s) {
  return fmt::format("{}x{}{} k{} b{} r{} p{}", s.mr, s.nr, s.packs_a ? " packed" : "", s.k_block, s.row_block, s.rows_most, s.panels_most);
}

std::string size_class(const ProductSize& size) {
  const ProductSize top = largest_of_class(size);
  return fmt::format("{}{}x{}x{}", top.batches == 1 ? "" : fmt::format("{} of ", top.batches), top.m, top.n, top.k);
}

GemmSchedule possible(GemmSchedule s, const ProductSize& size, const Machine& machine) {
  s.packs_a = s.packs_a || share_of(size, s, machine).rows_per == 0;
  return s;
}

ProgramShare share_of(const ProductSize& size, const GemmSchedule& s, const Machine& machine) {
  const int threads = useful_threads(size, machine);
  const int64_t panels = (size.n + s.nr - 1) / s.nr;
  const int64_t panels_per = std::min(s.panels_most, items_per_program(panels, size.batches, std::min<int64_t>(4, s.panels_most), threads));
  const int64_t columns = (panels + panels_per - 1) / panels_per;
  const int64_t most = s.rows_most / s.mr * s.mr, wanted = std::min(most, items_per_program(size.m, columns * size.batches, 4 * s.mr, threads));
  // Where `a` is not packed, so many that the last program has a whole tile of them.
  const auto leaves_a_tile = [&](int64_t rows) { return s.packs_a || size.m % rows == 0 || size.m % rows >= s.mr; };
  // A few programs are as many for every thread.
  const auto even = [&](int64_t rows) {
    const int64_t programs = (size.m + rows - 1) / rows * columns * size.batches;
    return threads <= 1 || programs >= int64_t{4} * threads || programs % threads == 0;
  };
  // The next larger number, or the next smaller one.
  for (int64_t rows = wanted; rows <= most; rows += s.mr) {
    if (leaves_a_tile(rows) && even(rows)) return {panels_per, rows};
  }
  for (int64_t rows = wanted; rows <= most; rows += s.mr) {
    if (leaves_a_tile(rows)) return {panels_per, rows};
  }
  for (int64_t rows = wanted; rows > 0; rows -= s.mr) {
    if (leaves_a_tile(rows)) return {panels_per, rows};
  }
  return {panels_per, 0};
}

int64_t streamed_panels_per(int64_t panels, int threads) { return std::max<int64_t>(1, panels / (8 * threads)); }

int64_t items_per_program(int64_t items, int64_t others, int64_t least, int threads) {
  const int64_t wanted = std::max<int64_t>(1, 2 * threads / std::max<int64_t>(1, others));
  return std::max(least, ((items + wanted - 1) / wanted + least - 1) / least * least);
}

}  // namespace bgl::ops::kernels
