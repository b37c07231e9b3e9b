#include <limits>

#include "lang/internal/half.h"
#include "lang/internal/interpreter.h"

namespace bgl::lang::internal {
namespace {

constexpr uint32_t kMany = std::numeric_limits<uint32_t>::max();

template <typename T>
T get(const char* from) {
  T v;
  std::memcpy(&v, from, sizeof v);
  return v;
}
template <typename T>
void put(char* to, T v) {
  std::memcpy(to, &v, sizeof v);
}

}  // namespace

Cell Interpreter::read(Mem mem, const char* from) {
  Cell c;
  switch (mem) {
    case Mem::i8:
      c.i = get<int8_t>(from);
      break;
    case Mem::u8:
      c.i = get<uint8_t>(from);
      break;
    case Mem::i32:
      c.i = get<int32_t>(from);
      break;
    case Mem::i64:
      c.i = get<int64_t>(from);
      break;
    case Mem::bf16:
      c.f = from_bf16(get<uint16_t>(from));
      break;
    case Mem::f16:
      c.f = from_f16(get<uint16_t>(from));
      break;
    case Mem::f32:
      c.f = get<float>(from);
      break;
  }
  return c;
}
void Interpreter::write(Mem mem, char* to, Cell value) {
  switch (mem) {
    case Mem::i8:
    case Mem::u8:
      put(to, static_cast<uint8_t>(value.i));
      break;
    case Mem::i32:
      put(to, static_cast<int32_t>(value.i));
      break;
    case Mem::i64:
      put(to, value.i);
      break;
    case Mem::bf16:
      put(to, to_bf16(value.f));
      break;
    case Mem::f16:
      put(to, to_f16(value.f));
      break;
    case Mem::f32:
      put(to, value.f);
      break;
  }
}

// "x[16]", by the parameter's name where the pointer is one.
std::string Interpreter::place(const Inst& i, int64_t index) const {
  const Inst& p = fn_.at(i.in[0]);
  const std::string name = p.op == Op::kParam     ? fn_.params[static_cast<size_t>(p.imm)].name
                           : p.op == Op::kScratch ? "scratch"
                                                  : "a pointer";
  return fmt::format("{}[{}]", name, index);
}

Status Interpreter::race(const Inst& i, int64_t index, const char* did, uint32_t other, bool write) const {
  const int64_t p = static_cast<int64_t>(other) - 1;
  return fault(i, "a race: {} {}, which program ({}, {}, {}) {}", write ? "writes" : "reads", place(i, index), p % grid_[0],
               p / grid_[0] % grid_[1], p / grid_[0] / grid_[1], did);
}

Status Interpreter::note(const Inst& i, Shadow& s, uint64_t at, uint64_t size, int64_t index, bool write) {
  for (uint64_t b = at; b < at + size; ++b) {
    if (!s.written.empty()) {
      if (!write && !s.written[b]) return fault(i, "reads {}, which nothing has written", place(i, index));
      if (write) s.written[b] = 1;
    }
    if (s.writer.empty()) continue;
    uint32_t &writer = s.writer[b], &reader = s.reader[b];
    if (writer != 0 && writer != program_) return race(i, index, "wrote", writer, write);
    if (write) {
      if (reader == kMany) return fault(i, "a race: writes {}, which other programs read", place(i, index));
      if (reader != 0 && reader != program_) return race(i, index, "read", reader, write);
      writer = program_;
    } else {
      reader = reader == 0 || reader == program_ ? program_ : kMany;
    }
  }
  return {};
}

// The address of element `index`, checked.
Status Interpreter::access(const Inst& i, int64_t index, int row, int col, bool write, char*& where) {
  const Type& pointer = type(i.in[0]);
  const auto bytes = static_cast<uint64_t>(mem_size(pointer.mem));
  const uint64_t base = cells(i.in[0])->address, address = base + static_cast<uint64_t>(index) * bytes;
  where = reinterpret_cast<char*>(address);
  if (!bounded_ && scratch_count_ == 0) return {};
  Shadow* home = nullptr;
  const int own = scratch_of_[static_cast<size_t>(i.in[0])];
  if (own >= 0) {
    home = &shadows_[static_cast<size_t>(own)];
  } else {
    // The buffer that the pointer itself lies in; it may stand just behind the end of one where nothing is touched.
    for (Shadow& s : shadows_) {
      if (base >= s.start && (base < s.start + s.bytes || (base == s.start + s.bytes && !home && !s.scratch))) home = &s;
    }
  }
  if (!home) return bounded_ ? fault(i, "{} is in no buffer", place(i, index)) : Status();
  if (address < home->start || address + bytes > home->start + home->bytes) {
    const int64_t low = (static_cast<int64_t>(home->start) - static_cast<int64_t>(base)) / static_cast<int64_t>(bytes);
    return fault(i, "element ({}, {}) is {}, outside its buffer of elements {} to {}", row, col, place(i, index), low,
                 low + static_cast<int64_t>(home->bytes / bytes) - 1);
  }
  return note(i, *home, address - home->start, bytes, index, write);
}

Status Interpreter::load(const Inst& i, Cell* out) {
  const Mem mem = type(i.in[0]).mem;
  const int64_t offset = cells(i.in[1])->i, row_stride = cells(i.in[2])->i, col_stride = cells(i.in[3])->i;
  const int64_t rows = i.imm & 1 ? cells(i.in[4])->i : i.type.rows, cols = i.imm & 2 ? cells(i.in[5])->i : i.type.cols;
  for (int r = 0; r < i.type.rows; ++r) {
    for (int c = 0; c < i.type.cols; ++c, ++out) {
      if (r < rows && c < cols) {
        char* where;
        BGL_TRY(access(i, offset + r * row_stride + c * col_stride, r, c, false, where));
        *out = read(mem, where);
      } else if (i.type.elem == Elem::f32) {
        out->f = static_cast<float>(i.fimm);
      } else {
        out->i = integer_fill(i);
      }
    }
  }
  return {};
}

Status Interpreter::store(const Inst& i) {
  const Mem mem = type(i.in[0]).mem;
  const int64_t offset = cells(i.in[1])->i, row_stride = cells(i.in[2])->i, col_stride = cells(i.in[3])->i;
  const int64_t rows = i.imm & 1 ? cells(i.in[4])->i : i.type.rows, cols = i.imm & 2 ? cells(i.in[5])->i : i.type.cols;
  const Cell* tile = cells(i.in[6]);
  for (int r = 0; r < i.type.rows; ++r) {
    for (int c = 0; c < i.type.cols; ++c, ++tile) {
      if (r >= rows || c >= cols) continue;
      char* where;
      BGL_TRY(access(i, offset + r * row_stride + c * col_stride, r, c, true, where));
      write(mem, where, *tile);
    }
  }
  return {};
}

Status Interpreter::gather(const Inst& i, Cell* out) {
  const Mem mem = type(i.in[0]).mem;
  const Cell *offsets = cells(i.in[1]), *mask = i.in[2] >= 0 ? cells(i.in[2]) : nullptr;
  for (size_t k = 0; k < size(i.type); ++k) {
    if (!mask || mask[k].i) {
      char* where;
      const int n = static_cast<int>(k);
      BGL_TRY(access(i, offsets[k].i, n / i.type.cols, n % i.type.cols, false, where));
      out[k] = read(mem, where);
    } else if (i.type.elem == Elem::f32) {
      out[k].f = static_cast<float>(i.fimm);
    } else {
      out[k].i = integer_fill(i);
    }
  }
  return {};
}

Status Interpreter::scatter(const Inst& i) {
  const Mem mem = type(i.in[0]).mem;
  const Cell *offsets = cells(i.in[1]), *mask = i.in[2] >= 0 ? cells(i.in[2]) : nullptr, *tile = cells(i.in[3]);
  for (size_t k = 0; k < size(i.type); ++k) {
    if (mask && !mask[k].i) continue;
    char* where;
    const int n = static_cast<int>(k);
    BGL_TRY(access(i, offsets[k].i, n / i.type.cols, n % i.type.cols, true, where));
    write(mem, where, tile[k]);
  }
  return {};
}

}  // namespace bgl::lang::internal
