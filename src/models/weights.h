// A model's tensors in a Hugging Face folder: model.safetensors, or several files and an index, model.safetensors.index.json:
//
//   {"metadata": {"total_size": BYTES}, "weight_map": {"<tensor>": "<file>", ...}}
//
// The files are named model-00001-of-0000N.safetensors; every tensor lies whole in one of them. A folder that has
// model.safetensors is read without looking at an index.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "models/model.h"

namespace bgl::models {

// How files name and store the tensors, so that they can be written back the way they were.
struct FileStyle {
  std::string prefix;                         // before every GPT-2 name: "" or "transformer."
  bool has_head = false;                      // a tied output matrix is stored a second time
  std::map<std::string, std::string> dtypes;  // by the name in the file; absent: F32
};

// Gives every parameter its value, as float32: mapped where the file holds that already, else widened (exactly). Errors name
// file and tensor: a file or tensor that is not there, a tensor in two files, of another shape or dtype, or of no part of this
// model. `keep_bf16` leaves matrices of bfloat16 as they are, mapped: for a model that is laid out for inference next (inference.h).
Result<FileStyle> load_weights(const std::string& dir, Model& model, bool keep_bf16 = false);

// How a folder names and stores the tensors of a model of this configuration, by the headers of its files. What is there, not whether it is all.
Result<FileStyle> stored_style(const std::string& dir, const ModelConfig& config);

// Writes the parameters, low-rank parts left out: one file, or files of at most `max_file_bytes` of tensors each (0: one file;
// a tensor that is larger gets a file of its own). Every file appears whole or not at all, the index after them, and files of
// an earlier set go last. What was read and not changed is written with the same bytes. Returns the XXH3-128 of the file in
// hex; of several, that of their hashes in a row. Memory: one file's tensors, where they are not stored as float32.
Result<std::string> save_weights(const std::string& dir, const Model& model, const FileStyle& style, int64_t max_file_bytes);

// Names of the files in `dir` that are weights by their names, whoever wrote them.
Result<std::vector<std::string>> weight_files(const std::string& dir);

}  // namespace bgl::models
