#include "lang/ir.h"

namespace bgl::lang {

Elem register_type(Mem m) {
  switch (m) {
    case Mem::i8: case Mem::u8: case Mem::i32: return Elem::i32;
    case Mem::i64: return Elem::i64;
    case Mem::bf16: case Mem::f16: case Mem::f32: return Elem::f32;
  }
  return Elem::f32;
}
int mem_size(Mem m) {
  switch (m) {
    case Mem::i8: case Mem::u8: return 1;
    case Mem::bf16: case Mem::f16: return 2;
    case Mem::i32: case Mem::f32: return 4;
    case Mem::i64: return 8;
  }
  return 4;
}
const char* name_of(Elem e) {
  constexpr const char* kNames[] = {"i1", "i32", "i64", "f32"};
  return kNames[static_cast<int>(e)];
}
const char* name_of(Mem m) {
  constexpr const char* kNames[] = {"i8", "u8", "i32", "i64", "bf16", "f16", "f32"};
  return kNames[static_cast<int>(m)];
}
const char* name_of(Op op) {
  constexpr const char* kNames[] = {"param", "program_id", "const", "iota", "row_iota", "scratch", "neg", "abs", "sqrt", "cast",
                                    "bitcast", "broadcast", "transpose", "add", "sub", "mul", "div", "rem", "min", "max", "and", "or", "xor",
                                    "shl", "shr", "eq", "ne", "lt", "le", "gt", "ge", "fma", "select", "dot4", "dot2", "reduce", "load", "store",
                                    "gather", "scatter", "prefetch", "for", "arg", "result", "if"};
  return kNames[static_cast<int>(op)];
}
bool gives_value(Op op) { return op != Op::kStore && op != Op::kScatter && op != Op::kPrefetch && op != Op::kIf; }

}  // namespace bgl::lang
