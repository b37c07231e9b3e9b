// Llama and Qwen2 as their papers write them, in double precision and plain loops: what the models are compared with. Nothing
// of the framework is used but the parameters' values.
#pragma once

#include <cstdint>
#include <vector>

#include "models/model.h"

namespace bgl::models::testing {

// How far float32 may be from double, as a share of the largest logit: sums of up to 8192 terms, a few layers deep.
constexpr double kTolerance = 1e-5;

// Logits [T, V] of one sequence.
std::vector<double> reference_logits(const Model& model, const std::vector<int64_t>& ids);

// Mean cross entropy of each token given those before it.
double reference_loss(const Model& model, const std::vector<int64_t>& ids);

// The largest difference as a share of the largest number of `want`; infinite when there are not as many, or one is NaN.
double difference(const std::vector<float>& got, const std::vector<double>& want);

}  // namespace bgl::models::testing
