// Rotary positions: pair i of a head turns by position * f(i). Ref: arXiv:2104.09864.
//
//   plain    f(i) = theta^(-2i/D)
//   linear   f(i) / factor. Ref: arXiv:2306.15595
//   llama3   waves (2 pi / f) shorter than original_context / high_freq_factor keep f, those longer than original_context /
//            low_freq_factor get f / factor, and between them the two are mixed, linearly in original_context / wave. Ref:
//            arXiv:2407.21783 and the rope_scaling of its published configurations
#pragma once

#include <cstdint>
#include <vector>

#include "framework/tensor.h"
#include "models/config.h"

namespace bgl::models {

// f(i) for i < D/2, in radians a position.
std::vector<double> rotary_frequencies(int64_t head_width, double theta, const RopeScaling& scaling);

// cos and sin of position * f(i): [context, D/2] each.
struct RotaryTables {
  framework::Tensor cos, sin;
};
RotaryTables make_rotary_tables(const ModelConfig& config);

}  // namespace bgl::models
