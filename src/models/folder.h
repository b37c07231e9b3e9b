// A model as a Hugging Face folder: config.json, the weights (weights.h), tokenizer.json and its companions, generation_config.json, and
// our lineage.json and manifest.json beside them. The last has a checksum of every file that we wrote (text/files/sidecar.h): a folder that
// has it is read whole and compared before anything of it is used; one without, as others publish them, is taken as it is.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "models/generation.h"
#include "models/weights.h"
#include "text/tokenizers/tokenizer.h"

namespace bgl::models {

// Where a model comes from. Hashes are XXH3-128 in hex.
struct Lineage {
  std::string name;         // "medicine"
  std::string weights;      // as save_weights() returns it
  std::string parent;       // weights of the model this one was tuned from; empty for a first one
  std::string parent_name;
  std::string data;         // of the shards' manifest, or of the text
  std::string config;       // the resolved TOML of the run
};

struct LoadedModel {
  std::unique_ptr<Model> model;
  std::shared_ptr<const text::Tokenizer> tokenizer;  // null when the folder has none
  std::string tokenizer_json;                        // its bytes: the file's own where it is in that format
  GenerationDefaults generation;
  std::map<std::string, std::string> kept;  // generation_config.json, tokenizer_config.json and their kin, byte for byte
  FileStyle style;
  Lineage lineage;
};

// Reads a folder, or llama2.c's .bin file. `tokenizer_path` may be empty: then the folder's own. Weights are mapped, not read,
// where they are float32 and laid out as we hold them. Errors name the file, the tensor and what differs.
Result<LoadedModel> load_model(const std::string& path, const std::string& tokenizer_path = "");

// The same for inference: eval mode, no gradients, matrices laid out (inference.h) as `weights` or, by default, as the folder stores
// them. It can be neither trained nor saved. What does not fit in memory is refused before anything is allocated (memory_need.h).
Result<LoadedModel> load_for_inference(const std::string& path, const std::string& tokenizer_path = "", std::optional<ops::WeightType> weights = {});

// Writes the folder; until all is written and on the disk, the files that were there stay (text/files/staged_files.h). What was read and not changed has the same bytes again: config.json,
// tokenizer.json, kept files, every tensor. Low-rank parts are merged into what is written. `max_file_bytes` as in save_weights().
// Returns the weights' hash.
Result<std::string> save_model(const std::string& dir, const LoadedModel& loaded, int64_t max_file_bytes = 0);

// The adapter alone, in PEFT's layout: adapter_config.json and adapter_model.safetensors, and their manifest.json.
Status save_adapter(const std::string& dir, Model& model, int64_t rank, double alpha);

}  // namespace bgl::models
