// Loads and stores. A tile that lies in memory row by row is moved by vector accesses. Limits become masked vector accesses
// where the machine has them; where it has not, and where masked stores are slow (AVX2), a test for the full tile comes first
// and only a tile at an edge takes the slow way: masks, or a copy through a small buffer in a loop, which keeps the code short.
#include "lang/internal/llvm_printer.h"

namespace bgl::lang::internal {
namespace {

// Places in Inst::in.
enum { kPtr, kOffset, kRowStride, kColStride, kRowLimit, kColLimit, kTile };
bool has_limit(const Inst& i) { return (i.imm & 3) != 0; }

}  // namespace

std::string LlvmPrinter::memory_type(Mem m) {
  switch (m) {
    case Mem::i8:
    case Mem::u8:
      return "i8";
    case Mem::bf16:
    case Mem::f16:
      return "i16";
    case Mem::i32:
      return "i32";
    case Mem::i64:
      return "i64";
    case Mem::f32:
      return "float";
  }
  return "float";
}

bool LlvmPrinter::can_mask(Mem mem, bool store) const {
  return target_.avx512 || (target_.avx2 && !store && mem_size(mem) >= 4);
}

Rows LlvmPrinter::either(const std::string& condition, const std::string& type, const std::function<Rows()>& fast,
                         const std::function<Rows()>& slow) {
  const std::string yes = new_block(), no = new_block(), after = new_block();
  line("br i1 {}, label %{}, label %{}", condition, yes, no);
  start_block(yes);
  const Rows a = fast();
  const std::string from_a = block_;
  line("br label %{}", after);
  start_block(no);
  const Rows b = slow();
  const std::string from_b = block_;
  line("br label %{}", after);
  start_block(after);
  Rows out;
  for (size_t r = 0; r < a.size(); ++r)
    out.push_back(emit("phi {} [ {}, %{} ], [ {}, %{} ]", type, a[r], from_a, b[r], from_b));
  return out;
}

std::string LlvmPrinter::full_condition(const Inst& i) {
  std::string condition;
  if (i.imm & 1) condition = emit("icmp sge i64 {}, {}", scalar(i.in[kRowLimit]), i.type.rows);
  if (i.imm & 2) {
    const std::string cols = emit("icmp sge i64 {}, {}", scalar(i.in[kColLimit]), i.type.cols);
    condition = condition.empty() ? cols : emit("and i1 {}, {}", condition, cols);
  }
  return condition;
}

std::string LlvmPrinter::row_address(const Inst& i, Mem mem, int row) {
  std::string index = scalar(i.in[kOffset]);
  if (row > 0 && !is_const(i.in[kRowStride], 0)) {
    const std::string skip = emit("mul i64 {}, {}", scalar(i.in[kRowStride]), row);
    index = emit("add i64 {}, {}", index, skip);
  }
  return emit("getelementptr {}, ptr {}, i64 {}", memory_type(mem), scalar(i.in[kPtr]), index);
}

std::string LlvmPrinter::row_mask(const Inst& i, int row) {
  const int cols = i.type.cols;
  std::string in_rows, limit;
  if (i.imm & 1) in_rows = emit("icmp sgt i64 {}, {}", scalar(i.in[kRowLimit]), row);
  if (!(i.imm & 2)) return splat("i1", cols, in_rows);
  // The limit is brought into 0..cols, so that the comparison of the lanes needs no more than 32 bits.
  const std::string low =
      call("i64", "llvm.smin.i64", "i64, i64", fmt::format("i64 {}, i64 {}", scalar(i.in[kColLimit]), cols));
  const std::string both = call("i64", "llvm.smax.i64", "i64, i64", fmt::format("i64 {}, i64 0", low));
  limit = emit("trunc i64 {} to i32", both);
  if (!in_rows.empty()) limit = emit("select i1 {}, i32 {}, i32 0", in_rows, limit);
  return emit("icmp sgt {} {}, {}", vec("i32", cols), splat("i32", cols, limit), iota("i32", cols, 0));
}

std::string LlvmPrinter::guarded(const std::string& condition, const std::string& address) {
  if (dummy_.empty()) dummy_ = alloca_of("i64", 8);
  return emit("select i1 {}, ptr {}, ptr {}", condition, address, dummy_);
}

Rows LlvmPrinter::load(const Inst& i) {
  const Mem mem = fn_.at(i.in[kPtr]).type.mem;
  const std::string type = type_of(i.type);
  if (i.type.cols == 1 || is_const(i.in[kColStride], 0)) return load_column(i, mem);
  if (!is_const(i.in[kColStride], 1)) {
    if (!has_limit(i)) return load_lanes(i, mem);
    return either(
        full_condition(i), type, [&] { return load_lanes(i, mem); }, [&] { return load_slowly(i, mem); });
  }
  if (!has_limit(i)) return load_rows(i, mem, false);
  const bool mask = can_mask(mem, false);
  if (mask && (target_.avx512 || !(i.imm & 1))) return load_rows(i, mem, true);
  return either(
      full_condition(i), type, [&] { return load_rows(i, mem, false); },
      [&] { return mask ? load_rows(i, mem, true) : load_slowly(i, mem); });
}

// One element for each row, splat over the columns of a tile whose columns lie on each other.
Rows LlvmPrinter::load_column(const Inst& i, Mem mem) {
  const Elem e = i.type.elem;
  const int cols = i.type.cols;
  Rows out;
  for (int r = 0; r < i.type.rows; ++r) {
    std::string address = row_address(i, mem, r), condition;
    if (i.imm & 1) condition = emit("icmp sgt i64 {}, {}", scalar(i.in[kRowLimit]), r);
    if (i.imm & 2) {
      const std::string some = emit("icmp sgt i64 {}, 0", scalar(i.in[kColLimit]));
      condition = condition.empty() ? some : emit("and i1 {}, {}", condition, some);
    }
    if (!condition.empty()) address = guarded(condition, address);
    const std::string raw = emit("load {}, ptr {}, align {}", memory_type(mem), address, mem_size(mem));
    std::string value = widen(mem, 1, raw);
    const std::string other = constant(e, cols, integer_fill(i), i.fimm);
    if (cols == 1) {
      if (!condition.empty()) value = emit("select i1 {}, {} {}, {} {}", condition, type_of(e), value, type_of(e), other);
    } else {
      value = splat(type_of(e), cols, value);
      if (has_limit(i)) {
        value =
            emit("select {} {}, {} {}, {} {}", vec("i1", cols), row_mask(i, r), type_of(i.type), value, type_of(i.type), other);
      }
    }
    out.push_back(value);
  }
  return out;
}

Rows LlvmPrinter::load_rows(const Inst& i, Mem mem, bool masked) {
  const int cols = i.type.cols;
  const std::string type = vec(memory_type(mem), cols), mask_type = vec("i1", cols);
  const bool plain = mem == Mem::f32 || mem == Mem::i32 || mem == Mem::i64;
  const std::string other = constant(i.type.elem, cols, integer_fill(i), i.fimm);
  Rows out;
  for (int r = 0; r < i.type.rows; ++r) {
    const std::string address = row_address(i, mem, r);
    if (!masked) {
      out.push_back(widen(mem, cols, emit("load {}, ptr {}, align {}", type, address, mem_size(mem))));
      continue;
    }
    const std::string mask = row_mask(i, r);
    const std::string element = mem == Mem::f32 ? "f32" : memory_type(mem);
    const std::string raw =
        call(type, fmt::format("llvm.masked.load.v{}{}.p0", cols, element), fmt::format("ptr, i32, {}, {}", mask_type, type),
             fmt::format("ptr {}, i32 {}, {} {}, {} {}", address, mem_size(mem), mask_type, mask, type,
                         plain ? other : "zeroinitializer"));
    std::string value = widen(mem, cols, raw);
    if (!plain && i.fimm != 0)
      value = emit("select {} {}, {} {}, {} {}", mask_type, mask, type_of(i.type), value, type_of(i.type), other);
    out.push_back(value);
  }
  return out;
}

Rows LlvmPrinter::load_lanes(const Inst& i, Mem mem) {
  const int cols = i.type.cols;
  const std::string type = vec(memory_type(mem), cols);
  Rows out;
  for (int r = 0; r < i.type.rows; ++r) {
    const std::string row = row_address(i, mem, r);
    std::string raw = "poison";
    for (int c = 0; c < cols; ++c) {
      const std::string skip = emit("mul i64 {}, {}", scalar(i.in[kColStride]), c);
      const std::string address = emit("getelementptr {}, ptr {}, i64 {}", memory_type(mem), row, skip);
      const std::string one = emit("load {}, ptr {}, align {}", memory_type(mem), address, mem_size(mem));
      raw = emit("insertelement {} {}, {} {}, i64 {}", type, raw, memory_type(mem), one, c);
    }
    out.push_back(widen(mem, cols, raw));
  }
  return out;
}

// Copies the elements within the limits between memory and a row-major buffer, one by one.
void LlvmPrinter::copy_loop(const Inst& i, Mem mem, const std::string& buffer, bool load) {
  auto clamp = [&](int bit, int place, int size) -> std::string {
    if (!(i.imm & bit)) return std::to_string(size);
    return call("i64", "llvm.smin.i64", "i64, i64",
                fmt::format("i64 {}, i64 {}", scalar(i.in[static_cast<size_t>(place)]), size));
  };
  const std::string rows = clamp(1, kRowLimit, i.type.rows), cols = clamp(2, kColLimit, i.type.cols);
  const std::string element = memory_type(mem), before = block_, r = fmt::format("%r{}", temps_++),
                    c = fmt::format("%c{}", temps_++);
  const std::string next_r = fmt::format("%n{}", temps_++), next_c = fmt::format("%n{}", temps_++);
  const std::string row = new_block(), row_in = new_block(), col = new_block(), col_in = new_block(), row_end = new_block(),
                    end = new_block();
  line("br label %{}", row);
  start_block(row);
  line("{} = phi i64 [ 0, %{} ], [ {}, %{} ]", r, before, next_r, row_end);
  const std::string go_row = emit("icmp slt i64 {}, {}", r, rows);
  line("br i1 {}, label %{}, label %{}", go_row, row_in, end);
  start_block(row_in);
  const std::string down = emit("mul i64 {}, {}", r, scalar(i.in[kRowStride]));
  const std::string start = emit("add i64 {}, {}", down, scalar(i.in[kOffset]));
  const std::string line_start = emit("mul i64 {}, {}", r, i.type.cols);
  line("br label %{}", col);
  start_block(col);
  line("{} = phi i64 [ 0, %{} ], [ {}, %{} ]", c, row_in, next_c, col_in);
  const std::string go_col = emit("icmp slt i64 {}, {}", c, cols);
  line("br i1 {}, label %{}, label %{}", go_col, col_in, row_end);
  start_block(col_in);
  const std::string right = emit("mul i64 {}, {}", c, scalar(i.in[kColStride]));
  const std::string index = emit("add i64 {}, {}", start, right);
  const std::string there = emit("getelementptr {}, ptr {}, i64 {}", element, scalar(i.in[kPtr]), index);
  const std::string place = emit("add i64 {}, {}", line_start, c);
  const std::string here = emit("getelementptr {}, ptr {}, i64 {}", element, buffer, place);
  const std::string value = emit("load {}, ptr {}, align {}", element, load ? there : here, mem_size(mem));
  line("store {} {}, ptr {}, align {}", element, value, load ? here : there, mem_size(mem));
  line("{} = add i64 {}, 1", next_c, c);
  line("br label %{}", col);
  start_block(row_end);
  line("{} = add i64 {}, 1", next_r, r);
  line("br label %{}", row);
  start_block(end);
}

Rows LlvmPrinter::load_slowly(const Inst& i, Mem mem) {
  const int cols = i.type.cols;
  const std::string type = vec(memory_type(mem), cols);
  const std::string buffer = alloca_of(fmt::format("[{} x {}]", i.type.rows * cols, memory_type(mem)), 64);
  auto place = [&](int r) { return emit("getelementptr {}, ptr {}, i64 {}", memory_type(mem), buffer, r * cols); };
  for (int r = 0; r < i.type.rows; ++r) line("store {} zeroinitializer, ptr {}, align {}", type, place(r), mem_size(mem));
  copy_loop(i, mem, buffer, true);
  Rows out;
  for (int r = 0; r < i.type.rows; ++r) {
    std::string value = widen(mem, cols, emit("load {}, ptr {}, align {}", type, place(r), mem_size(mem)));
    if (i.fimm != 0) {
      value = emit("select {} {}, {} {}, {} {}", vec("i1", cols), row_mask(i, r), type_of(i.type), value, type_of(i.type),
                   constant(i.type.elem, cols, integer_fill(i), i.fimm));
    }
    out.push_back(value);
  }
  return out;
}

void LlvmPrinter::store(const Inst& i) {
  const Mem mem = fn_.at(i.in[kPtr]).type.mem;
  if (i.type.cols == 1) return store_column(i, mem);
  Rows rows = at(i.in[kTile]);
  for (std::string& row : rows) row = narrow(mem, i.type.cols, row);
  const bool vectors = is_const(i.in[kColStride], 1);
  auto whole = [&] { return vectors ? store_rows(i, mem, rows, false) : store_lanes(i, mem, rows), Rows{}; };
  if (!has_limit(i)) {
    whole();
  } else if (vectors && can_mask(mem, true)) {
    store_rows(i, mem, rows, true);
  } else {
    const bool mask = vectors && can_mask(mem, false);
    either(full_condition(i), "", whole,
           [&] { return mask ? store_rows(i, mem, rows, true) : store_slowly(i, mem, rows), Rows{}; });
  }
}

void LlvmPrinter::store_column(const Inst& i, Mem mem) {
  for (int r = 0; r < i.type.rows; ++r) {
    std::string address = row_address(i, mem, r), condition;
    if (i.imm & 1) condition = emit("icmp sgt i64 {}, {}", scalar(i.in[kRowLimit]), r);
    if (i.imm & 2) {
      const std::string some = emit("icmp sgt i64 {}, 0", scalar(i.in[kColLimit]));
      condition = condition.empty() ? some : emit("and i1 {}, {}", condition, some);
    }
    if (!condition.empty()) address = guarded(condition, address);
    const std::string value = narrow(mem, 1, at(i.in[kTile])[static_cast<size_t>(r)]);
    line("store {} {}, ptr {}, align {}", memory_type(mem), value, address, mem_size(mem));
  }
}

void LlvmPrinter::store_rows(const Inst& i, Mem mem, const Rows& rows, bool masked) {
  const int cols = i.type.cols;
  const std::string type = vec(memory_type(mem), cols), mask_type = vec("i1", cols);
  for (int r = 0; r < i.type.rows; ++r) {
    const std::string address = row_address(i, mem, r), &value = rows[static_cast<size_t>(r)];
    if (!masked) {
      line("store {} {}, ptr {}, align {}", type, value, address, mem_size(mem));
      continue;
    }
    const std::string mask = row_mask(i, r);
    call("void", fmt::format("llvm.masked.store.v{}{}.p0", cols, mem == Mem::f32 ? "f32" : memory_type(mem)),
         fmt::format("{}, ptr, i32, {}", type, mask_type),
         fmt::format("{} {}, ptr {}, i32 {}, {} {}", type, value, address, mem_size(mem), mask_type, mask));
  }
}

void LlvmPrinter::store_lanes(const Inst& i, Mem mem, const Rows& rows) {
  const std::string type = vec(memory_type(mem), i.type.cols);
  for (int r = 0; r < i.type.rows; ++r) {
    const std::string row = row_address(i, mem, r);
    for (int c = 0; c < i.type.cols; ++c) {
      const std::string one = emit("extractelement {} {}, i64 {}", type, rows[static_cast<size_t>(r)], c);
      const std::string skip = emit("mul i64 {}, {}", scalar(i.in[kColStride]), c);
      const std::string address = emit("getelementptr {}, ptr {}, i64 {}", memory_type(mem), row, skip);
      line("store {} {}, ptr {}, align {}", memory_type(mem), one, address, mem_size(mem));
    }
  }
}

void LlvmPrinter::store_slowly(const Inst& i, Mem mem, const Rows& rows) {
  const int cols = i.type.cols;
  const std::string buffer = alloca_of(fmt::format("[{} x {}]", i.type.rows * cols, memory_type(mem)), 64);
  for (int r = 0; r < i.type.rows; ++r) {
    const std::string place = emit("getelementptr {}, ptr {}, i64 {}", memory_type(mem), buffer, r * cols);
    line("store {} {}, ptr {}, align {}", vec(memory_type(mem), cols), rows[static_cast<size_t>(r)], place, mem_size(mem));
  }
  copy_loop(i, mem, buffer, false);
}

Rows LlvmPrinter::gather(const Inst& i) {
  const Mem mem = fn_.at(i.in[0]).type.mem;
  const int cols = i.type.cols;
  const std::string type = vec(memory_type(mem), cols), t = type_of(i.type);
  Rows out;
  for (size_t r = 0; r < at(i.in[1]).size(); ++r) {
    const std::string& offsets = at(i.in[1])[r];
    std::string raw = "poison";
    for (int c = 0; c < cols; ++c) {
      const std::string offset = cols == 1 ? offsets : emit("extractelement <{} x i64> {}, i64 {}", cols, offsets, c);
      std::string address = emit("getelementptr {}, ptr {}, i64 {}", memory_type(mem), scalar(i.in[0]), offset);
      if (i.in[2] >= 0) {
        const std::string& mask = at(i.in[2])[r];
        address = guarded(cols == 1 ? mask : emit("extractelement <{} x i1> {}, i64 {}", cols, mask, c), address);
      }
      const std::string one = emit("load {}, ptr {}, align {}", memory_type(mem), address, mem_size(mem));
      raw = cols == 1 ? one : emit("insertelement {} {}, {} {}, i64 {}", type, raw, memory_type(mem), one, c);
    }
    std::string value = widen(mem, cols, raw);
    if (i.in[2] >= 0) {
      value = emit("select {} {}, {} {}, {} {}", vec("i1", cols), at(i.in[2])[r], t, value, t,
                   constant(i.type.elem, cols, integer_fill(i), i.fimm));
    }
    out.push_back(value);
  }
  return out;
}

void LlvmPrinter::scatter(const Inst& i) {
  const Mem mem = fn_.at(i.in[0]).type.mem;
  const int cols = i.type.cols;
  const std::string type = vec(memory_type(mem), cols);
  for (size_t r = 0; r < at(i.in[1]).size(); ++r) {
    const std::string row = narrow(mem, cols, at(i.in[3])[r]);
    for (int c = 0; c < cols; ++c) {
      const std::string offset =
          cols == 1 ? at(i.in[1])[r] : emit("extractelement <{} x i64> {}, i64 {}", cols, at(i.in[1])[r], c);
      std::string address = emit("getelementptr {}, ptr {}, i64 {}", memory_type(mem), scalar(i.in[0]), offset);
      if (i.in[2] >= 0) {
        const std::string& mask = at(i.in[2])[r];
        address = guarded(cols == 1 ? mask : emit("extractelement <{} x i1> {}, i64 {}", cols, mask, c), address);
      }
      const std::string one = cols == 1 ? row : emit("extractelement {} {}, i64 {}", type, row, c);
      line("store {} {}, ptr {}, align {}", memory_type(mem), one, address, mem_size(mem));
    }
  }
}

void LlvmPrinter::prefetch(const Inst& i) {
  const std::string there = emit("getelementptr {}, ptr {}, i64 {}", memory_type(fn_.at(i.in[0]).type.mem), scalar(i.in[0]), scalar(i.in[1]));
  call("void", "llvm.prefetch.p0", "ptr, i32, i32, i32", fmt::format("ptr {}, i32 0, i32 3, i32 1", there));  // read, keep, data
}

std::string LlvmPrinter::widen(Mem mem, int cols, const std::string& raw) {
  const std::string from = vec(memory_type(mem), cols), i32 = vec("i32", cols);
  switch (mem) {
    case Mem::f32:
    case Mem::i32:
    case Mem::i64:
      return raw;
    case Mem::u8:
      return emit("zext {} {} to {}", from, raw, i32);
    case Mem::i8:
      return emit("sext {} {} to {}", from, raw, i32);
    case Mem::f16:
      return widen_f16(cols, raw);
    case Mem::bf16: {
      const std::string wide = emit("zext {} {} to {}", from, raw, i32);
      const std::string high = emit("shl {} {}, {}", i32, wide, int_splat("i32", cols, 16));
      return emit("bitcast {} {} to {}", i32, high, vec("float", cols));
    }
  }
  return raw;
}

std::string LlvmPrinter::narrow(Mem mem, int cols, const std::string& value) {
  const std::string to = vec(memory_type(mem), cols), i32 = vec("i32", cols), f32 = vec("float", cols);
  auto k = [&](int64_t v) { return int_splat("i32", cols, v); };
  switch (mem) {
    case Mem::f32:
    case Mem::i32:
    case Mem::i64:
      return value;
    case Mem::u8:
    case Mem::i8:
      return emit("trunc {} {} to {}", i32, value, to);
    case Mem::f16:
      return narrow_f16(cols, value);
    case Mem::bf16: {
      // Half a unit, less one where the kept part is even, then cut; a NaN is kept quiet instead.
      const std::string bits = emit("bitcast {} {} to {}", f32, value, i32);
      const std::string cut = emit("lshr {} {}, {}", i32, bits, k(16));
      const std::string odd = emit("and {} {}, {}", i32, cut, k(1));
      const std::string half = emit("add {} {}, {}", i32, odd, k(0x7fff));
      const std::string sum = emit("add {} {}, {}", i32, bits, half);
      const std::string rounded = emit("lshr {} {}, {}", i32, sum, k(16));
      const std::string quiet = emit("or {} {}, {}", i32, cut, k(0x40));
      const std::string nan = emit("fcmp uno {} {}, {}", f32, value, value);
      const std::string chosen = emit("select {} {}, {} {}, {} {}", vec("i1", cols), nan, i32, quiet, i32, rounded);
      return emit("trunc {} {} to {}", i32, chosen, to);
    }
  }
  return value;
}

std::string LlvmPrinter::widen_f16(int cols, const std::string& raw) {
  const std::string i16 = vec("i16", cols), half = vec("half", cols), f32 = vec("float", cols), i32 = vec("i32", cols),
                    mask = vec("i1", cols);
  if (target_.f16c) return emit("fpext {} {} to {}", half, emit("bitcast {} {} to {}", i16, raw, half), f32);
  auto k = [&](int64_t v) { return int_splat("i32", cols, v); };
  const std::string bits = emit("zext {} {} to {}", i16, raw, i32);
  const std::string sign = emit("shl {} {}, {}", i32, emit("and {} {}, {}", i32, bits, k(0x8000)), k(16));
  const std::string size = emit("and {} {}, {}", i32, bits, k(0x7fff));
  // Normal: the exponent is moved by 112; infinity and NaN by as much again, the latter made quiet. Subnormal: size * 2^-24.
  const std::string moved = emit("shl {} {}, {}", i32, size, k(13));
  const std::string normal = emit("add {} {}, {}", i32, moved, k(112 << 23));
  const std::string special = emit("add {} {}, {}", i32, moved, k(224 << 23));
  const std::string quiet = emit("or {} {}, {}", i32, special, k(0x400000));
  const std::string is_nan = emit("icmp sgt {} {}, {}", i32, size, k(0x7c00));
  const std::string is_special = emit("icmp sge {} {}, {}", i32, size, k(0x7c00));
  const std::string is_small = emit("icmp slt {} {}, {}", i32, size, k(0x400));
  const std::string count = emit("sitofp {} {} to {}", i32, size, f32);
  const std::string tiny =
      emit("bitcast {} {} to {}", f32, emit("fmul {} {}, {}", f32, count, constant(Elem::f32, cols, 0, 0x1p-24)), i32);
  auto choose = [&](const std::string& c, const std::string& a, const std::string& b) {
    return emit("select {} {}, {} {}, {} {}", mask, c, i32, a, i32, b);
  };
  const std::string value = choose(is_small, tiny, choose(is_nan, quiet, choose(is_special, special, normal)));
  return emit("bitcast {} {} to {}", i32, emit("or {} {}, {}", i32, value, sign), f32);
}

std::string LlvmPrinter::narrow_f16(int cols, const std::string& value) {
  const std::string i16 = vec("i16", cols), half = vec("half", cols), f32 = vec("float", cols), i32 = vec("i32", cols),
                    mask = vec("i1", cols);
  if (target_.f16c) return emit("bitcast {} {} to {}", half, emit("fptrunc {} {} to {}", f32, value, half), i16);
  auto k = [&](int64_t v) { return int_splat("i32", cols, v); };
  const std::string bits = emit("bitcast {} {} to {}", f32, value, i32);
  const std::string size = emit("and {} {}, {}", i32, bits, k(0x7fffffff));
  const std::string sign = emit("lshr {} {}, {}", i32, emit("xor {} {}, {}", i32, bits, size), k(16));
  // Subnormal: adding 0.5, whose unit is 2^-24, rounds there. Normal: round as bf16 does. Large: infinity. NaN: quiet.
  const std::string real = emit("bitcast {} {} to {}", i32, size, f32);
  const std::string pushed =
      emit("bitcast {} {} to {}", f32, emit("fadd {} {}, {}", f32, real, constant(Elem::f32, cols, 0, 0.5)), i32);
  const std::string tiny = emit("sub {} {}, {}", i32, pushed, k(0x3f000000));
  const std::string odd = emit("and {} {}, {}", i32, emit("lshr {} {}, {}", i32, size, k(13)), k(1));
  const std::string up = emit("add {} {}, {}", i32, odd, k(0xfff - (112ll << 23)));
  const std::string normal = emit("lshr {} {}, {}", i32, emit("add {} {}, {}", i32, size, up), k(13));
  const std::string payload = emit("and {} {}, {}", i32, emit("lshr {} {}, {}", i32, size, k(13)), k(0x3ff));
  const std::string nan = emit("or {} {}, {}", i32, payload, k(0x7e00));
  const std::string is_nan = emit("icmp sgt {} {}, {}", i32, size, k(0x7f800000));
  const std::string is_large = emit("icmp sge {} {}, {}", i32, size, k(0x477ff000));
  const std::string is_small = emit("icmp slt {} {}, {}", i32, size, k(0x38800000));
  auto choose = [&](const std::string& c, const std::string& a, const std::string& b) {
    return emit("select {} {}, {} {}, {} {}", mask, c, i32, a, i32, b);
  };
  const std::string chosen = choose(is_small, tiny, choose(is_nan, nan, choose(is_large, k(0x7c00), normal)));
  return emit("trunc {} {} to {}", i32, emit("or {} {}, {}", i32, chosen, sign), i16);
}

}  // namespace bgl::lang::internal
