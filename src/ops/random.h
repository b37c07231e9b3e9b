// torch's CPU random stream: mt19937 and the ways torch turns it into numbers. Integers are the same; floats agree within 1e-6
// relative. These run on the host at the call, in program order, whether or not the result is used.
//
// On Intel processors torch draws bernoulli_(p), dropout and exponential_ (and with it multinomial) from MKL, seeded with one word of
// this stream; elsewhere from the stream itself. We do the latter everywhere, so that a seed means the same on every machine.
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
  float uniform_float();                  // [0, 1) with 24 bits
  double normal_double();                 // pairs: every second call uses what the one before left
  int64_t below(uint64_t range);          // [0, range)

  // Tensor.uniform_, normal_ (both paths: under 16 elements, and in blocks of 16), randint, randperm.
  void uniform(std::span<float> out, float low, float high);
  void normal(std::span<float> out, float mean, float std);
  void randint(std::span<int64_t> out, int64_t low, int64_t high);
  std::vector<int64_t> randperm(int64_t n);
  // Fills with 1 with probability p, else 0: torch.bernoulli_(p) on float.
  void bernoulli(std::span<float> out, double p);
  // torch.bernoulli(probabilities): element i with probability `p[i]`; it takes 32 bits an element where the other takes 64.
  void bernoulli(std::span<float> out, std::span<const float> p);
  // Tensor.exponential_(rate).
  void exponential(std::span<float> out, double rate);
  // torch.multinomial of one row: `count` indices, drawn with probabilities proportional to `weights`. Without replacement they come
  // in torch's order, and `count` may not be more than there are weights. Throws Error for weights that are no probabilities.
  std::vector<int64_t> multinomial(std::span<const float> weights, int64_t count, bool replacement);

  // The whole state as text, for checkpoints.
  std::string state() const;
  Status set_state(const std::string& text);

 private:
  void refill();
  std::vector<int64_t> multinomial_apart(std::span<const float> weights, int64_t count);
  std::array<uint32_t, 624> words_{};
  int next_ = 624;
  std::optional<double> spare_normal_;
};

// The generator that torch.manual_seed seeds.
Generator& default_generator();

}  // namespace bgl::ops
