// A model laid out for inference: every Linear's matrix packed (ops/packed.h), which is what products with a few rows read at the speed
// of memory; an input embedding that is tied to the output matrix looks its rows up in it. What was there before is let go of.
#pragma once

#include <optional>
#include <string>

#include "models/model.h"

namespace bgl::models {

// `type`: of the matrices; absent: as they are held, float32 or bfloat16. An input embedding of its own stays as it is: a token reads
// one row of it. Norms and biases are float32. Turns dropout and gradients off. Matrices laid out already stay as they are.
Status lay_out_for_inference(Model& model, std::optional<ops::WeightType> type = {});

// "weights: 2.3 GiB in memory, matrices in bf16".
std::string weights_text(Model& model);

}  // namespace bgl::models
