// torch's CPU random stream: mt19937 and the ways torch turns it into numbers. Integers are the same; floats agree within 1e-6
// relative. These run on the host at the call, in program order, whether or not the result is used.
// Ref: Matsumoto and Nishimura 1998 (the generator), Box and Muller 1958 (normal numbers).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"

namespace bgl::ops {

class Generator {
 public:
  explicit Generator(uint64_t seed = 5489) { manual_seed(seed); }
  void manual_seed(uint64_t seed);

  uint32_t random32();
  uint64_t random64();                    // the first draw is the high half
  double uniform_double();                // [0, 1) with 53 bits
  double normal_double();                 // pairs: every second call uses what the one before left
  int64_t below(uint64_t range);          // [0, range)

  // Tensor.uniform_, normal_ (both paths: under 16 elements, and in blocks of 16), randint, randperm.
  void uniform(std::span<float> out, float low, float high);
  void normal(std::span<float> out, float mean, float std);
  void randint(std::span<int64_t> out, int64_t low, int64_t high);
  std::vector<int64_t> randperm(int64_t n);
  // Fills with 1 with probability p, else 0: torch.bernoulli_(p) on float.
  void bernoulli(std::span<float> out, double p);

  // The whole state as text, for checkpoints.
  std::string state() const;
  Status set_state(const std::string& text);

 private:
  void refill();
  std::array<uint32_t, 624> words_{};
  int next_ = 624;
  std::optional<double> spare_normal_;
};

// The generator that torch.manual_seed seeds.
Generator& default_generator();

}  // namespace bgl::ops
