// How a matrix product is cut up. Nothing here changes a result: each output stays one chain over k ascending.
#pragma once

#include <string>
#include <vector>

#include "ops/lowering.h"

namespace bgl::ops::kernels {

struct ProductSize {
  int64_t batches, m, n, k;
};

// Bounds of a program's scratch, in rows of a panel: what it packs, and its unfinished sums.
constexpr int64_t kPackedMost = 2048;     // k_block * panels_most
constexpr int64_t kUnfinishedMost = 3072;  // rows_most * panels_most

struct GemmSchedule {
  int mr, nr;             // the tile: rows and columns of sums in registers
  bool packs_a;           // into tiles before, or read in place by broadcasts
  int64_t k_block = 256;  // of b, packed at a time
  int64_t row_block = 96;    // rows of `a` swept at a time: with the packed panels about a half of a small second cache
  int64_t rows_most = 384;   // of a program: enough uses of what it packs; its unfinished sums stay in the second cache
  int64_t panels_most = 4;   // a program packs at once
};

// What products it serves: where `b` lies, and how.
struct GemmKind {
  bool rows_together;  // a[m + 1, k] follows a[m, k]
  std::string right;   // names how b lies
  bool panels;         // b is packed weights
};

// The schedule for a product nobody has measured.
GemmSchedule general_gemm(const ProductSize& size, const GemmKind& kind, const Machine& machine);
// Others worth trying, the same for all sizes of a class (sizes up to the same powers of two), and a text for each.
std::vector<GemmSchedule> other_gemms(const ProductSize& size, const GemmKind& kind, const Machine& machine);
std::string name_of(const GemmSchedule& s);
// "256x1024x1024": the class of a size.
std::string size_class(const ProductSize& size);

// `s`, or with `a` packed where its rows cannot be shared out otherwise.
GemmSchedule possible(GemmSchedule s, const ProductSize& size, const Machine& machine);

// How the programs share the work: each takes so many panels and rows. Of an `a` that is not packed the last one has mr rows at least;
// where that cannot be, rows_per is 0.
struct ProgramShare {
  int64_t panels_per, rows_per;
};
ProgramShare share_of(const ProductSize& size, const GemmSchedule& s, const Machine& machine);

// The items a program takes, in multiples of `least`, so that with `others` programs beside it every thread finds a few.
int64_t items_per_program(int64_t items, int64_t others, int64_t least, int threads);

// Panels of packed weights a program takes where they are read for few rows. A panel is a long stream by itself: small pieces, so that a
// thread that wakes late or shares its core holds the other up less.
int64_t streamed_panels_per(int64_t panels, int threads);

}  // namespace bgl::ops::kernels
