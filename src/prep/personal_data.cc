#include "prep/personal_data.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace bgl::prep {
namespace {

bool digit(char c) { return c >= '0' && c <= '9'; }
bool letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool alnum(char c) { return digit(c) || letter(c); }
bool hex(char c) { return digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }
bool mail_char(char c) { return alnum(c) || c == '.' || c == '_' || c == '%' || c == '+' || c == '-'; }

// Looks for one thing after another at the places where each can begin.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  std::vector<PersonalSpan> run() {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '@') {
        mail();
      } else if (starts_number(c)) {
        number(c);
      } else if (c == ':' && hex_before()) {
        ip6();
      } else {
        ++at_;
      }
    }
    return std::move(found_);
  }

 private:
  // Digits of "x86" or "v1.2" begin nothing.
  bool starts_number(char c) const {
    if (!digit(c) && c != '+' && c != '(') return false;
    if (at_ == floor()) return true;
    const char before = text_[at_ - 1];
    return !alnum(before) && before != '_' && !(before == '.' && at_ > 1 && alnum(text_[at_ - 2]));
  }
  // Where the last thing found ended: nothing reaches back over it.
  size_t floor() const { return found_.empty() ? 0 : found_.back().end; }
  char char_at(size_t i) const { return i < text_.size() ? text_[i] : '\0'; }
  bool ends_number(size_t end) const {
    const char c = char_at(end);
    return !alnum(c) && c != '_' && !((c == '.' || c == '-') && alnum(char_at(end + 1)));
  }
  void take(size_t begin, size_t end, PersonalKind kind) {
    found_.push_back({begin, end, kind});
    at_ = end;
  }

  void mail() {
    const size_t sign = at_++;
    size_t begin = sign;
    while (begin > floor() && sign - begin < 64 && mail_char(text_[begin - 1])) --begin;
    while (begin < sign && !alnum(text_[begin])) ++begin;
    if (begin == sign || text_[sign - 1] == '.') return;
    size_t end = sign + 1, last_dot = 0;
    while (end < text_.size() && end - sign < 254 && (alnum(text_[end]) || text_[end] == '-' || text_[end] == '.')) {
      if (text_[end] == '.') {
        if (text_[end - 1] == '.' || !alnum(char_at(end + 1))) break;
        last_dot = end;
      }
      ++end;
    }
    if (last_dot == 0 || !alnum(text_[sign + 1])) return;
    size_t tld = last_dot + 1;
    while (tld < end && letter(text_[tld])) ++tld;
    if (tld < end || tld - last_dot < 3) return;
    take(begin, end, PersonalKind::kMail);
  }

  void number(char c) {
    if (c != '(' && c != '+') {
      if (ip4() || ip6_from_digit() || card()) return;
    }
    if (phone()) return;
    // The digits of something else begin nothing new.
    ++at_;
    while (at_ < text_.size() && digit(c) && digit(text_[at_])) ++at_;
  }

  bool ip4() {
    size_t at = at_;
    int parts[4];
    for (int i = 0; i < 4; ++i) {
      const size_t begin = at;
      int value = 0;
      while (at < begin + 3 && digit(char_at(at))) value = value * 10 + (text_[at++] - '0');
      if (at == begin || value > 255 || (at - begin > 1 && text_[begin] == '0')) return false;
      parts[i] = value;
      if (i < 3 && char_at(at++) != '.') return false;
    }
    if (!ends_number(at)) return false;
    if (!is_public(parts[0], parts[1], parts[2])) {
      at_ = at;
      return true;  // an address, so nothing else
    }
    take(at_, at, PersonalKind::kIp);
    return true;
  }

  // RFC 6890 and RFC 5737.
  static bool is_public(int a, int b, int c) {
    if (a == 0 || a == 10 || a == 127 || a >= 224) return false;
    if ((a == 100 && b >= 64 && b < 128) || (a == 169 && b == 254) || (a == 172 && b >= 16 && b < 32)) return false;
    if (a == 192 && (b == 168 || (b == 0 && (c == 0 || c == 2)))) return false;
    return !((a == 198 && (b == 18 || b == 19 || (b == 51 && c == 100))) || (a == 203 && b == 0 && c == 113));
  }

  bool hex_before() const { return at_ > floor() && hex(text_[at_ - 1]); }
  bool ip6_from_digit() {
    size_t at = at_;
    while (at - at_ < 4 && hex(char_at(at))) ++at;
    if (char_at(at) != ':') return false;
    const size_t digits = std::exchange(at_, at);
    const size_t count = found_.size();
    ip6();
    if (found_.size() > count) return true;
    at_ = digits;
    return false;
  }

  // At a ':' after a hex digit.
  void ip6() {
    size_t begin = at_++;
    while (begin > floor() && hex(text_[begin - 1])) --begin;
    if (begin > 0 && (alnum(text_[begin - 1]) || text_[begin - 1] == ':' || text_[begin - 1] == '_')) return;
    size_t end = at_;
    int colons = 1;
    while (end < text_.size() && end - begin < 45 && (hex(text_[end]) || text_[end] == ':')) colons += text_[end++] == ':';
    while (end > begin && text_[end - 1] == ':' && char_at(end - 2) != ':') --end, --colons;
    if (colons < 2 || alnum(char_at(end)) || char_at(end) == '_') return;
    const std::string address(text_.substr(begin, end - begin));
    unsigned char bytes[16];
    if (::inet_pton(AF_INET6, address.c_str(), bytes) != 1) return;
    // Global unicast is 2000::/3; 2001:db8::/32 is for documentation.
    const bool documentation = bytes[0] == 0x20 && bytes[1] == 0x01 && bytes[2] == 0x0d && bytes[3] == 0xb8;
    if ((bytes[0] & 0xE0) != 0x20 || documentation) {
      at_ = end;
      return;
    }
    take(begin, end, PersonalKind::kIp);
  }

  // The digits from `at`, with single spaces, dots, hyphens (and, for telephones, brackets and slashes) between them.
  struct Digits {
    std::string value;
    size_t end = 0;
  };
  Digits digits_from(size_t at, std::string_view between, size_t digits_max) const {
    Digits out;
    bool gap = false;
    for (; at < text_.size() && out.value.size() <= digits_max; ++at) {
      const char c = text_[at];
      if (digit(c)) {
        out.value += c;
        out.end = at + 1;
        gap = false;
      } else if (between.find(c) != std::string_view::npos && !(gap && c != '(' && text_[at - 1] != ')')) {
        gap = true;
      } else {
        break;
      }
    }
    return out;
  }

  // The shortest run of whole groups that is a card: another number may follow after a space.
  bool card() {
    std::string value;
    for (size_t at = at_; value.size() < 19 && digit(char_at(at));) {
      while (value.size() <= 19 && digit(char_at(at))) value += text_[at++];
      if (ends_number(at) && is_card(value)) {
        take(at_, at, PersonalKind::kCard);
        return true;
      }
      if (char_at(at) == ' ' || char_at(at) == '-') ++at;
    }
    return false;
  }

  static bool is_card(std::string_view d) {
    const size_t n = d.size();
    if (n < 13 || n > 19) return false;
    const auto prefix = [&](size_t digits) {
      int value = 0;
      for (size_t i = 0; i < digits; ++i) value = value * 10 + (d[i] - '0');
      return value;
    };
    const int two = prefix(2), three = prefix(3), four = prefix(4);
    const bool visa = d[0] == '4' && (n == 13 || n == 16 || n == 19);
    const bool mastercard = n == 16 && ((two >= 51 && two <= 55) || (four >= 2221 && four <= 2720));
    const bool amex = n == 15 && (two == 34 || two == 37);
    const bool discover = n == 16 && (four == 6011 || two == 65 || (three >= 644 && three <= 649));
    const bool diners = n == 14 && ((three >= 300 && three <= 305) || two == 36 || two == 38);
    const bool jcb = n == 16 && four >= 3528 && four <= 3589;
    const bool union_pay = two == 62 && n >= 16;
    return (visa || mastercard || amex || discover || diners || jcb || union_pay) && luhn(d);
  }

  static bool luhn(std::string_view digits) {
    int sum = 0;
    for (size_t i = 0; i < digits.size(); ++i) {
      int value = digits[digits.size() - 1 - i] - '0';
      if (i % 2 == 1) value = value * 2 > 9 ? value * 2 - 9 : value * 2;
      sum += value;
    }
    return sum % 10 == 0;
  }

  // What comes before the number, without a dot, colon and space.
  bool after_label() const {
    size_t end = at_;
    while (end > floor() && (text_[end - 1] == ' ' || text_[end - 1] == ':' || text_[end - 1] == '.')) --end;
    if (end == at_) return false;
    const std::string_view before = text_.substr(0, end);
    for (const std::string_view chinese : {"\xE7\x94\xB5\xE8\xAF\x9D", "\xE6\x89\x8B\xE6\x9C\xBA"}) {
      if (before.ends_with(chinese)) return true;
    }
    size_t begin = end;
    while (begin > floor() && end - begin < 12 && letter(text_[begin - 1])) --begin;
    std::string word(text_.substr(begin, end - begin));
    for (char& c : word) c = static_cast<char>(c | 0x20);
    for (const std::string_view label : {"tel", "phone", "telephone", "fax", "mobile", "telefon", "cell", "whatsapp"}) {
      if (word == label) return true;
    }
    return false;
  }

  bool phone() {
    if (const size_t n = shaped_like_phone(); n > 0 && ends_number(at_ + n)) {
      take(at_, at_ + n, PersonalKind::kPhone);
      return true;
    }
    const bool plus = text_[at_] == '+';
    const Digits d = digits_from(at_ + plus, " -./()", 15);
    if (d.value.empty() || !ends_number(d.end)) return false;
    const size_t n = d.value.size();
    const bool international = plus && n >= 8 && n <= 15 && d.value[0] != '0';
    if (!international && !(n >= 6 && n <= 15 && after_label())) return false;
    take(at_, d.end, PersonalKind::kPhone);
    return true;
  }

  // The length of a number written as the North American plan's are, where codes and exchanges begin with 2 to 9 (N), or of a
  // Chinese mobile number (C: 3 to 9); 0 when it is neither.
  size_t shaped_like_phone() const {
    const std::string_view s = text_.substr(at_, 16);
    for (const std::string_view pattern :
         {"(NDD) NDD-DDDD", "(NDD)NDD-DDDD", "NDD-NDD-DDDD", "NDD.NDD.DDDD", "(NDD) NDD DDDD", "1CDDDDDDDDD"}) {
      bool match = s.size() >= pattern.size();
      for (size_t i = 0; i < pattern.size() && match; ++i) {
        const char p = pattern[i];
        match = p == 'D'   ? digit(s[i])
                : p == 'N' ? s[i] >= '2' && s[i] <= '9'
                : p == 'C' ? s[i] >= '3' && s[i] <= '9'
                           : s[i] == p;
      }
      if (match) return pattern.size();
    }
    return 0;
  }

  const std::string_view text_;
  size_t at_ = 0;
  std::vector<PersonalSpan> found_;
};

std::string_view mask_of(const PersonalSpan& span, std::string_view text) {
  switch (span.kind) {
    case PersonalKind::kMail:
      return "name@example.com";
    case PersonalKind::kIp:
      return text.substr(span.begin, span.end - span.begin).find(':') == std::string_view::npos ? "192.0.2.1" : "2001:db8::1";
    case PersonalKind::kPhone:
      return "+1 555 0100";
    case PersonalKind::kCard:
      break;
  }
  return "0000 0000 0000 0000";
}

}  // namespace

const char* personal_kind_name(PersonalKind kind) {
  static constexpr const char* kNames[kPersonalKinds] = {"mail", "ip", "phone", "card"};
  return kNames[static_cast<size_t>(kind)];
}

std::optional<Privacy> privacy_of(std::string_view name) {
  if (name == "keep") return Privacy::kKeep;
  if (name == "mask") return Privacy::kMask;
  if (name == "drop") return Privacy::kDrop;
  return std::nullopt;
}

std::vector<PersonalSpan> find_personal_data(std::string_view text) { return Scanner(text).run(); }

std::optional<Drop> protect_personal_data(const PrivacyRules& rules, std::string& text,
                                          std::span<int64_t, kPersonalKinds> masked) {
  if (std::all_of(rules.begin(), rules.end(), [](Privacy p) { return p == Privacy::kKeep; })) return std::nullopt;
  const std::vector<PersonalSpan> spans = find_personal_data(text);
  if (spans.empty()) return std::nullopt;
  int64_t counts[kPersonalKinds] = {};
  for (const PersonalSpan& s : spans) ++counts[static_cast<size_t>(s.kind)];
  for (size_t k = 0; k < kPersonalKinds; ++k) {
    if (rules[k] != Privacy::kDrop || counts[k] == 0) continue;
    return Drop{fmt::format("personal_{}", personal_kind_name(static_cast<PersonalKind>(k))), std::to_string(counts[k])};
  }
  std::string out;
  size_t at = 0;
  for (const PersonalSpan& s : spans) {
    if (rules[static_cast<size_t>(s.kind)] != Privacy::kMask) continue;
    out.append(text, at, s.begin - at);
    out += mask_of(s, text);
    at = s.end;
    ++masked[static_cast<size_t>(s.kind)];
  }
  out.append(text, at);
  text = std::move(out);
  return std::nullopt;
}

}  // namespace bgl::prep
