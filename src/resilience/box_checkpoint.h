// Checkpoints in boxes. A box is a rectangle of a named tensor; a rank writes the boxes it owns, and a reader fills any box it wants
// from those that cut it, so a state written in one layout loads into any other.
//
//   DIR/step-<N>/                     N with at least 8 digits
//     boxes-<rank>.safetensors        one tensor a box, "name" when it is whole, else "name@offset0,offset1,..."
//     index.json                      {"format": "bagualu.checkpoint", "version": 1, "step": N, "state": {...},
//                                      "boxes": [{"name", "dtype", "shape", "offset", "extent", "file", "key", "xxh3_128"}, ...],
//                                      "checksum": XXH3-128 of the file with this value empty}
//
// A step is written as step-<N>.partial, synced file by file, and renamed: what has no index, or a .partial name, is not a
// checkpoint. Two phases: every rank's boxes first, then the index and the rename by one.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/env.h"

namespace bgl::resilience {

struct Box {
  std::string name;
  std::string dtype;            // of safetensors: "F32", "I64", ...
  std::vector<int64_t> shape;   // of the whole tensor
  std::vector<int64_t> offset;  // of the box in it
  std::vector<int64_t> extent;
  std::span<const std::byte> bytes;  // row-major; the caller's
};
// The box that is a whole tensor.
Box whole_box(std::string name, std::string dtype, std::vector<int64_t> shape, std::span<const std::byte> bytes);

// Writes one step of one rank that owns all boxes, and removes older steps but the newest `keep`. `state_json` is one JSON object.
// Errors leave the earlier steps as they were.
Status write_step(Env& env, const std::string& dir, int64_t step, std::span<const Box> boxes, const std::string& state_json, int64_t keep);

// A complete step, opened and checked: index, sizes; every box's checksum is checked when it is read.
class StepReader {
 public:
  static Result<StepReader> open(Env& env, const std::string& step_dir);
  int64_t step() const { return step_; }
  const std::string& state_json() const { return state_; }
  const std::vector<Box>& boxes() const { return boxes_; }  // bytes are empty
  bool has(const std::string& name) const;
  // Fills `out` (row-major, extent x element size) with the rectangle of the tensor. Errors: no such tensor, another dtype or shape, a
  // part that no box covers, a box whose bytes do not match their checksum; each names file and tensor.
  Status read(const Box& wanted, std::span<std::byte> out) const;
  // Checks every box.
  Status verify() const;

 private:
  struct Stored {
    std::string file, key, hash;
  };
  Result<std::string> box_bytes(size_t index) const;
  Env* env_ = nullptr;
  std::string dir_, state_;
  int64_t step_ = 0;
  std::vector<Box> boxes_;
  std::vector<Stored> stored_;
};

// Folders of complete steps below `dir`, newest first; partial ones are left out. An absent `dir` has none.
Result<std::vector<std::string>> list_steps(Env& env, const std::string& dir);

}  // namespace bgl::resilience
