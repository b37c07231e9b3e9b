// The state of one run of the interpreter; its methods are split between interpret.cc (control and arithmetic) and
// interpret_memory.cc (loads, stores and what is checked about them).
#pragma once

#include <fmt/format.h>

#include <vector>

#include "lang/interpret.h"

namespace bgl::lang::internal {

union Cell {
  int64_t i;  // i1, i32 (sign-extended) and i64
  float f;
  uint64_t address;
};

// What is known about the bytes of one buffer or scratch.
struct Shadow {
  uint64_t start = 0, bytes = 0;
  bool scratch = false;
  std::vector<uint8_t> written;  // empty: all are
  std::vector<uint32_t> writer;  // program + 1, or 0; empty: races are not looked for
  std::vector<uint32_t> reader;  // likewise; kMany when several have read
};

class Interpreter {
 public:
  Interpreter(const Function& fn, std::array<int64_t, 3> grid, std::span<const uint64_t> slots,
              const InterpretOptions& options);
  Status run(int64_t begin, int64_t end);

 private:
  // interpret.cc
  Status body(const std::vector<int>& list);
  Status inst(int id);
  Status loop(const Inst& i);
  void unary(const Inst& i, Cell* out);
  Status binary(const Inst& i, Cell* out);
  Status divide(const Inst& i, int64_t a, int64_t b, int64_t& out) const;
  void broadcast(const Inst& i, Cell* out);
  void reduce(const Inst& i, Cell* out);
  static Cell join(ReduceKind kind, Elem e, Cell a, Cell b);

  // interpret_memory.cc
  Status load(const Inst& i, Cell* out);
  Status store(const Inst& i);
  Status gather(const Inst& i, Cell* out);
  Status scatter(const Inst& i);
  Status access(const Inst& i, int64_t index, int row, int col, bool write, char*& where);
  Status race(const Inst& i, int64_t index, const char* did, uint32_t other, bool write) const;
  Status note(const Inst& i, Shadow& s, uint64_t at, uint64_t size, int64_t index, bool write);
  std::string place(const Inst& i, int64_t index) const;
  static Cell read(Mem mem, const char* from);
  static void write(Mem mem, char* to, Cell value);

  template <typename... A>
  Status fault(const Inst& i, fmt::format_string<A...> f, A&&... a) const {
    return make_fault(i, fmt::format(f, std::forward<A>(a)...));
  }
  Status make_fault(const Inst& i, const std::string& what) const;
  float multiply_add(float a, float b, float c) const { return options_.fma ? std::fmaf(a, b, c) : a * b + c; }
  Cell* cells(int v) { return cells_.data() + starts_[static_cast<size_t>(v)]; }
  const Type& type(int v) const { return fn_.at(v).type; }
  static size_t size(const Type& t) { return t.is_pointer ? 1 : static_cast<size_t>(t.rows) * static_cast<size_t>(t.cols); }

  const Function& fn_;
  const std::array<int64_t, 3> grid_;
  const std::span<const uint64_t> slots_;
  const InterpretOptions& options_;
  std::vector<size_t> starts_;  // of each value in cells_
  std::vector<Cell> cells_;
  std::array<int64_t, 3> pid_{};
  uint32_t program_ = 0;  // counted from 1
  std::vector<std::vector<char>> scratch_;
  std::vector<int> scratch_of_;  // by value: its place in scratch_, or -1
  std::vector<Shadow> shadows_;  // scratch first, then the buffers
  size_t scratch_count_ = 0;
  bool bounded_ = false;
};

}  // namespace bgl::lang::internal
