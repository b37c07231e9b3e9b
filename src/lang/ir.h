// The tile IR: the one language in which kernels are written, whatever wrote them and whatever runs them.
//
// Meaning. A launch runs a Function once for every program of a grid (pid0, pid1, pid2); programs share nothing but memory and
// run in any order. Two programs of one launch must not touch the same element of memory when one of them writes it (a race).
// A value is a tile of rows x cols elements of one register type; 1 x 1 is a scalar. Values are assigned once.
//   f32  IEEE single, round to nearest even, never contracted, no flags, subnormals kept. add/sub/mul/div/sqrt are correctly
//        rounded. fma(a, b, c) rounds once; on a machine without it a printer writes a * b + c (rounded twice).
//        max(a, b) = b > a ? b : a and min(a, b) = b < a ? b : a, so a NaN in `a` stays.
//   i64, i32  two's complement, wrapping. div and rem truncate; by zero is an error. shl/shr by 0..width-1; shr is logical.
//        dot4(a, b, c) of i32 = c + sum over j of u8(a, byte j) * s8(b, byte j), wrapping: products of bytes, four at a time.
//        dot2(a, b, c) of i32, i32 and f32 = fma(a1, b1, c), and then fma(a0, b0, that): an i32 is two bfloat16, a1 in its high half. What
//        is subnormal, of the six, may count as 0.
//   i1   the result of comparisons; and, or, xor work on it. Comparisons with a NaN are false, except ne.
// cast: i1 -> 0/1; int -> f32 rounds to nearest even; f32 -> int truncates (out of range is undefined); i64 -> i32 wraps.
// bitcast: f32 <-> i32.
//
// Memory. A pointer parameter points to elements of a memory type (Mem); load widens to the register type and store narrows:
// bf16 and f16 <-> f32 (rounded to nearest even), u8 and i8 <-> i32 (wrapping), f32, i32 and i64 as they are.
// load/store address element (r, c) of the tile at offset + r * row_stride + c * col_stride, counted in elements; only rows
// r < row_limit and columns c < col_limit are touched, the others of a load become `other`. gather/scatter take one element
// offset (i64) per element and an i1 mask. scratch is memory of one program, uninitialised when the program starts.
//
// Reductions have a fixed order. Along cols (axis 1): lanes i and i + cols/2 are joined, cols/2 then halves, until one is left.
// Along rows (axis 0): row 0 with row 1, that with row 2, and so on.
//
// Control. `for` runs its body for iv = lo, lo + step, ... while iv < hi (step > 0), carrying tiles; `if` runs one of two bodies.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace bgl::lang {

enum class Elem : uint8_t { i1, i32, i64, f32 };
enum class Mem : uint8_t { i8, u8, i32, i64, bf16, f16, f32 };
Elem register_type(Mem m);  // what a load of it yields
int mem_size(Mem m);        // bytes
const char* name_of(Elem e);
const char* name_of(Mem m);

struct Type {
  Elem elem = Elem::f32;
  int rows = 1;  // 1..64
  int cols = 1;  // a power of two, 1..64
  bool is_pointer = false;
  Mem mem = Mem::f32;  // of a pointer
  bool scalar() const { return !is_pointer && rows == 1 && cols == 1; }
  bool operator==(const Type&) const = default;
};

enum class Op : uint8_t {
  kParam,      // imm: index into params
  kProgramId,  // imm: 0, 1 or 2; i64
  kConst,      // number; of any register type, splat over the type's shape. imm for ints, fimm for f32
  kIota,       // 1 x cols of i64 or i32: 0, 1, 2, ...
  kRowIota,    // rows x 1
  kScratch,    // imm: elements; type: pointer to mem
  // one operand
  kNeg, kAbs, kSqrt, kCast, kBitcast,
  kBroadcast,  // scalar, 1 x C or R x 1 to the type's shape
  kTranspose,  // N x N, N a power of two
  // two
  kAdd, kSub, kMul, kDiv, kRem, kMin, kMax, kAnd, kOr, kXor, kShl, kShr,
  kEq, kNe, kLt, kLe, kGt, kGe,
  // three
  kFma, kSelect,
  kDot4,  // i32: c plus the products of the four unsigned bytes of `a` with the four signed ones of `b`
  kDot2,  // f32: c plus the products of the two bfloat16 of `a` with those of `b`
  // imm: axis; sub: ReduceKind
  kReduce,
  // memory. kLoad in: ptr, offset, row_stride, col_stride, row_limit, col_limit; imm bit 0: has row_limit, bit 1: has col_limit
  // (an absent limit is -1 in `in`); fimm: other. kStore: the same, then the tile. Strides are scalars i64; a kConst col_stride 1
  // is a vector access.
  kLoad, kStore,
  kGather,   // in: ptr, offsets, mask (or -1); fimm: other where the mask is false
  kScatter,  // in: ptr, offsets, mask (or -1), tile
  kPrefetch,  // in: ptr, offset; type: its element's. A hint that the line of the cache there is wanted soon; no meaning
  // control. kFor in: lo, hi, step, then the initial carried values; args: the insts (kArg) that stand for iv and the carried
  // values in `body`; yields: their next values. kResult in: the kFor; imm: which carried value.
  kFor, kArg, kResult,
  kIf,  // in: condition (i1 scalar); body, other_body
};
enum class ReduceKind : uint8_t { kSum, kMax, kMin };
const char* name_of(Op op);  // "add", "load", ... as in the text form
bool gives_value(Op op);     // false for what only touches memory, and for kIf

// A value is named by the index of its Inst in Function::insts.
struct Inst {
  Op op = Op::kConst;
  Type type;
  std::vector<int> in;
  int64_t imm = 0;
  double fimm = 0;
  ReduceKind reduce = ReduceKind::kSum;
  std::vector<int> args, body, yields, other_body;
  int line = 0;           // of the source that built it, 0 when unknown
  const char* file = "";  // a string literal
};

// What a load or gather of integers gives beyond its limits; 0 for one of floats, whose `fimm` may be infinite.
inline int64_t integer_fill(const Inst& i) { return i.type.elem == Elem::f32 ? 0 : static_cast<int64_t>(i.fimm); }

struct Param {
  std::string name;
  Type type;  // a pointer, i64 or f32 scalar
};

// Bodies list insts in order of execution; an inst uses only values listed before it or in an enclosing body before it. kArg and
// kParam insts are listed nowhere.
struct Function {
  std::string name;  // a C identifier
  std::vector<Param> params;
  std::vector<Inst> insts;
  std::vector<int> body;
  const Inst& at(int v) const { return insts[static_cast<size_t>(v)]; }
};

}  // namespace bgl::lang
