#include "models/rope.h"

#include <cmath>
#include <numbers>

namespace bgl::models {
namespace {

double llama3_frequency(double f, const RopeScaling& s) {
  const double waves =
      static_cast<double>(s.original_context) * f / (2 * std::numbers::pi);  // that fit into the original context
  if (waves > s.high_freq_factor) return f;
  if (waves < s.low_freq_factor) return f / s.factor;
  const double kept = (waves - s.low_freq_factor) / (s.high_freq_factor - s.low_freq_factor);
  return kept * f + (1 - kept) * f / s.factor;
}

}  // namespace

std::vector<double> rotary_frequencies(int64_t head_width, double theta, const RopeScaling& scaling) {
  std::vector<double> out;
  for (int64_t i = 0; i < head_width / 2; ++i) {
    const double f = std::pow(theta, -2.0 * static_cast<double>(i) / static_cast<double>(head_width));
    switch (scaling.kind) {
      case RopeScaling::Kind::kNone:
        out.push_back(f);
        break;
      case RopeScaling::Kind::kLinear:
        out.push_back(f / scaling.factor);
        break;
      case RopeScaling::Kind::kLlama3:
        out.push_back(llama3_frequency(f, scaling));
        break;
    }
  }
  return out;
}

RotaryTables make_rotary_tables(const ModelConfig& c) {
  const std::vector<double> frequencies = rotary_frequencies(c.head_width, c.rope_theta, c.rope_scaling);
  std::vector<float> cos, sin;
  for (int64_t p = 0; p < c.context; ++p) {
    for (const double f : frequencies) {
      const double angle = static_cast<double>(p) * f;
      cos.push_back(static_cast<float>(std::cos(angle)));
      sin.push_back(static_cast<float>(std::sin(angle)));
    }
  }
  const auto half = static_cast<int64_t>(frequencies.size());
  return {framework::Tensor::from_vector(cos, {c.context, half}), framework::Tensor::from_vector(sin, {c.context, half})};
}

}  // namespace bgl::models
