#include "lang/print_llvm.h"

#include <cstring>

#include "base/status.h"
#include "lang/internal/llvm_printer.h"

namespace bgl::lang {

std::string print_llvm(const Function& fn, const LlvmTarget& target) { return internal::LlvmPrinter(fn, target).print(); }

namespace internal {

const char* LlvmPrinter::type_of(Elem e) {
  constexpr const char* kTypes[] = {"i1", "i32", "i64", "float"};
  return kTypes[static_cast<int>(e)];
}
std::string LlvmPrinter::suffix(Elem e, int cols) {
  const char* name = e == Elem::f32 ? "f32" : type_of(e);
  return cols == 1 ? name : fmt::format("v{}{}", cols, name);
}

std::string LlvmPrinter::constant(Elem e, int cols, int64_t imm, double fimm) const {
  std::string one;
  if (e == Elem::f32) {
    const double wide = static_cast<float>(fimm);
    uint64_t bits;
    std::memcpy(&bits, &wide, 8);
    one = fmt::format("0x{:016X}", bits);
  } else if (e == Elem::i1) {
    one = imm & 1 ? "true" : "false";
  } else {
    one = fmt::format("{}", e == Elem::i32 ? static_cast<int32_t>(imm) : imm);
  }
  if (cols == 1) return one;
  std::string text = "<";
  for (int c = 0; c < cols; ++c) text += fmt::format("{}{} {}", c ? ", " : "", type_of(e), one);
  return text + ">";
}
std::string LlvmPrinter::int_splat(const char* type, int cols, int64_t v) const {
  if (cols == 1) return std::to_string(v);
  std::string text = "<";
  for (int c = 0; c < cols; ++c) text += fmt::format("{}{} {}", c ? ", " : "", type, v);
  return text + ">";
}
std::string LlvmPrinter::iota(const char* type, int cols, int64_t first) const {
  if (cols == 1) return std::to_string(first);
  std::string text = "<";
  for (int c = 0; c < cols; ++c) text += fmt::format("{}{} {}", c ? ", " : "", type, first + c);
  return text + ">";
}

std::string LlvmPrinter::call(const std::string& result, const std::string& function, const std::string& parameters,
                              const std::string& arguments) {
  declared_.insert(fmt::format("declare {} @{}({})", result, function, parameters));
  if (result != "void") return emit("call {} @{}({})", result, function, arguments);
  line("call void @{}({})", function, arguments);
  return {};
}
std::string LlvmPrinter::alloca_of(const std::string& type, int align) {
  std::string name = fmt::format("%a{}", temps_++);
  allocas_ += fmt::format("  {} = alloca {}, align {}\n", name, type, align);
  return name;
}
std::string LlvmPrinter::splat(const std::string& element_type, int cols, const std::string& scalar) {
  if (cols == 1) return scalar;
  const std::string type = vec(element_type, cols);
  const std::string first = emit("insertelement {} poison, {} {}, i64 0", type, element_type, scalar);
  return emit("shufflevector {} {}, {} poison, <{} x i32> zeroinitializer", type, first, type, cols);
}

std::string LlvmPrinter::print() {
  for (size_t id = 0; id < fn_.insts.size(); ++id) {
    if (fn_.insts[id].op == Op::kParam) values_[id] = {fmt::format("%p{}", fn_.insts[id].imm)};
  }
  std::string entry;
  for (size_t p = 0; p < fn_.params.size(); ++p) {
    const std::string type = type_of(fn_.params[p].type);
    entry +=
        fmt::format("  %s{0} = getelementptr i8, ptr %args, i64 {1}\n  %p{0} = load {2}, ptr %s{0}, align 8\n", p, p * 8, type);
  }
  start_block("head");
  body(fn_.body);
  const std::string last = block_;
  std::string text =
      fmt::format("define void @{}(ptr %args, i64 %pid0_begin, i64 %pid0_end, i64 %pid1, i64 %pid2) #0 {{\nentry:\n", fn_.name);
  text += allocas_ + entry;
  text += "  %some = icmp slt i64 %pid0_begin, %pid0_end\n  br i1 %some, label %head, label %done\n";
  text += fmt::format("head:\n  %pid0 = phi i64 [ %pid0_begin, %entry ], [ %pid0_next, %{} ]\n", last);
  text += text_.substr(std::strlen("head:\n"));
  text += "  %pid0_next = add i64 %pid0, 1\n  %more = icmp slt i64 %pid0_next, %pid0_end\n";
  text += "  br i1 %more, label %head, label %done\ndone:\n  ret void\n}\n";
  for (const std::string& d : declared_) text += d + "\n";
  text += fmt::format(
      "attributes #0 = {{ nounwind \"no-builtins\" \"target-cpu\"=\"x86-64\" \"target-features\"=\"{}\" "
      "\"prefer-vector-width\"=\"{}\" \"frame-pointer\"=\"none\" }}\n",
      target_.features, target_.vector_floats * 32);
  return text;
}

void LlvmPrinter::body(const std::vector<int>& list) {
  for (const int id : list) inst(id);
}

// One case for every operation, in the order of ir.h.
void LlvmPrinter::inst(int id) {
  const Inst& i = fn_.at(id);
  Rows& out = values_[static_cast<size_t>(id)];
  const auto rows = static_cast<size_t>(i.type.rows);
  switch (i.op) {
    case Op::kParam:
    case Op::kArg:
      return;
    case Op::kProgramId:
      out = {fmt::format("%pid{}", i.imm)};
      return;
    case Op::kConst:
      out.assign(rows, constant(i.type.elem, i.type.cols, i.imm, i.fimm));
      return;
    case Op::kIota:
      out = {iota(type_of(i.type.elem), i.type.cols, 0)};
      return;
    case Op::kRowIota:
      for (size_t r = 0; r < rows; ++r) out.push_back(std::to_string(r));
      return;
    case Op::kScratch:
      out = {alloca_of(fmt::format("[{} x {}]", i.imm, memory_type(i.type.mem)), 64)};
      return;
    case Op::kNeg:
    case Op::kAbs:
    case Op::kSqrt:
    case Op::kBitcast:
      out = unary(i);
      return;
    case Op::kCast:
      out = cast(i);
      return;
    case Op::kBroadcast:
      out = broadcast(i);
      return;
    case Op::kTranspose:
      out = transpose(i);
      return;
    case Op::kAdd:
    case Op::kSub:
    case Op::kMul:
    case Op::kDiv:
    case Op::kRem:
    case Op::kMin:
    case Op::kMax:
    case Op::kAnd:
    case Op::kOr:
    case Op::kXor:
    case Op::kShl:
    case Op::kShr:
    case Op::kEq:
    case Op::kNe:
    case Op::kLt:
    case Op::kLe:
    case Op::kGt:
    case Op::kGe:
      out = binary(i);
      return;
    case Op::kFma:
      out = fma(i);
      return;
    case Op::kDot4:
      out = dot4(i);
      return;
    case Op::kDot2:
      out = dot2(i);
      return;
    case Op::kSelect:
      out = select(i);
      return;
    case Op::kReduce:
      out = reduce(i);
      return;
    case Op::kLoad:
      out = load(i);
      return;
    case Op::kStore:
      store(i);
      return;
    case Op::kGather:
      out = gather(i);
      return;
    case Op::kScatter:
      scatter(i);
      return;
    case Op::kPrefetch:
      prefetch(i);
      return;
    case Op::kFor:
      loop(id);
      return;
    case Op::kResult: {
      const Inst& l = fn_.at(i.in[0]);
      out = at(l.args[static_cast<size_t>(i.imm) + 1]);  // the loop's header dominates what follows it
      return;
    }
    case Op::kIf:
      branch(i);
      return;
  }
}

void LlvmPrinter::loop(int id) {
  const Inst& i = fn_.at(id);
  const std::string head = new_block(), inside = new_block(), exit = new_block(), before = block_;
  line("br label %{}", head);
  start_block(head);
  for (const int arg : i.args) {
    const Inst& a = fn_.at(arg);
    for (int r = 0; r < (a.type.is_pointer ? 1 : a.type.rows); ++r) {
      values_[static_cast<size_t>(arg)].push_back(fmt::format("%v{}_{}", arg, r));
    }
  }
  const size_t phis = text_.size();  // they need the last block of the body: written afterwards
  const std::string& iv = at(i.args[0])[0];
  const std::string go = emit("icmp slt i64 {}, {}", iv, scalar(i.in[1]));
  line("br i1 {}, label %{}, label %{}", go, inside, exit);
  start_block(inside);
  body(i.body);
  const std::string next = emit("add i64 {}, {}", iv, scalar(i.in[2]));
  line("br label %{}", head);
  std::string text = fmt::format("  {} = phi i64 [ {}, %{} ], [ {}, %{} ]\n", iv, scalar(i.in[0]), before, next, block_);
  for (size_t c = 1; c < i.args.size(); ++c) {
    const Rows &name = at(i.args[c]), &first = at(i.in[c + 2]), &then = at(i.yields[c - 1]);
    const std::string type = type_of(fn_.at(i.args[c]).type);
    for (size_t r = 0; r < name.size(); ++r) {
      text += fmt::format("  {} = phi {} [ {}, %{} ], [ {}, %{} ]\n", name[r], type, first[r], before, then[r], block_);
    }
  }
  text_.insert(phis, text);
  start_block(exit);
}

void LlvmPrinter::branch(const Inst& i) {
  const std::string yes = new_block(), no = new_block(), after = new_block();
  line("br i1 {}, label %{}, label %{}", scalar(i.in[0]), yes, i.other_body.empty() ? after : no);
  start_block(yes);
  body(i.body);
  line("br label %{}", after);
  if (!i.other_body.empty()) {
    start_block(no);
    body(i.other_body);
    line("br label %{}", after);
  }
  start_block(after);
}

Rows LlvmPrinter::unary(const Inst& i) {
  const Elem e = i.type.elem;
  const int cols = i.type.cols;
  const std::string type = type_of(i.type);
  Rows out;
  for (const std::string& x : at(i.in[0])) {
    if (i.op == Op::kBitcast) {
      out.push_back(emit("bitcast {} {} to {}", vec(type_of(fn_.at(i.in[0]).type.elem), cols), x, type));
    } else if (i.op == Op::kSqrt) {
      out.push_back(call(type, "llvm.sqrt." + suffix(e, cols), type, fmt::format("{} {}", type, x)));
    } else if (e == Elem::f32) {
      out.push_back(i.op == Op::kNeg ? emit("fneg {} {}", type, x)
                                     : call(type, "llvm.fabs." + suffix(e, cols), type, fmt::format("{} {}", type, x)));
    } else {
      const std::string minus = emit("sub {} {}, {}", type, constant(e, cols, 0, 0), x);
      if (i.op == Op::kNeg) {
        out.push_back(minus);
      } else {
        const std::string negative = emit("icmp slt {} {}, {}", type, x, constant(e, cols, 0, 0));
        out.push_back(emit("select {} {}, {} {}, {} {}", vec("i1", cols), negative, type, minus, type, x));
      }
    }
  }
  return out;
}

Rows LlvmPrinter::cast(const Inst& i) {
  const Elem from = fn_.at(i.in[0]).type.elem, to = i.type.elem;
  const std::string source = vec(type_of(from), i.type.cols), type = type_of(i.type);
  Rows out;
  for (const std::string& x : at(i.in[0])) {
    if (from == to) {
      out.push_back(x);
    } else if (from == Elem::f32) {
      // A value out of range is poison to LLVM; frozen, it is some number and nothing more.
      const std::string raw = emit("fptosi {} {} to {}", source, x, type);
      out.push_back(emit("freeze {} {}", type, raw));
    } else {
      const char* op = to == Elem::f32     ? (from == Elem::i1 ? "uitofp" : "sitofp")
                       : from == Elem::i1  ? "zext"
                       : from == Elem::i32 ? "sext"
                                           : "trunc";
      out.push_back(emit("{} {} {} to {}", op, source, x, type));
    }
  }
  return out;
}

std::string LlvmPrinter::extremum(bool max, Elem e, int cols, const std::string& a, const std::string& b) {
  const std::string type = vec(type_of(e), cols);
  const std::string pick = emit("{} {} {} {}, {}", e == Elem::f32 ? "fcmp" : "icmp",
                                e == Elem::f32 ? (max ? "ogt" : "olt") : (max ? "sgt" : "slt"), type, b, a);
  return emit("select {} {}, {} {}, {} {}", vec("i1", cols), pick, type, b, type, a);
}

namespace {
const char* operation(Op op, bool real, bool boolean) {
  switch (op) {
    case Op::kAdd:
      return real ? "fadd" : "add";
    case Op::kSub:
      return real ? "fsub" : "sub";
    case Op::kMul:
      return real ? "fmul" : "mul";
    case Op::kDiv:
      return real ? "fdiv" : "sdiv";
    case Op::kRem:
      return "srem";
    case Op::kAnd:
      return "and";
    case Op::kOr:
      return "or";
    case Op::kXor:
      return "xor";
    case Op::kShl:
      return "shl";
    case Op::kShr:
      return "lshr";
    case Op::kEq:
      return real ? "fcmp oeq" : "icmp eq";
    case Op::kNe:
      return real ? "fcmp une" : "icmp ne";
    case Op::kLt:
      return real ? "fcmp olt" : boolean ? "icmp ult" : "icmp slt";
    case Op::kLe:
      return real ? "fcmp ole" : boolean ? "icmp ule" : "icmp sle";
    case Op::kGt:
      return real ? "fcmp ogt" : boolean ? "icmp ugt" : "icmp sgt";
    case Op::kGe:
      return real ? "fcmp oge" : boolean ? "icmp uge" : "icmp sge";
    default:
      BGL_CHECK(false, "{} is no binary operation", name_of(op));
      return "";
  }
}
}  // namespace

Rows LlvmPrinter::binary(const Inst& i) {
  const Type& t = fn_.at(i.in[0]).type;
  const Rows &a = at(i.in[0]), &b = at(i.in[1]);
  Rows out;
  for (size_t r = 0; r < a.size(); ++r) {
    if (i.op == Op::kMin || i.op == Op::kMax) {
      out.push_back(extremum(i.op == Op::kMax, t.elem, t.cols, a[r], b[r]));
    } else {
      out.push_back(emit("{} {} {}, {}", operation(i.op, t.elem == Elem::f32, t.elem == Elem::i1), type_of(t), a[r], b[r]));
    }
  }
  return out;
}

std::string LlvmPrinter::multiply_add(int cols, const std::string& a, const std::string& b, const std::string& c) {
  const std::string t = vec("float", cols);
  if (target_.fma) {
    return call(t, "llvm.fma." + suffix(Elem::f32, cols), fmt::format("{0}, {0}, {0}", t), fmt::format("{0} {1}, {0} {2}, {0} {3}", t, a, b, c));
  }
  const std::string product = emit("fmul {} {}, {}", t, a, b);
  return emit("fadd {} {}, {}", t, product, c);
}

Rows LlvmPrinter::fma(const Inst& i) {
  const Rows &a = at(i.in[0]), &b = at(i.in[1]), &c = at(i.in[2]);
  Rows out;
  for (size_t r = 0; r < a.size(); ++r) out.push_back(multiply_add(i.type.cols, a[r], b[r], c[r]));
  return out;
}

// Of <lanes x i32>, as wide as a register: products of 16-bit pairs, of the even bytes and of the odd ones, or one instruction for all.
std::string LlvmPrinter::dot4_register(int lanes, const std::string& a, const std::string& b, const std::string& c) {
  const std::string words = vec("i32", lanes), halves = vec("i16", 2 * lanes);
  if (target_.vnni && lanes == 16) {
    return call(words, "llvm.x86.avx512.vpdpbusd.512", fmt::format("{0}, {0}, {0}", words), fmt::format("{0} {1}, {0} {2}, {0} {3}", words, c, a, b));
  }
  const char* multiply = lanes == 16 ? "llvm.x86.avx512.pmaddw.d.512" : lanes == 8 ? "llvm.x86.avx2.pmadd.wd" : "llvm.x86.sse2.pmadd.wd";
  const std::string ua = emit("bitcast {} {} to {}", words, a, halves), sb = emit("bitcast {} {} to {}", words, b, halves);
  const std::string eight = int_splat("i16", 2 * lanes, 8);
  const std::string even_a = emit("and {} {}, {}", halves, ua, int_splat("i16", 2 * lanes, 255)), odd_a = emit("lshr {} {}, {}", halves, ua, eight);
  const std::string up = emit("shl {} {}, {}", halves, sb, eight);
  const std::string even_b = emit("ashr {} {}, {}", halves, up, eight), odd_b = emit("ashr {} {}, {}", halves, sb, eight);
  auto pairs = [&](const std::string& x, const std::string& y) {
    return call(words, multiply, fmt::format("{0}, {0}", halves), fmt::format("{0} {1}, {0} {2}", halves, x, y));
  };
  const std::string even = emit("add {} {}, {}", words, c, pairs(even_a, even_b));
  return emit("add {} {}, {}", words, even, pairs(odd_a, odd_b));
}

// Fewer lanes than the least register has: byte by byte.
std::string LlvmPrinter::dot4_bytes(int lanes, const std::string& a, const std::string& b, const std::string& c) {
  const std::string words = vec("i32", lanes);
  std::string sum = c;
  for (int j = 0; j < 32; j += 8) {
    const std::string low_a = emit("lshr {} {}, {}", words, a, int_splat("i32", lanes, j)), up_b = emit("shl {} {}, {}", words, b, int_splat("i32", lanes, 24 - j));
    const std::string byte_a = emit("and {} {}, {}", words, low_a, int_splat("i32", lanes, 255)), byte_b = emit("ashr {} {}, {}", words, up_b, int_splat("i32", lanes, 24));
    const std::string product = emit("mul {} {}, {}", words, byte_a, byte_b);
    sum = emit("add {} {}, {}", words, sum, product);
  }
  return sum;
}

Rows LlvmPrinter::by_registers(const Inst& i, const std::function<std::string(int lanes, const std::array<std::string, 3>&)>& piece) {
  const int cols = i.type.cols, lanes = std::min(cols, target_.vector_floats);
  Rows out;
  for (size_t r = 0; r < static_cast<size_t>(i.type.rows); ++r) {
    std::vector<std::string> done;
    for (int from = 0; from < cols; from += lanes) {
      std::array<std::string, 3> parts;
      for (size_t o = 0; o < 3; ++o) {
        const std::string& x = at(i.in[o])[r];
        const std::string type = type_of({fn_.at(i.in[o]).type.elem, 1, cols});
        parts[o] = lanes == cols ? x : emit("shufflevector {} {}, {} poison, <{} x i32> {}", type, x, type, lanes, iota("i32", lanes, from));
      }
      done.push_back(piece(lanes, parts));
    }
    // Joined two by two.
    for (int wide = lanes; done.size() > 1; wide *= 2) {
      const std::string half = type_of({i.type.elem, 1, wide});
      for (size_t k = 0; k + 1 < done.size(); k += 2) {
        done[k / 2] = emit("shufflevector {} {}, {} {}, <{} x i32> {}", half, done[k], half, done[k + 1], 2 * wide, iota("i32", 2 * wide, 0));
      }
      done.resize(done.size() / 2);
    }
    out.push_back(done[0]);
  }
  return out;
}

Rows LlvmPrinter::dot4(const Inst& i) {
  return by_registers(i, [&](int lanes, const auto& p) { return lanes < 4 ? dot4_bytes(lanes, p[0], p[1], p[2]) : dot4_register(lanes, p[0], p[1], p[2]); });
}

Rows LlvmPrinter::dot2(const Inst& i) {
  return by_registers(i, [&](int lanes, const auto& p) {
    const std::string words = vec("i32", lanes), floats = vec("float", lanes), halves = vec("bfloat", 2 * lanes);
    if (target_.bf16_dots && lanes == 16) {
      const std::string a = emit("bitcast {} {} to {}", words, p[0], halves), b = emit("bitcast {} {} to {}", words, p[1], halves);
      return call(floats, "llvm.x86.avx512bf16.dpbf16ps.512", fmt::format("{}, {}, {}", floats, halves, halves),
                  fmt::format("{} {}, {} {}, {} {}", floats, p[2], halves, a, halves, b));
    }
    const auto real = [&](const std::string& bits) { return emit("bitcast {} {} to {}", words, bits, floats); };
    const auto high = [&](const std::string& x) { return real(emit("and {} {}, {}", words, x, int_splat("i32", lanes, -65536))); };
    const auto low = [&](const std::string& x) { return real(emit("shl {} {}, {}", words, x, int_splat("i32", lanes, 16))); };
    const std::string a1 = high(p[0]), b1 = high(p[1]), a0 = low(p[0]), b0 = low(p[1]);
    return multiply_add(lanes, a0, b0, multiply_add(lanes, a1, b1, p[2]));
  });
}

Rows LlvmPrinter::select(const Inst& i) {
  const std::string t = type_of(i.type), mask = vec("i1", i.type.cols);
  const Rows &c = at(i.in[0]), &a = at(i.in[1]), &b = at(i.in[2]);
  Rows out;
  for (size_t r = 0; r < a.size(); ++r) out.push_back(emit("select {} {}, {} {}, {} {}", mask, c[r], t, a[r], t, b[r]));
  return out;
}

Rows LlvmPrinter::broadcast(const Inst& i) {
  const Inst& from = fn_.at(i.in[0]);
  const auto rows = static_cast<size_t>(i.type.rows);
  if (from.op == Op::kConst) return Rows(rows, constant(i.type.elem, i.type.cols, from.imm, from.fimm));
  Rows out = at(i.in[0]);
  if (from.type.cols != i.type.cols) {
    for (std::string& row : out) row = splat(type_of(i.type.elem), i.type.cols, row);
  }
  if (out.size() != rows) out.assign(rows, std::string(out[0]));
  return out;
}

// Blocks of `step` x `step` off the diagonal are swapped, for step = 1, 2, 4, ...: two shuffles a pair of rows.
Rows LlvmPrinter::transpose(const Inst& i) {
  const int n = i.type.cols;
  const std::string type = type_of(i.type);
  Rows out = at(i.in[0]);
  for (int step = 1; step < n; step *= 2) {
    std::string upper, lower;  // which lanes of the two rows the new rows take
    for (int c = 0; c < n; ++c) {
      upper += fmt::format("{}i32 {}", c ? ", " : "", c & step ? n + c - step : c);
      lower += fmt::format("{}i32 {}", c ? ", " : "", c & step ? n + c : c + step);
    }
    for (int r = 0; r < n; ++r) {
      if (r & step) continue;
      std::string &a = out[static_cast<size_t>(r)], &b = out[static_cast<size_t>(r + step)];
      constexpr const char* kPick = "shufflevector {0} {1}, {0} {2}, <{3} x i32> <{4}>";
      const std::string first = emit(kPick, type, a, b, n, upper), second = emit(kPick, type, a, b, n, lower);
      a = first;
      b = second;
    }
  }
  return out;
}

std::string LlvmPrinter::join(ReduceKind kind, Elem e, int cols, const std::string& a, const std::string& b) {
  if (kind != ReduceKind::kSum) return extremum(kind == ReduceKind::kMax, e, cols, a, b);
  return emit("{} {} {}, {}", e == Elem::f32 ? "fadd" : "add", vec(type_of(e), cols), a, b);
}

Rows LlvmPrinter::reduce(const Inst& i) {
  const Type& t = fn_.at(i.in[0]).type;
  Rows out = at(i.in[0]);
  if (i.imm == 0) {
    std::string sum = out[0];
    for (size_t r = 1; r < out.size(); ++r) sum = join(i.reduce, t.elem, t.cols, sum, out[r]);
    return {sum};
  }
  for (std::string& row : out) {
    if (t.cols == 1) continue;
    for (int cols = t.cols; cols > 1; cols /= 2) {
      const std::string type = vec(type_of(t.elem), cols);
      if (cols == 2) {
        const std::string first = emit("extractelement {} {}, i64 0", type, row),
                          second = emit("extractelement {} {}, i64 1", type, row);
        row = join(i.reduce, t.elem, 1, first, second);
        continue;
      }
      constexpr const char* kHalf = "shufflevector {} {}, {} poison, <{} x i32> {}";
      const std::string low = emit(kHalf, type, row, type, cols / 2, iota("i32", cols / 2, 0));
      const std::string high = emit(kHalf, type, row, type, cols / 2, iota("i32", cols / 2, cols / 2));
      row = join(i.reduce, t.elem, cols / 2, low, high);
    }
  }
  return out;
}

}  // namespace internal
}  // namespace bgl::lang
