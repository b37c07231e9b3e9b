// Manual pages to prose. troff is a programming language; we read what pages use of it: the macros of man(7) and mdoc(7), font
// and character escapes. Definitions, conditions and registers are skipped.
#include <algorithm>
#include <array>
#include <vector>

#include "text/documents/internal/block_writer.h"
#include "text/documents/internal/document_text.h"
#include "text/unicode.h"

namespace bgl::text {
namespace {

struct Glyph {
  std::string_view name, text;
};
constexpr Glyph kGlyphs[] = {{"em", "\xE2\x80\x94"},
                             {"en", "\xE2\x80\x93"},
                             {"aq", "'"},
                             {"dq", "\""},
                             {"lq", "\""},
                             {"rq", "\""},
                             {"oq", "'"},
                             {"cq", "'"},
                             {"co", "\xC2\xA9"},
                             {"bu", "\xE2\x80\xA2"},
                             {"hy", "-"},
                             {"mi", "-"},
                             {"mu", "\xC3\x97"},
                             {"ti", "~"},
                             {"ha", "^"},
                             {"ga", "`"},
                             {"rs", "\\"},
                             {"ba", "|"},
                             {"bv", "|"},
                             {"at", "@"},
                             {"sh", "#"},
                             {"Do", "$"},
                             {"ul", "_"},
                             {"<=", "\xE2\x89\xA4"},
                             {">=", "\xE2\x89\xA5"},
                             {"!=", "\xE2\x89\xA0"},
                             {"->", "\xE2\x86\x92"},
                             {"<-", "\xE2\x86\x90"},
                             {"lB", "["},
                             {"rB", "]"},
                             {"lC", "{"},
                             {"rC", "}"},
                             {"la", "<"},
                             {"ra", ">"},
                             {"ss", "\xC3\x9F"},
                             {":a", "\xC3\xA4"},
                             {":o", "\xC3\xB6"},
                             {":u", "\xC3\xBC"},
                             {"'e", "\xC3\xA9"},
                             {"'a", "\xC3\xA1"},
                             {"`e", "\xC3\xA8"},
                             {"rg", "\xC2\xAE"},
                             {"tm", "\xE2\x84\xA2"},
                             {"de", "\xC2\xB0"},
                             {"+-", "\xC2\xB1"},
                             {"pl", "+"},
                             {"eq", "="},
                             {"sc", "\xC2\xA7"}};

std::string glyph(std::string_view name) {
  for (const Glyph& g : kGlyphs) {
    if (g.name == name) return std::string(g.text);
  }
  if (name.size() >= 5 && name[0] == 'u') {
    int32_t c = 0;
    for (const char h : name.substr(1)) {
      const int digit = h >= '0' && h <= '9' ? h - '0' : h >= 'A' && h <= 'F' ? h - 'A' + 10 : -1;
      if (digit < 0 || c > 0x10FFFF) return {};
      c = c * 16 + digit;
    }
    std::string out;
    if (c <= 0x10FFFF && (c < 0xD800 || c > 0xDFFF)) append_utf8(out, c);
    return out;
  }
  return {};
}

// The argument of \f, \* or \( at text[at]: "(xx", "[name]" or one character. Moves `at` past it.
std::string_view escape_argument(std::string_view text, size_t& at) {
  const auto take = [&](int characters) {
    const size_t begin = at;
    for (int i = 0; i < characters && at < text.size(); ++i) at += decode_utf8(text, at).bytes;
    return text.substr(begin, at - begin);
  };
  if (at >= text.size()) return {};
  if (text[at] == '(') {
    ++at;
    return take(2);
  }
  if (text[at] == '[') {
    const size_t end = std::min(text.find(']', at), text.size());
    const std::string_view name = text.substr(at + 1, end - at - 1);
    at = std::min(end + 1, text.size());
    return name;
  }
  return take(1);
}

// A line with its escapes carried out.
std::string unescaped(std::string_view line) {
  std::string out;
  for (size_t at = 0; at < line.size();) {
    if (line[at] != '\\') {
      out += line[at++];
      continue;
    }
    if (at + 1 >= line.size()) break;
    const char c = line[at + 1];
    at += 2;
    switch (c) {
      case '"':
        return out;  // a comment to the end of the line
      case '#':
        return out;
      case 'f':
      case 'F':
      case 'm':
      case 'M':
      case 'k':
      case 'g':
      case 'n':
        escape_argument(line, at);
        break;
      case '*': {
        const std::string_view name = escape_argument(line, at);
        out += name == "R" ? "(R)" : name == "Tm" ? "(TM)" : name == "lq" || name == "rq" ? "\"" : "";
        break;
      }
      case '(':
      case '[': {
        --at;
        out += glyph(escape_argument(line, at));
        break;
      }
      case 's': {
        if (at < line.size() && (line[at] == '+' || line[at] == '-')) ++at;
        if (at < line.size() && (line[at] == '(' || line[at] == '[')) {
          escape_argument(line, at);
        } else {
          for (int i = 0; i < 2 && at < line.size() && line[at] >= '0' && line[at] <= '9'; ++i) ++at;
        }
        break;
      }
      case 'h':
      case 'v':
      case 'w':
      case 'l':
      case 'L':
      case 'D':
      case 'o':
      case 'z':
      case 'b':
      case 'x':
      case 'A':
      case 'X': {
        if (at < line.size() && line[at] == '\'') {
          const size_t end = line.find('\'', at + 1);
          at = end == std::string_view::npos ? line.size() : end + 1;
        }
        break;
      }
      case '-':
        out += '-';
        break;
      case 'e':
      case '\\':
        out += '\\';
        break;
      case '\'':
        out += '\'';
        break;
      case '`':
        out += '`';
        break;
      case ' ':
      case '0':
      case '~':
        out += ' ';
        break;
      case 't':
        out += '\t';
        break;
      case '&':
      case '|':
      case '^':
      case '/':
      case ',':
      case ')':
      case '%':
      case ':':
      case 'c':
      case 'd':
      case 'u':
      case 'p':
      case '{':
      case '}':
        break;
      default:
        out += c;
    }
  }
  return out;
}

// The arguments of a macro line, quotes taken off and escapes carried out.
std::vector<std::string> arguments(std::string_view rest) {
  std::vector<std::string> out;
  for (size_t at = 0; at < rest.size();) {
    while (at < rest.size() && (rest[at] == ' ' || rest[at] == '\t')) ++at;
    if (at >= rest.size() || rest.substr(at, 2) == "\\\"") break;
    std::string raw;
    if (rest[at] == '"') {
      for (++at; at < rest.size(); ++at) {
        if (rest[at] == '"') {
          if (at + 1 >= rest.size() || rest[at + 1] != '"') break;
          ++at;
        }
        raw += rest[at];
      }
      ++at;
    } else {
      while (at < rest.size() && rest[at] != ' ' && rest[at] != '\t') {
        if (rest[at] == '\\' && at + 1 < rest.size()) raw += rest[at++];
        raw += rest[at++];
      }
    }
    out.push_back(unescaped(raw));
  }
  return out;
}

std::string joined(const std::vector<std::string>& words, const char* between) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : between) + word;
  return out;
}

class ManReader {
 public:
  TitledText run(std::string_view troff) {
    for (size_t at = 0; at < troff.size();) {
      const size_t end = std::min(troff.find('\n', at), troff.size());
      line(troff.substr(at, end - at));
      at = end + 1;
    }
    if (code_) close_code();
    return {title_, tidy_lines(out_.take())};
  }

 private:
  void line(std::string_view text) {
    if (!text.empty() && text.back() == '\r') text.remove_suffix(1);
    if (skipping_definition_) {
      skipping_definition_ = text != "..";
      return;
    }
    if (!text.empty() && (text[0] == '.' || text[0] == '\'')) return request(text.substr(1));
    if (skip_depth_ > 0) {
      skip_depth_ += braces(text);
      return;
    }
    if (code_) {
      code_text_ += unescaped(text) + "\n";
      return;
    }
    if (text.empty()) return out_.line_break(2);
    if (text[0] == ' ') out_.line_break(1);
    out_.words(unescaped(text) + " ");
    after_text();
  }

  static int braces(std::string_view text) {
    int depth = 0;
    for (size_t i = 0; i + 1 < text.size(); ++i) {
      if (text[i] != '\\') continue;
      if (text[i + 1] == '{') ++depth;
      if (text[i + 1] == '}') --depth;
      ++i;
    }
    return depth;
  }

  void request(std::string_view text) {
    while (!text.empty() && (text[0] == ' ' || text[0] == '\t')) text.remove_prefix(1);
    const size_t end = std::min(text.find_first_of(" \t"), text.size());
    const std::string_view name = text.substr(0, end);
    const std::string_view rest = text.substr(end);
    if (skip_depth_ > 0) {
      skip_depth_ = std::max(0, skip_depth_ + braces(text));
      return;
    }
    if (name == "de" || name == "de1" || name == "am" || name == "ig") {
      skipping_definition_ = true;
      return;
    }
    // The false branch of terminals is what prose needs least; both branches are skipped alike.
    if (name == "if" || name == "ie" || name == "el") {
      skip_depth_ = std::max(0, braces(rest));
      return;
    }
    macro(std::string(name), arguments(rest));
  }

  void heading(int level, const std::string& text) {
    if (code_) close_code();
    out_.line_break(2);
    if (!text.empty()) out_.verbatim(std::string(static_cast<size_t>(level), '#') + " " + text);
    out_.line_break(2);
  }

  void close_code() {
    code_ = false;
    const std::string tidy = tidy_lines(code_text_);
    if (!tidy.empty()) {
      out_.line_break(2);
      out_.verbatim("```\n" + tidy + "\n```");
      out_.line_break(2);
    }
    code_text_.clear();
  }

  // .TP and .It: the next line of text is a term, what follows its description.
  void after_text() {
    if (!term_next_) return;
    term_next_ = false;
    out_.line_break(1);
  }

  void inline_text(const std::string& text) {
    if (code_) {
      code_text_ += text + "\n";
    } else {
      out_.words(text + " ");
      after_text();
    }
  }

  // Longer than a screen: one line per macro.
  void macro(const std::string& name, const std::vector<std::string>& args) {
    static constexpr std::array<std::string_view, 4> kParagraph = {"LP", "P", "PP", "Pp"};
    static constexpr std::array<std::string_view, 6> kAlternating = {"BI", "BR", "IB", "IR", "RB", "RI"};
    static constexpr std::array<std::string_view, 31> kIgnored = {
        "Dd", "Dt", "Os", "PD", "UE", "ME", "ad", "bp", "ce", "ds", "ft", "hy",   "in", "ll", "na", "ne",
        "nh", "nr", "pl", "po", "ps", "rm", "rr", "so", "ta", "ti", "tr", "warn", "Bk", "Ek", "so"};
    const auto is = [&](const auto& names) { return std::find(names.begin(), names.end(), name) != names.end(); };
    if (name == "TH") title_ = args.empty() ? "" : args[0] + (args.size() > 1 ? "(" + args[1] + ")" : "");
    if (name == "Dt") title_ = args.empty() ? "" : args[0] + (args.size() > 1 ? "(" + args[1] + ")" : "");
    if (name == "TH" || is(kIgnored) || name.rfind("\\\"", 0) == 0) return;
    if (name == "SH" || name == "Sh") return heading(1, joined(args, " "));
    if (name == "SS" || name == "Ss") return heading(2, joined(args, " "));
    if (is(kParagraph) || name == "HP" || name == "sp") return code_ ? void(code_text_ += "\n") : out_.line_break(2);
    if (name == "RS" || name == "RE" || name == "br" || name == "Bl" || name == "El")
      return code_ ? void() : out_.line_break(name == "br" ? 1 : 2);
    if (name == "nf" || name == "EX" || name == "Bd") {
      if (name == "Bd" && !args.empty() && (args[0] == "-filled" || args[0] == "-ragged")) return out_.line_break(2);
      code_ = true;
      return;
    }
    if (name == "fi" || name == "EE" || name == "Ed") return code_ ? close_code() : out_.line_break(2);
    if (name == "TP" || name == "TQ") {
      out_.line_break(name == "TP" ? 2 : 1);
      term_next_ = true;
      return;
    }
    if (name == "IP") {
      out_.line_break(2);
      if (!args.empty() && !args[0].empty()) {
        const bool bullet = args[0] == "\xE2\x80\xA2" || args[0] == "*" || args[0] == "-" || args[0] == "o";
        bullet ? out_.prefix("- ") : (out_.words(args[0]), out_.line_break(1));
      }
      return;
    }
    if (name == "It") {
      out_.line_break(1);
      if (args.empty()) return out_.prefix("- ");
      out_.words(mdoc(args, 0));
      return out_.line_break(1);
    }
    if (is(kAlternating)) return inline_text(joined(args, ""));
    if (name == "B" || name == "I" || name == "SB" || name == "SM" || name == "R") {
      // Without text, the next line is the text; it needs nothing else.
      return args.empty() ? void() : inline_text(joined(args, " "));
    }
    if (name == "UR" || name == "MT" || name == "URL") return args.empty() ? void() : inline_text(args[0]);
    if (name == "OP" || name == "SY") return inline_text(name == "OP" ? "[" + joined(args, " ") + "]" : joined(args, " "));
    if (name == "Nd") return inline_text("- " + joined(args, " "));
    if (name == "Nm" && !args.empty() && name_.empty()) name_ = args[0];
    if (name.size() >= 2 && name[0] >= 'A' && name[0] <= 'Z') {
      std::vector<std::string> words = {name};
      words.insert(words.end(), args.begin(), args.end());
      inline_text(mdoc(words, 0));
    }
  }

  // mdoc's callable macros in a line: "Fl x Ar file" is "-x file".
  std::string mdoc(const std::vector<std::string>& words, size_t at) const {
    static constexpr std::array<std::string_view, 28> kPlain = {"Sx", "Ad", "An", "Ar", "Cd", "Cm", "Dv", "Em", "Er", "Ev",
                                                                "Fa", "Fn", "Fo", "Ft", "Ic", "In", "Li", "Lk", "Ms", "Mt",
                                                                "No", "Pa", "St", "Sy", "Tn", "Va", "Vt", "Fd"};
    std::string out;
    const auto put = [&](const std::string& text) {
      const bool glue =
          !text.empty() && text.size() == 1 && std::string_view(".,:;?!)]").find(text[0]) != std::string_view::npos;
      if (!out.empty() && !glue && out.back() != '(' && out.back() != '[') out += ' ';
      out += text;
    };
    for (size_t i = at; i < words.size(); ++i) {
      const std::string& w = words[i];
      const auto quoted = [&](const char* open, const char* close) {
        std::string inner = mdoc(words, i + 1), tail;
        while (!inner.empty() && std::string_view(".,:;").find(inner.back()) != std::string_view::npos) {
          tail.insert(tail.begin(), inner.back());
          inner.pop_back();
        }
        put(open + inner + close + tail);
        i = words.size();
      };
      if (w == "Op" || w == "Bq")
        quoted("[", "]");
      else if (w == "Dq" || w == "Qq")
        quoted("\"", "\"");
      else if (w == "Sq" || w == "Ql")
        quoted("'", "'");
      else if (w == "Pq")
        quoted("(", ")");
      else if (w == "Aq")
        quoted("<", ">");
      else if (w == "Fl")
        put(i + 1 < words.size() ? "-" + words[++i] : "-");
      else if (w == "Xr") {
        std::string ref = i + 1 < words.size() ? words[++i] : "";
        if (i + 1 < words.size() && words[i + 1].size() <= 3 && words[i + 1][0] >= '0' && words[i + 1][0] <= '9')
          ref += "(" + words[++i] + ")";
        put(ref);
      } else if (w == "Nm") {
        if (i + 1 >= words.size()) put(name_);
      } else if (w == "Ns" || w == "Ap" || w == "Pf" || w == "Xo" || w == "Xc" ||
                 std::find(kPlain.begin(), kPlain.end(), w) != kPlain.end()) {
        continue;
      } else {
        put(w);
      }
    }
    return out;
  }

  BlockWriter out_;
  std::string title_, name_, code_text_;
  bool skipping_definition_ = false, code_ = false, term_next_ = false;
  int skip_depth_ = 0;
};

}  // namespace

TitledText man_text(std::string_view troff) { return ManReader().run(troff); }

}  // namespace bgl::text
