#include "lang/verify.h"

#include <gtest/gtest.h>

#include "lang/builder.h"

namespace bgl::lang {
namespace {

// A sound kernel with a loop, and the ids of some of its insts, for the tests to spoil.
struct Sample {
  Function fn;
  int load = -1, add = -1, loop = -1, store = -1, result = -1, bound = -1;
  Sample() {
    Builder b("sample");
    const Val x = b.pointer("x", Mem::bf16), n = b.i64("n");
    const Val tile = b.load(x, n, {.rows = 2, .cols = 8, .row_stride = n, .col_limit = n});
    load = tile.id;
    const Val one = b.const_i64(1);
    bound = one.id;
    const auto out = b.loop(b.const_i64(0), n, one, {tile}, [&](Val, const Builder::Vals& v) -> Builder::Vals {
      const Val sum = v[0] + v[0];
      add = sum.id;
      return {sum};
    });
    result = out[0].id;
    b.store(x, n, out[0], {.rows = 2, .cols = 8});
    fn = b.finish();
    for (size_t i = 0; i < fn.insts.size(); ++i) {
      if (fn.insts[i].op == Op::kFor) loop = static_cast<int>(i);
      if (fn.insts[i].op == Op::kStore) store = static_cast<int>(i);
    }
  }
  Inst& at(int id) {
    Inst& i = fn.insts[static_cast<size_t>(id)];
    i.file = "k.cc", i.line = 7;
    return i;
  }
};

TEST(Verify, AcceptsWhatTheBuilderWrites) { EXPECT_TRUE(verify(Sample().fn).ok()) << verify(Sample().fn).message(); }

TEST(Verify, RefusesWithTheReason) {
  struct Case {
    void (*spoil)(Sample&);
    const char* message;
  };
  const Case cases[] = {
      {[](Sample& s) { s.fn.name = "two words"; }, "[kernel two words] the name is not a C identifier"},
      {[](Sample& s) { s.at(s.add).type.cols = 4; }, "[kernel sample] k.cc:7: add: gives 2x8xf32, is written as 2x4xf32"},
      {[](Sample& s) { s.at(s.add).type.cols = 12; },
       "[kernel sample] k.cc:7: add: a tile of 2 x 12: at most 64 rows, columns a power of two up to 64"},
      {[](Sample& s) { s.at(s.add).op = Op::kXor; }, "[kernel sample] k.cc:7: xor: of f32"},
      {[](Sample& s) { s.at(s.add).in[1] = 1; }, "[kernel sample] k.cc:7: add: of 2x8xf32 and i64"},
      {[](Sample& s) { s.at(s.add).in[1] = s.result; },
       "[kernel sample] k.cc:7: add: operand 1 is used before it is defined, or out of its scope"},
      {[](Sample& s) { s.at(s.store).in[6] = s.add; },
       "[kernel sample] k.cc:7: store: operand 6 is used before it is defined, or out of its scope"},
      {[](Sample& s) { s.at(s.load).imm = 3; }, "[kernel sample] k.cc:7: load: its limits and its flags disagree"},
      {[](Sample& s) { s.at(s.load).in[1] = 0; }, "[kernel sample] k.cc:7: load: operand 1 is *bf16, not an i64 scalar"},
      {[](Sample& s) { s.at(s.load).type.elem = Elem::i32, s.at(s.load).fimm = 1e300; },
       "[kernel sample] k.cc:7: load: fills integers with 1e+300"},
      {[](Sample& s) { s.at(s.bound).imm = 0, s.at(s.loop); }, "[kernel sample] k.cc:7: for: the step is 0"},
      {[](Sample& s) { s.at(s.loop).yields.clear(); },
       "[kernel sample] k.cc:7: for: carries 1 values, has 2 arguments and 0 next values"},
      {[](Sample& s) { s.at(s.loop).yields[0] = 1; },
       "[kernel sample] k.cc:7: for: carried value 0 is 2x8xf32 before the loop and i64 after its body"},
      {[](Sample& s) { s.at(s.result).imm = 1; }, "[kernel sample] k.cc:7: result: of something that a loop does not carry"},
      {[](Sample& s) { s.fn.body.push_back(s.at(s.store).in[1]); }, "[kernel sample] k.cc:7: param: is listed in a body"},
      {[](Sample& s) { s.at(s.store), s.fn.body.push_back(s.store); }, "[kernel sample] k.cc:7: store: is listed twice"},
  };
  for (const Case& c : cases) {
    Sample s;
    c.spoil(s);
    if (s.fn.body.back() == 1) s.at(1);
    EXPECT_EQ(verify(s.fn).message(), c.message);
  }
}

}  // namespace
}  // namespace bgl::lang
