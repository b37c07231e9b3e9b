// A kernel's text, and after its last line four bytes a change of what was parsed: operands, types, bodies that no text can say. The
// verifier never reads beyond what it checks; what it accepts has a canonical text that says the same, and every printer can print it.
#include <string_view>

#include "base/testing/fuzz.h"
#include "lang/print_cxx.h"
#include "lang/print_llvm.h"
#include "lang/text.h"
#include "lang/verify.h"

namespace bgl::lang {
namespace {

struct Change {
  uint8_t what, where, index, value;
};

// Any value, some of them not there.
int near(uint8_t value, size_t size) { return static_cast<int>(value % (size + 3)) - 1; }

void change_list(std::vector<int>& list, const Change& c, size_t values) {
  const int v = near(c.value, values);
  if (list.empty() || c.index % 8 == 7) {
    list.push_back(v);
  } else if (c.index % 8 == 6) {
    list.pop_back();
  } else {
    list[c.index % list.size()] = v;
  }
}

void change_type(Type& t, const Change& c) {
  switch (c.index % 5) {
    case 0: t.elem = static_cast<Elem>(c.value % 4); break;
    case 1: t.rows = c.value % 70; break;
    case 2: t.cols = c.value % 70; break;
    case 3: t.is_pointer = !t.is_pointer; break;
    default: t.mem = static_cast<Mem>(c.value % 7);
  }
}

void change(Function& fn, const Change& c) {
  if (fn.insts.empty()) return;
  Inst& i = fn.insts[c.where % fn.insts.size()];
  const size_t values = fn.insts.size();
  switch (c.what % 12) {
    case 0: change_list(i.in, c, values); break;
    case 1: change_list(i.args, c, values); break;
    case 2: change_list(i.body, c, values); break;
    case 3: change_list(i.yields, c, values); break;
    case 4: change_list(i.other_body, c, values); break;
    case 5: change_list(fn.body, c, values); break;
    case 6: i.op = static_cast<Op>(c.value % (static_cast<int>(Op::kIf) + 1)); break;
    case 7: change_type(i.type, c); break;
    case 8: i.imm = static_cast<int8_t>(c.value); break;
    case 9: i.reduce = static_cast<ReduceKind>(c.value % 3); break;
    case 10: if (!fn.params.empty()) change_type(fn.params[c.where % fn.params.size()].type, c); break;
    default: i = fn.insts[c.value % values];
  }
}

void run(std::string_view input) {
  const size_t end = input.rfind('\n') + 1;  // 0 where there is no line
  auto fn = parse_text(input.substr(0, end));
  if (!fn.ok()) return;
  const std::string_view rest = input.substr(end);
  for (size_t at = 0; at + 4 <= rest.size(); at += 4) {
    const auto byte = [&](size_t k) { return static_cast<uint8_t>(rest[at + k]); };
    change(*fn, {byte(0), byte(1), byte(2), byte(3)});
  }
  if (const Status s = verify(*fn); !s.ok()) {
    if (s.message().empty()) fuzz_failed("an error without a message");
    return;
  }
  const std::string text = to_text(*fn);
  const auto again = parse_text(text);
  if (!again.ok()) fuzz_failed("the canonical text does not parse: " + again.status().message() + "\n" + text);
  if (to_text(*again) != text) fuzz_failed("the canonical text says another kernel:\n" + text);
  if (print_cxx(*fn, true).empty() || print_llvm(*fn, {}).empty()) fuzz_failed("nothing was printed");
  fuzz_canary(rest.size() >= 8 && text.find(" = for ") != std::string::npos);
}

}  // namespace
}  // namespace bgl::lang

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  bgl::lang::run({reinterpret_cast<const char*>(data), size});
  return 0;
}
