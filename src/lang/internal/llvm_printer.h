// The state of one printing; its methods are split between print_llvm.cc (control and arithmetic) and print_llvm_memory.cc.
#pragma once

#include <fmt/format.h>

#include <array>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "lang/print_llvm.h"

namespace bgl::lang::internal {

using Rows = std::vector<std::string>;  // one operand (a name or a constant) per row

class LlvmPrinter {
 public:
  LlvmPrinter(const Function& fn, const LlvmTarget& target) : fn_(fn), target_(target), values_(fn.insts.size()) {}
  std::string print();

 private:
  // print_llvm.cc
  void body(const std::vector<int>& list);
  void inst(int id);
  void loop(int id);
  void branch(const Inst& i);
  Rows unary(const Inst& i);
  Rows cast(const Inst& i);
  Rows binary(const Inst& i);
  // A row in pieces as wide as a register, each of which `piece` makes from pieces of the three operands.
  Rows by_registers(const Inst& i, const std::function<std::string(int lanes, const std::array<std::string, 3>&)>& piece);
  Rows dot4(const Inst& i);
  Rows dot2(const Inst& i);
  std::string dot4_register(int lanes, const std::string& a, const std::string& b, const std::string& c);
  std::string dot4_bytes(int lanes, const std::string& a, const std::string& b, const std::string& c);
  Rows fma(const Inst& i);
  std::string multiply_add(int cols, const std::string& a, const std::string& b, const std::string& c);
  Rows select(const Inst& i);
  Rows broadcast(const Inst& i);
  Rows transpose(const Inst& i);
  Rows reduce(const Inst& i);
  std::string join(ReduceKind kind, Elem e, int cols, const std::string& a, const std::string& b);
  std::string extremum(bool max, Elem e, int cols, const std::string& a, const std::string& b);

  // print_llvm_memory.cc
  Rows load(const Inst& i);
  void store(const Inst& i);
  Rows load_column(const Inst& i, Mem mem);
  void store_column(const Inst& i, Mem mem);
  Rows load_rows(const Inst& i, Mem mem, bool masked);
  void store_rows(const Inst& i, Mem mem, const Rows& narrow, bool masked);
  Rows load_lanes(const Inst& i, Mem mem);
  void store_lanes(const Inst& i, Mem mem, const Rows& narrow);
  Rows load_slowly(const Inst& i, Mem mem);
  void store_slowly(const Inst& i, Mem mem, const Rows& narrow);
  void copy_loop(const Inst& i, Mem mem, const std::string& buffer, bool load);
  Rows gather(const Inst& i);
  void scatter(const Inst& i);
  void prefetch(const Inst& i);
  std::string full_condition(const Inst& i);
  std::string row_address(const Inst& i, Mem mem, int row);
  std::string row_mask(const Inst& i, int row);
  std::string guarded(const std::string& condition, const std::string& address);
  std::string widen(Mem mem, int cols, const std::string& raw);
  std::string narrow(Mem mem, int cols, const std::string& value);
  std::string narrow_f16(int cols, const std::string& value);
  std::string widen_f16(int cols, const std::string& raw);
  bool can_mask(Mem mem, bool store) const;
  // `fast` under `condition`, `slow` otherwise; the rows either gives meet in phis of `type`.
  Rows either(const std::string& condition, const std::string& type, const std::function<Rows()>& fast,
              const std::function<Rows()>& slow);

  // Writing.
  template <typename... A>
  std::string emit(fmt::format_string<A...> f, A&&... a) {  // "%t7 = " + the text; returns %t7
    std::string name = fmt::format("%t{}", temps_++);
    text_ += fmt::format("  {} = {}\n", name, fmt::format(f, std::forward<A>(a)...));
    return name;
  }
  template <typename... A>
  void line(fmt::format_string<A...> f, A&&... a) {
    text_ += fmt::format("  {}\n", fmt::format(f, std::forward<A>(a)...));
  }
  std::string new_block() { return fmt::format("b{}", blocks_++); }
  void start_block(const std::string& name) { text_ += name + ":\n", block_ = name; }
  std::string call(const std::string& result, const std::string& function, const std::string& parameters,
                   const std::string& arguments);
  std::string alloca_of(const std::string& type, int align);
  std::string splat(const std::string& element_type, int cols, const std::string& scalar);
  std::string constant(Elem e, int cols, int64_t imm, double fimm) const;
  std::string int_splat(const char* type, int cols, int64_t v) const;
  std::string iota(const char* type, int cols, int64_t first) const;
  static std::string vec(const std::string& element, int cols) {
    return cols == 1 ? element : fmt::format("<{} x {}>", cols, element);
  }
  static const char* type_of(Elem e);
  static std::string memory_type(Mem m);
  static std::string type_of(const Type& t) { return t.is_pointer ? "ptr" : vec(type_of(t.elem), t.cols); }
  static std::string suffix(Elem e, int cols);
  const Rows& at(int v) const { return values_[static_cast<size_t>(v)]; }
  const std::string& scalar(int v) const { return at(v)[0]; }
  bool is_const(int v, int64_t value) const { return fn_.at(v).op == Op::kConst && fn_.at(v).imm == value; }

  const Function& fn_;
  const LlvmTarget& target_;
  std::vector<Rows> values_;
  std::string text_, allocas_;
  std::string block_;
  std::string dummy_;  // 8 bytes that an access which must not happen is led to
  std::set<std::string> declared_;
  int temps_ = 0, blocks_ = 0;
};

}  // namespace bgl::lang::internal
