// A file written piece by piece and packed with Zstandard, that appears whole or not at all.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/env.h"
#include "base/status.h"

namespace bgl::text {

class PackedWriter {
 public:
  // Writes PATH.tmp. One writer per path at a time.
  static Result<PackedWriter> create(Env& env, std::string path);
  PackedWriter(PackedWriter&&) noexcept;
  ~PackedWriter();

  // The bytes of the file depend on all that was appended, not on the pieces.
  Status append(std::string_view bytes);
  // The file is at its place and survives a power cut. Without it PATH.tmp is left behind for the next writer.
  Status finish();

 private:
  struct State;
  explicit PackedWriter(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace bgl::text
