#include "lang/text.h"

#include <fmt/format.h>

#include <cmath>

#include "lang/verify.h"

namespace bgl::lang {
namespace {

class TextPrinter {
 public:
  TextPrinter(const Function& fn, bool lines) : fn_(fn), lines_(lines), numbers_(fn.insts.size(), -1) {}

  std::string print() {
    text_ = fmt::format("kernel {}(", fn_.name);
    for (size_t p = 0; p < fn_.params.size(); ++p) {
      text_ += fmt::format("{}{}: {}", p ? ", " : "", fn_.params[p].name, type_text(fn_.params[p].type));
    }
    text_ += ") {\n";
    for (size_t id = 0; id < fn_.insts.size(); ++id) {
      if (fn_.insts[id].op == Op::kParam) numbers_[id] = static_cast<int>(fn_.insts[id].imm);
    }
    next_ = static_cast<int>(fn_.params.size());
    body(fn_.body, 1);
    text_ += "}\n";
    return std::move(text_);
  }

 private:
  void body(const std::vector<int>& list, int depth) {
    for (const int id : list) statement(id, depth);
  }
  std::string value(int id) const { return id < 0 ? "_" : fmt::format("%{}", numbers_[static_cast<size_t>(id)]); }
  void number(int id) { numbers_[static_cast<size_t>(id)] = next_++; }
  static std::string real(double v) { return fmt::format("{}", static_cast<float>(v)); }

  void statement(int id, int depth) {
    const Inst& i = fn_.at(id);
    text_.append(static_cast<size_t>(depth) * 2, ' ');
    if (i.op == Op::kIf) return branch(i, depth);
    if (i.op == Op::kFor) return loop(id, depth);
    const bool gives = gives_value(i.op);
    std::string operands;
    for (const int v : i.in) operands += (operands.empty() ? " " : ", ") + value(v);
    if (gives) {
      number(id);
      text_ += value(id) + " = ";
    }
    text_ += name_of(i.op) + operands;
    if (i.op == Op::kConst) {
      text_ += i.type.elem == Elem::f32 ? " " + real(i.fimm) : fmt::format(" {}", i.imm);
    } else if (i.op == Op::kProgramId || i.op == Op::kScratch) {
      text_ += fmt::format(" {}", i.imm);
    } else if (i.op == Op::kResult) {
      text_ += fmt::format(", {}", i.imm);
    } else if (i.op == Op::kReduce) {
      constexpr const char* kKinds[] = {"sum", "max", "min"};
      text_ += fmt::format(" {} axis {}", kKinds[static_cast<int>(i.reduce)], i.imm);
    } else if (i.op == Op::kLoad || i.op == Op::kGather) {
      text_ += " other " + real(i.fimm);
    }
    text_ += " : " + type_text(i.type);
    end_line(i);
  }

  void loop(int id, int depth) {
    const Inst& i = fn_.at(id);
    const std::string from = value(i.in[0]), to = value(i.in[1]), step = value(i.in[2]);
    number(id);
    for (const int arg : i.args) number(arg);
    text_ += fmt::format("{} = for {} in {}, {}, {}", value(id), value(i.args[0]), from, to, step);
    for (size_t c = 1; c < i.args.size(); ++c) {
      text_ += fmt::format("{}{} = {}", c == 1 ? " carry " : ", ", value(i.args[c]), value(i.in[c + 2]));
    }
    text_ += " {";
    end_line(i);
    body(i.body, depth + 1);
    if (!i.yields.empty()) {
      text_.append(static_cast<size_t>(depth) * 2 + 2, ' ');
      for (size_t c = 0; c < i.yields.size(); ++c) text_ += (c ? ", " : "yield ") + value(i.yields[c]);
      text_ += '\n';
    }
    text_.append(static_cast<size_t>(depth) * 2, ' ') += "}\n";
  }

  void branch(const Inst& i, int depth) {
    text_ += fmt::format("if {} {{", value(i.in[0]));
    end_line(i);
    body(i.body, depth + 1);
    text_.append(static_cast<size_t>(depth) * 2, ' ') += "}";
    if (!i.other_body.empty()) {
      text_ += " else {\n";
      body(i.other_body, depth + 1);
      text_.append(static_cast<size_t>(depth) * 2, ' ') += "}";
    }
    text_ += '\n';
  }

  void end_line(const Inst& i) { text_ += lines_ && i.line > 0 ? fmt::format("  # @ {}:{}\n", i.file, i.line) : "\n"; }

  const Function& fn_;
  const bool lines_;
  std::vector<int> numbers_;
  int next_ = 0;
  std::string text_;
};

}  // namespace

std::string to_text(const Function& fn, bool lines) { return TextPrinter(fn, lines).print(); }

}  // namespace bgl::lang
