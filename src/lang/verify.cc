#include "lang/verify.h"

#include <fmt/format.h>

#include <bit>
#include <cctype>
#include <cmath>

namespace bgl::lang {

std::string type_text(const Type& t) {
  if (t.is_pointer) return fmt::format("*{}", name_of(t.mem));
  if (t.scalar()) return name_of(t.elem);
  return fmt::format("{}x{}x{}", t.rows, t.cols, name_of(t.elem));
}

namespace {

bool is_identifier(const std::string& s) {
  if (s.empty() || std::isdigit(static_cast<unsigned char>(s[0]))) return false;
  for (const char c : s) {
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '_') return false;
  }
  return true;
}
bool good_shape(const Type& t) {
  return t.rows >= 1 && t.rows <= 64 && t.cols >= 1 && t.cols <= 64 && std::has_single_bit(static_cast<unsigned>(t.cols));
}
Type shaped(Elem e, const Type& like) { return {e, like.rows, like.cols}; }

class Verifier {
 public:
  explicit Verifier(const Function& fn) : fn_(fn), in_scope_(fn.insts.size(), 0), seen_(fn.insts.size(), 0) {}

  Status run() {
    if (!is_identifier(fn_.name)) return invalid_argument("[kernel {}] the name is not a C identifier", fn_.name);
    for (const Param& p : fn_.params) {
      const bool good = p.type.is_pointer || p.type == Type{Elem::i64} || p.type == Type{Elem::f32};
      if (!good)
        return invalid_argument("[kernel {}] parameter {} is {}, not a pointer, i64 or f32", fn_.name, p.name,
                                type_text(p.type));
    }
    for (size_t id = 0; id < fn_.insts.size(); ++id) {
      const Inst& i = fn_.insts[id];
      if (i.op != Op::kParam) continue;
      if (i.imm < 0 || i.imm >= static_cast<int64_t>(fn_.params.size()) ||
          fn_.params[static_cast<size_t>(i.imm)].type != i.type) {
        return fault(i, "no such parameter");
      }
      in_scope_[id] = 1;
    }
    return body(fn_.body);
  }

 private:
  template <typename... A>
  Status fault(const Inst& i, fmt::format_string<A...> f, A&&... a) const {
    const std::string where = i.line > 0 ? fmt::format("{}:{}: ", i.file, i.line) : std::string();
    return invalid_argument("[kernel {}] {}{}: {}", fn_.name, where, name_of(i.op), fmt::format(f, std::forward<A>(a)...));
  }
  const Type& type(int v) const { return fn_.at(v).type; }

  Status body(const std::vector<int>& list) {
    for (const int id : list) {
      if (id < 0 || id >= static_cast<int>(fn_.insts.size()))
        return invalid_argument("[kernel {}] a body lists value {}, which is not there", fn_.name, id);
      const Inst& i = fn_.at(id);
      if (i.op == Op::kParam || i.op == Op::kArg) return fault(i, "is listed in a body");
      if (seen_[static_cast<size_t>(id)]++) return fault(i, "is listed twice");
      BGL_TRY(operands(i));
      BGL_TRY(inst(i));
      in_scope_[static_cast<size_t>(id)] = 1;
    }
    return {};
  }
  // A body whose values go out of scope at its end; `at_end` still sees them.
  template <typename AtEnd>
  Status scope(const std::vector<int>& list, AtEnd at_end) {
    BGL_TRY(body(list));
    BGL_TRY(at_end());
    for (const int id : list) in_scope_[static_cast<size_t>(id)] = 0;
    return {};
  }

  Status operands(const Inst& i) const {
    for (size_t k = 0; k < i.in.size(); ++k) {
      const int v = i.in[k];
      const bool access = i.op == Op::kLoad || i.op == Op::kStore;
      const bool may_lack = (access && (k == 4 || k == 5)) || ((i.op == Op::kGather || i.op == Op::kScatter) && k == 2);
      if (v == -1 && may_lack) continue;
      if (v < 0 || v >= static_cast<int>(fn_.insts.size())) return fault(i, "operand {} is absent", k);
      if (!in_scope_[static_cast<size_t>(v)])
        return fault(i, "operand {} is used before it is defined, or out of its scope", k);
    }
    return {};
  }
  // What elements beyond the limits get; integers drop its fraction.
  Status fill(const Inst& i) const {
    constexpr double kMost = 9007199254740992;  // 2^53
    if (i.type.elem == Elem::f32 || std::fabs(i.fimm) <= kMost) return {};
    return fault(i, "fills integers with {}", i.fimm);
  }
  Status count(const Inst& i, size_t n) const {
    return i.in.size() == n ? Status() : fault(i, "has {} operands, not {}", i.in.size(), n);
  }
  // The inst's type is `want`.
  Status gives(const Inst& i, const Type& want) const {
    return i.type == want ? Status() : fault(i, "gives {}, is written as {}", type_text(want), type_text(i.type));
  }
  Status no_pointers(const Inst& i) const {
    for (const int v : i.in) {
      if (v >= 0 && type(v).is_pointer) return fault(i, "of a pointer");
    }
    return {};
  }

  Status inst(const Inst& i);
  Status unary(const Inst& i) const;
  Status binary(const Inst& i) const;
  Status address(const Inst& i) const;
  Status indirect(const Inst& i) const;
  Status loop(const Inst& i);

  const Function& fn_;
  std::vector<char> in_scope_, seen_;
};

// One case for every operation, in the order of ir.h.
Status Verifier::inst(const Inst& i) {
  const bool no_value = i.op == Op::kFor || i.op == Op::kIf;
  if (!no_value && !good_shape(i.type))
    return fault(i, "a tile of {} x {}: at most 64 rows, columns a power of two up to 64", i.type.rows, i.type.cols);
  switch (i.op) {
    case Op::kParam:
    case Op::kArg:
      return {};
    case Op::kProgramId:
      return i.imm >= 0 && i.imm <= 2 ? gives(i, {Elem::i64}) : fault(i, "axis {}", i.imm);
    case Op::kConst:
      return i.type.is_pointer ? fault(i, "of a pointer") : Status();
    case Op::kIota:
    case Op::kRowIota: {
      if (i.type.elem != Elem::i64 && i.type.elem != Elem::i32) return fault(i, "of {}", name_of(i.type.elem));
      return (i.op == Op::kIota ? i.type.rows : i.type.cols) == 1 ? Status() : fault(i, "of {}", type_text(i.type));
    }
    case Op::kScratch:
      if (!i.type.is_pointer) return fault(i, "is no pointer");
      return i.imm >= 1 && i.imm <= (1 << 20) ? Status() : fault(i, "of {} elements: 1 to 1048576", i.imm);
    case Op::kNeg:
    case Op::kAbs:
    case Op::kSqrt:
    case Op::kCast:
    case Op::kBitcast:
    case Op::kBroadcast:
    case Op::kTranspose:
      return unary(i);
    case Op::kFma:
    case Op::kDot4:
    case Op::kDot2: {
      BGL_TRY(count(i, 3));
      const Elem factor = i.op == Op::kFma ? Elem::f32 : Elem::i32, sum = i.op == Op::kDot4 ? Elem::i32 : Elem::f32;
      for (size_t v = 0; v < 3; ++v) {
        const Type& of = type(i.in[v]);
        if (of != shaped(v < 2 ? factor : sum, i.type)) return fault(i, "of {}, gives {}", type_text(of), type_text(i.type));
      }
      return i.type.elem == sum ? Status() : fault(i, "gives {}", type_text(i.type));
    }
    case Op::kSelect:
      BGL_TRY(count(i, 3));
      BGL_TRY(no_pointers(i));
      if (type(i.in[0]) != shaped(Elem::i1, i.type) || type(i.in[1]) != i.type || type(i.in[2]) != i.type) {
        return fault(i, "of {}, {} and {}, gives {}", type_text(type(i.in[0])), type_text(type(i.in[1])),
                     type_text(type(i.in[2])), type_text(i.type));
      }
      return {};
    case Op::kReduce: {
      BGL_TRY(count(i, 1));
      BGL_TRY(no_pointers(i));
      const Type& t = type(i.in[0]);
      if (t.elem == Elem::i1) return fault(i, "of i1");
      if (i.imm != 0 && i.imm != 1) return fault(i, "axis {}", i.imm);
      return gives(i, {t.elem, i.imm == 0 ? 1 : t.rows, i.imm == 1 ? 1 : t.cols});
    }
    case Op::kLoad:
      BGL_TRY(fill(i));
      return address(i);
    case Op::kStore:
      return address(i);
    case Op::kGather:
      BGL_TRY(fill(i));
      return indirect(i);
    case Op::kScatter:
      return indirect(i);
    case Op::kPrefetch:
      BGL_TRY(count(i, 2));
      if (!type(i.in[0]).is_pointer) return fault(i, "through {}", type_text(type(i.in[0])));
      if (type(i.in[1]) != Type{Elem::i64, 1, 1}) return fault(i, "offset is {}", type_text(type(i.in[1])));
      return gives(i, {register_type(type(i.in[0]).mem), 1, 1});
    case Op::kFor:
      return loop(i);
    case Op::kResult: {
      BGL_TRY(count(i, 1));
      const Inst& l = fn_.at(i.in[0]);
      if (l.op != Op::kFor || i.imm < 0 || i.imm + 1 >= static_cast<int64_t>(l.args.size()))
        return fault(i, "of something that a loop does not carry");
      return gives(i, type(l.args[static_cast<size_t>(i.imm) + 1]));
    }
    case Op::kIf:
      BGL_TRY(count(i, 1));
      if (type(i.in[0]) != Type{Elem::i1}) return fault(i, "the condition is {}, not i1", type_text(type(i.in[0])));
      BGL_TRY(scope(i.body, [] { return Status(); }));
      return scope(i.other_body, [] { return Status(); });
    default:
      return binary(i);
  }
}

Status Verifier::unary(const Inst& i) const {
  BGL_TRY(count(i, 1));
  BGL_TRY(no_pointers(i));
  const Type& t = type(i.in[0]);
  switch (i.op) {
    case Op::kCast:
      if (i.type.elem == Elem::i1) return fault(i, "to i1: compare instead");
      return gives(i, shaped(i.type.elem, t));
    case Op::kBitcast: {
      const bool good = (t.elem == Elem::f32 && i.type.elem == Elem::i32) || (t.elem == Elem::i32 && i.type.elem == Elem::f32);
      return good ? gives(i, shaped(i.type.elem, t)) : fault(i, "from {} to {}", name_of(t.elem), name_of(i.type.elem));
    }
    case Op::kBroadcast: {
      const bool good =
          t.elem == i.type.elem && (t.rows == 1 || t.rows == i.type.rows) && (t.cols == 1 || t.cols == i.type.cols);
      return good ? Status() : fault(i, "of {} to {}", type_text(t), type_text(i.type));
    }
    case Op::kTranspose:
      if (t.rows != t.cols) return fault(i, "of {}, which is not square", type_text(t));
      return gives(i, t);
    case Op::kSqrt:
      if (t.elem != Elem::f32) return fault(i, "of {}", type_text(t));
      return gives(i, t);
    default:
      if (t.elem == Elem::i1) return fault(i, "of i1");
      return gives(i, t);
  }
}

Status Verifier::binary(const Inst& i) const {
  BGL_TRY(count(i, 2));
  BGL_TRY(no_pointers(i));
  const Type &a = type(i.in[0]), &b = type(i.in[1]);
  if (a != b) return fault(i, "of {} and {}", type_text(a), type_text(b));
  const bool compare = i.op >= Op::kEq && i.op <= Op::kGe, logic = i.op == Op::kAnd || i.op == Op::kOr || i.op == Op::kXor;
  if (a.elem == Elem::f32 && (logic || i.op == Op::kShl || i.op == Op::kShr || i.op == Op::kRem)) return fault(i, "of f32");
  if (a.elem == Elem::i1 && !logic && !compare) return fault(i, "of i1");
  return gives(i, compare ? shaped(Elem::i1, a) : a);
}

Status Verifier::address(const Inst& i) const {
  const bool store = i.op == Op::kStore;
  BGL_TRY(count(i, store ? 7 : 6));
  if (!type(i.in[0]).is_pointer) return fault(i, "through {}", type_text(type(i.in[0])));
  for (size_t k = 1; k < 6; ++k) {
    if (i.in[k] >= 0 && type(i.in[k]) != Type{Elem::i64})
      return fault(i, "operand {} is {}, not an i64 scalar", k, type_text(type(i.in[k])));
  }
  if ((i.in[4] >= 0) != ((i.imm & 1) != 0) || (i.in[5] >= 0) != ((i.imm & 2) != 0))
    return fault(i, "its limits and its flags disagree");
  const Elem e = register_type(type(i.in[0]).mem);
  if (store && type(i.in[6]) != i.type) return fault(i, "of {}, written as {}", type_text(type(i.in[6])), type_text(i.type));
  return gives(i, shaped(e, i.type));
}

Status Verifier::indirect(const Inst& i) const {
  const bool scatter = i.op == Op::kScatter;
  BGL_TRY(count(i, scatter ? 4 : 3));
  if (!type(i.in[0]).is_pointer) return fault(i, "through {}", type_text(type(i.in[0])));
  if (type(i.in[1]) != shaped(Elem::i64, i.type))
    return fault(i, "offsets are {}, the tile is {}", type_text(type(i.in[1])), type_text(i.type));
  if (i.in[2] >= 0 && type(i.in[2]) != shaped(Elem::i1, i.type))
    return fault(i, "the mask is {}, the tile is {}", type_text(type(i.in[2])), type_text(i.type));
  if (scatter && type(i.in[3]) != i.type) return fault(i, "of {}, written as {}", type_text(type(i.in[3])), type_text(i.type));
  return gives(i, shaped(register_type(type(i.in[0]).mem), i.type));
}

Status Verifier::loop(const Inst& i) {
  if (i.in.size() < 3) return fault(i, "has no bounds");
  for (size_t k = 0; k < 3; ++k) {
    if (type(i.in[k]) != Type{Elem::i64}) return fault(i, "bound {} is {}, not an i64 scalar", k, type_text(type(i.in[k])));
  }
  if (fn_.at(i.in[2]).op == Op::kConst && fn_.at(i.in[2]).imm <= 0) return fault(i, "the step is {}", fn_.at(i.in[2]).imm);
  const size_t carried = i.in.size() - 3;
  if (i.args.size() != carried + 1 || i.yields.size() != carried) {
    return fault(i, "carries {} values, has {} arguments and {} next values", carried, i.args.size(), i.yields.size());
  }
  for (size_t c = 0; c < i.args.size(); ++c) {
    const int arg = i.args[c];
    if (arg < 0 || arg >= static_cast<int>(fn_.insts.size()) || fn_.at(arg).op != Op::kArg)
      return fault(i, "argument {} is none", c);
    if (type(arg) != (c == 0 ? Type{Elem::i64} : type(i.in[c + 2])))
      return fault(i, "argument {} is {}", c, type_text(type(arg)));
    in_scope_[static_cast<size_t>(arg)] = 1;
  }
  BGL_TRY(scope(i.body, [&]() -> Status {
    for (size_t c = 0; c < carried; ++c) {
      const int y = i.yields[c];
      if (y < 0 || y >= static_cast<int>(fn_.insts.size()) || !in_scope_[static_cast<size_t>(y)])
        return fault(i, "next value {} is not defined", c);
      if (type(y) != type(i.in[c + 3])) {
        return fault(i, "carried value {} is {} before the loop and {} after its body", c, type_text(type(i.in[c + 3])),
                     type_text(type(y)));
      }
    }
    return {};
  }));
  for (const int arg : i.args) in_scope_[static_cast<size_t>(arg)] = 0;
  return {};
}

}  // namespace

Status verify(const Function& fn) { return Verifier(fn).run(); }

}  // namespace bgl::lang
