// A model as a Hugging Face folder: config.json, model.safetensors, tokenizer.json, and our lineage.json beside them.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "models/model.h"
#include "text/tokenizer.h"

namespace bgl::models {

// How a file names and stores the tensors, so that it can be written back the way it was.
struct FileStyle {
  std::string prefix;                         // before every GPT-2 name: "" or "transformer."
  bool has_head = false;                      // a tied output matrix is stored a second time
  std::map<std::string, std::string> dtypes;  // by the name in the file; absent: F32
};

// Where a model comes from. Hashes are XXH3-128 in hex.
struct Lineage {
  std::string name;         // "medicine"
  std::string weights;      // of model.safetensors
  std::string parent;       // weights of the model this one was tuned from; empty for a first one
  std::string parent_name;
  std::string data;         // of the shards' manifest, or of the text
  std::string config;       // the resolved TOML of the run
};

struct LoadedModel {
  std::unique_ptr<Model> model;
  std::shared_ptr<const text::Tokenizer> tokenizer;  // null when the folder has none
  std::string tokenizer_json;                         // its bytes
  FileStyle style;
  Lineage lineage;
};

// Reads a folder, or llama2.c's .bin file. `tokenizer_path` may be empty: then the folder's own. Weights are mapped, not read,
// where they are float32 and laid out as we hold them. Errors name the file, the tensor and what differs.
Result<LoadedModel> load_model(const std::string& path, const std::string& tokenizer_path = "");

// Writes the folder; every file appears whole or not at all. Low-rank parts are merged into what is written. Returns the hash of
// model.safetensors.
Result<std::string> save_model(const std::string& dir, Model& model, const FileStyle& style, const std::string& tokenizer_json, Lineage lineage);

// The adapter alone, in PEFT's layout: adapter_config.json and adapter_model.safetensors.
Status save_adapter(const std::string& dir, Model& model, int64_t rank, double alpha);

}  // namespace bgl::models
