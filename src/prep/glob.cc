#include "prep/glob.h"

#include <re2/re2.h>

namespace bgl::prep {
namespace {

// The regular expression of a pattern, or what is wrong with it.
Result<std::string> regex_of(const std::string& pattern) {
  std::string out;
  int braces = 0;
  for (size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    if (pattern.compare(i, 3, "**/") == 0) {
      out += "(?:.*/)?";
      i += 2;
    } else if (pattern.compare(i, 2, "**") == 0) {
      out += ".*";
      ++i;
    } else if (c == '*') {
      out += "[^/]*";
    } else if (c == '?') {
      out += "[^/]";
    } else if (c == '[') {
      const size_t end = pattern.find(']', i + 2);
      if (end == std::string::npos) return invalid_argument("pattern '{}': [ without ]", pattern);
      std::string set = pattern.substr(i + 1, end - i - 1);
      if (set[0] == '!') set[0] = '^';
      out += "[" + set + "]";
      i = end;
    } else if (c == '{') {
      ++braces;
      out += "(?:";
    } else if (c == '}' && braces > 0) {
      --braces;
      out += ")";
    } else if (c == ',' && braces > 0) {
      out += "|";
    } else {
      out += re2::RE2::QuoteMeta(std::string(1, c));
    }
  }
  if (braces > 0) return invalid_argument("pattern '{}': {{ without }}", pattern);
  return out;
}

}  // namespace

struct Globs::State {
  std::vector<std::string> patterns;
  std::vector<std::unique_ptr<re2::RE2>> regexes;
};

Globs::Globs() : state_(std::make_unique<State>()) {}
Globs::~Globs() = default;
Globs::Globs(Globs&&) noexcept = default;
Globs& Globs::operator=(Globs&&) noexcept = default;

Result<Globs> Globs::compile(const std::vector<std::string>& patterns) {
  Globs out;
  re2::RE2::Options options;
  options.set_encoding(re2::RE2::Options::EncodingLatin1);  // paths are bytes
  options.set_dot_nl(true);
  options.set_log_errors(false);
  for (const std::string& pattern : patterns) {
    BGL_ASSIGN(const std::string regex, regex_of(pattern));
    auto compiled = std::make_unique<re2::RE2>(regex, options);
    if (!compiled->ok()) return invalid_argument("pattern '{}': {}", pattern, compiled->error());
    out.state_->patterns.push_back(pattern);
    out.state_->regexes.push_back(std::move(compiled));
  }
  return out;
}

bool Globs::match(std::string_view path) const {
  for (const auto& regex : state_->regexes) {
    if (re2::RE2::FullMatch(re2::StringPiece(path.data(), path.size()), *regex)) return true;
  }
  return false;
}

std::vector<std::string> Globs::prefixes() const {
  std::vector<std::string> out;
  for (const std::string& pattern : state_->patterns) out.push_back(pattern.substr(0, pattern.find_first_of("*?[{")));
  return out;
}

}  // namespace bgl::prep
