// Checkpoints in boxes. A box is a rectangle of a named tensor; a rank writes the boxes it owns, and a reader fills any box it wants
// from those that cut it, so a state written in one layout loads into any other.
//
//   DIR/step-<N>/                     N with at least 8 digits
//     boxes-<rank>.safetensors        one tensor a box, "name" when it is whole, else "name@offset0,offset1,..."
//     boxes-<rank>.json               that rank's part of the index, until commit_step() has joined the parts
//     index.json                      {"format": "bagualu.checkpoint", "version": 1, "step": N, "state": {...},
//                                      "boxes": [{"name", "dtype", "shape", "offset", "extent", "file", "key", "xxh3_128"}, ...],
//                                      "headers": {file: XXH3-128 of what comes before its first tensor, ...},
//                                      "checksum": XXH3-128 of the file with this value empty}
//
// A step is written as step-<N>.partial, synced file by file, and renamed: what has no index, or a .partial name, is not a
// checkpoint. Two phases: every rank's boxes first, then the index and the rename by one. While a step is written again, the one
// before stays as step-<N>.old until the new one is sure.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
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

// The two phases. One rank calls begin_step(); then every rank write_boxes() with the boxes it owns (no part of a tensor twice
// among all); and when all have returned OK, one calls commit_step(), which joins the parts of ranks 0..ranks-1, makes the step
// visible and removes older steps but the newest `keep`. `state_json` is one JSON object. Errors leave the earlier steps as they
// were; kInvalidArgument names a tensor whose boxes overlap or leave it, or whose ranks disagree about it.
Status begin_step(Env& env, const std::string& dir, int64_t step);
Status write_boxes(Env& env, const std::string& dir, int64_t step, int64_t rank, std::span<const Box> boxes);
Status commit_step(Env& env, const std::string& dir, int64_t step, int64_t ranks, const std::string& state_json, int64_t keep);
// All three for one rank that owns all boxes.
Status write_step(Env& env, const std::string& dir, int64_t step, std::span<const Box> boxes, const std::string& state_json, int64_t keep);

// A complete step, opened and checked: the index and how its boxes lie; every box's checksum is checked when it is read. One user
// at a time.
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
  // Checks every byte of every file.
  Status verify() const;

 private:
  struct Stored {
    std::string file, key, hash;
  };
  struct OpenFile;
  // Checked; the view lives as long as the reader.
  Result<std::span<const std::byte>> box_bytes(size_t index) const;
  Result<std::shared_ptr<OpenFile>> open_file(const std::string& name) const;
  Env* env_ = nullptr;
  std::string dir_, state_;
  int64_t step_ = 0;
  std::vector<Box> boxes_;
  std::vector<Stored> stored_;
  std::map<std::string, std::string> headers_;  // their hashes, by file; those of older programs have none
  mutable std::map<std::string, std::shared_ptr<OpenFile>> files_;
};

// Folders of complete steps below `dir`, newest first (a step-N.old after its step-N); partial ones are left out. An absent `dir`
// has none.
Result<std::vector<std::string>> list_steps(Env& env, const std::string& dir);

}  // namespace bgl::resilience
