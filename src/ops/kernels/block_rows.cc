#include "ops/kernels/block_rows.h"

#include <cstring>

namespace bgl::ops::kernels {
namespace {

using lang::Builder;
using lang::Mem;
using lang::TileAccess;
using lang::Val;

TileAccess tile_access(Builder& b, const BlockRows& r, int cols) {
  TileAccess a{.rows = r.rows, .cols = cols};
  a.row_stride = b.const_i64(r.width);
  return a;
}
Val place(const BlockRows& r, Val at) { return r.first ? r.first + at : at; }
void for_tiles(Builder& b, Val d, const std::function<void(Val)>& body) { b.each(b.const_i64(0), d, b.const_i64(kTile), body); }

}  // namespace

BlockRows make_rows(Builder& b, int rows, int64_t width) { return {b.scratch(Mem::f32, rows * width), rows, width}; }

BlockRows rows_of(const BlockRows& r, Val row, int count) { return {r.memory, count, r.width, place(r, row * double(r.width))}; }

void clear_rows(Builder& b, const BlockRows& r, Val d) {
  for_tiles(b, d, [&](Val at) { store_tile(b, r, at, b.full(0, r.rows, kTile)); });
}

void read_rows(Builder& b, const BlockRows& r, Val d, Val source, Val base, Val stride, Val exist) {
  for_tiles(b, d, [&](Val at) {
    TileAccess a{.rows = r.rows, .cols = kTile};
    a.row_stride = stride;
    a.row_limit = exist;
    a.col_limit = d - at;
    store_tile(b, r, at, b.load(source, base + at, a));
  });
}

void write_rows(Builder& b, const BlockRows& r, Val d, Val target, Val base, Val stride, Val exist, Val divisor) {
  for_tiles(b, d, [&](Val at) {
    TileAccess a{.rows = r.rows, .cols = kTile};
    a.row_stride = stride;
    a.row_limit = exist;
    a.col_limit = d - at;
    const Val tile = load_tile(b, r, at);
    b.store(target, base + at, divisor ? tile / divisor : tile, a);
  });
}

Val load_tile(Builder& b, const BlockRows& r, Val at) { return b.load(r.memory, place(r, at), tile_access(b, r, kTile)); }
void store_tile(Builder& b, const BlockRows& r, Val at, Val tile) { b.store(r.memory, place(r, at), tile, tile_access(b, r, kTile)); }

Val row_dots(Builder& b, const BlockRows& r, Val d, Val t, Val base) {
  return b.loop(b.const_i64(0), d, b.const_i64(1), {b.full(0, r.rows, kTile)}, [&](Val i, const Builder::Vals& c) {
    const Val left = b.load(r.memory, place(r, i), tile_access(b, r, 1));
    return Builder::Vals{b.fma(left, b.load(t, base + i * 64.0, {.rows = 1, .cols = kTile}), c[0])};
  })[0];
}

void add_weighted(Builder& b, const BlockRows& out, Val d, Val shrink, const BlockRows& w, Val count, Val v, Val base, Val stride) {
  auto chunk = [&](Val at, Val limit) {
    TileAccess row{.rows = 1, .cols = kTile};
    row.col_limit = limit;
    const Val old = load_tile(b, out, at);
    const Val acc = b.loop(b.const_i64(0), count, b.const_i64(1), {shrink ? old * shrink : old}, [&](Val j, const Builder::Vals& c) {
      const Val left = b.load(w.memory, place(w, j), tile_access(b, w, 1));
      return Builder::Vals{b.fma(left, b.load(v, base + j * stride + at, row), c[0])};
    })[0];
    store_tile(b, out, at, acc);
  };
  const Val whole = d / double(kTile) * double(kTile);
  b.each(b.const_i64(0), whole, b.const_i64(kTile), [&](Val at) { chunk(at, {}); });
  b.when(b.cmp_lt(whole, d), [&] { chunk(whole, d - whole); });
}

void copy_unless_shared(Lowering& l, OperandId from, OperandId to) {
  const OperandId source = l.contiguous(from);
  const auto a = static_cast<size_t>(source.id), c = static_cast<size_t>(to.id);
  const auto bytes = static_cast<size_t>(numel(l.shape(to)) * dtype_size(l.operand(to).meta.dtype));
  const auto offset = static_cast<size_t>(l.layout(source).offset * dtype_size(l.operand(to).meta.dtype));
  l.host([=](const HostCall& call) -> Status {
    const auto* bytes_from = static_cast<const std::byte*>(call.pointers[a]) + offset;
    if (bytes > 0 && bytes_from != call.pointers[c]) std::memcpy(call.pointers[c], bytes_from, bytes);
    return Status();
  });
}

}  // namespace bgl::ops::kernels
