#include "serve/step_model.h"

#include <algorithm>

namespace bgl::serve {

void StepModel::observe(int64_t tokens, double seconds) {
  constexpr double kKeep = 0.99, kMost = 4;
  if (known()) seconds = std::min(seconds, kMost * this->seconds(tokens));
  ++count_;
  const auto x = static_cast<double>(tokens);
  weight_ = kKeep * weight_ + 1;
  x_ = kKeep * x_ + x;
  y_ = kKeep * y_ + seconds;
  xx_ = kKeep * xx_ + x * x;
  xy_ = kKeep * xy_ + x * seconds;
  const double mean_x = x_ / weight_, mean_y = y_ / weight_, spread = xx_ / weight_ - mean_x * mean_x;
  // Of steps that are all alike only their mean is known: more tokens would take as much more.
  const bool alike = spread < 0.01 * mean_x * mean_x + 1e-9;
  b_ = alike ? mean_y / std::max(mean_x, 1.0) : std::max(0.0, (xy_ / weight_ - mean_x * mean_y) / spread);
  a_ = std::max(0.0, mean_y - b_ * mean_x);
}

double StepModel::seconds(int64_t tokens) const { return a_ + b_ * static_cast<double>(tokens); }

int64_t StepModel::tokens_within(double seconds) const {
  if (b_ <= 0) return seconds >= a_ ? INT64_MAX : 1;
  return std::max<int64_t>(1, static_cast<int64_t>(std::min((seconds - a_) / b_, 1e15)));
}

}  // namespace bgl::serve
