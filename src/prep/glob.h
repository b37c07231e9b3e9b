// Path patterns: * and ? within a folder, ** across folders, [a-z] and [!a-z], {one,two}. "**/" also matches no folder at all.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace bgl::prep {

class Globs {
 public:
  ~Globs();
  Globs(Globs&&) noexcept;
  Globs& operator=(Globs&&) noexcept;
  static Result<Globs> compile(const std::vector<std::string>& patterns);
  // Whether the whole path matches one of the patterns.
  bool match(std::string_view path) const;
  // The text every match begins with, for each pattern: where to look.
  std::vector<std::string> prefixes() const;

 private:
  struct State;
  Globs();
  std::unique_ptr<State> state_;
};

}  // namespace bgl::prep
