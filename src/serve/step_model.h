// How long a step of the batch takes, learnt from the steps themselves: seconds = a + b * tokens, least squares over the recent ones.
#pragma once

#include <cstdint>

namespace bgl::serve {

class StepModel {
 public:
  // A step that takes far longer than foreseen (a kernel was compiled, the machine was busy) counts a few times what was foreseen.
  void observe(int64_t tokens, double seconds);
  bool known() const { return count_ >= 4; }
  double seconds(int64_t tokens) const;
  // Most tokens of a step that takes no longer; at least 1.
  int64_t tokens_within(double seconds) const;

 private:
  int64_t count_ = 0;
  double weight_ = 0, x_ = 0, y_ = 0, xx_ = 0, xy_ = 0;  // sums over observations, each step's weight falling with age
  double a_ = 0, b_ = 0;
};

}  // namespace bgl::serve
