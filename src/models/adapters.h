// Low-rank adapters (LoRA) of one base model, served side by side: the base's weights are there once, whatever they are packed as, and every
// matrix has the adapters' rows beside it (framework::AdapterTables). Each token of a step belongs to the base or to one adapter; a step's
// tokens may belong to any mixture of them. Ref: arXiv:2106.09685; arXiv:2311.03285 for serving many.
//
// An adapter's folder has PEFT's layout: adapter_config.json (peft_type LORA, lora_alpha, use_rslora) and adapter_model.safetensors, whose
// tensors base_model.model.<matrix>.lora_A.weight [rank, in] and lora_B.weight [out, rank] are float32, bfloat16 or float16.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "models/model.h"

namespace bgl::models {

// Reads the adapters and puts them beside the model's matrices, as adapters 1, 2, ... in the order of `dirs`; once a model. The model is laid
// out for inference or will be. `base`: its path, for messages. Errors name the file and what does not fit the model.
Status load_adapters(Model& model, const std::string& base, std::span<const std::string> dirs);

// What load_adapters() will take in memory, by the headers of the files.
Result<int64_t> adapters_bytes(std::span<const std::string> dirs);

// For PagedStep: whose each of the step's rows is, 0 the base's. Nothing where all are the base's: then a step has the bits of a model without adapters.
std::optional<framework::AdapterRows> adapter_rows(const Model& model, std::span<const int64_t> adapter_N);

}  // namespace bgl::models
