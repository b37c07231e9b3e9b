#include "ops/random.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <numeric>

namespace bgl::ops {
namespace {

constexpr double kTwoPi = 6.283185307179586476925286766559;

// 16 uniform numbers become 16 normal ones: element j pairs with j + 8.
void box_muller_16(float* data, float mean, float std) {
  for (int j = 0; j < 8; ++j) {
    const float u1 = 1 - data[j];
    const float u2 = data[j + 8];
    const float radius = std::sqrt(-2 * std::log(u1));
    const float theta = static_cast<float>(kTwoPi) * u2;
    data[j] = radius * std::cos(theta) * std + mean;
    data[j + 8] = radius * std::sin(theta) * std + mean;
  }
}

}  // namespace

void Generator::manual_seed(uint64_t seed) {
  words_[0] = static_cast<uint32_t>(seed);
  for (uint32_t i = 1; i < 624; ++i) words_[i] = 1812433253u * (words_[i - 1] ^ (words_[i - 1] >> 30)) + i;
  next_ = 624;
  spare_normal_.reset();
}

void Generator::refill() {
  for (size_t i = 0; i < 624; ++i) {
    const uint32_t y = (words_[i] & 0x80000000u) | (words_[(i + 1) % 624] & 0x7fffffffu);
    words_[i] = words_[(i + 397) % 624] ^ (y >> 1) ^ (y & 1 ? 0x9908b0dfu : 0);
  }
  next_ = 0;
}

uint32_t Generator::random32() {
  if (next_ == 624) refill();
  uint32_t y = words_[static_cast<size_t>(next_++)];
  y ^= y >> 11;
  y ^= (y << 7) & 0x9d2c5680u;
  y ^= (y << 15) & 0xefc60000u;
  return y ^ (y >> 18);
}

uint64_t Generator::random64() {
  const uint64_t high = random32();
  return high << 32 | random32();
}

double Generator::uniform_double() { return static_cast<double>(random64() & ((uint64_t{1} << 53) - 1)) * 0x1p-53; }

float Generator::uniform_float() { return static_cast<float>(random32() & ((1u << 24) - 1)) * 0x1p-24f; }

double Generator::normal_double() {
  if (spare_normal_) {
    const double v = *spare_normal_;
    spare_normal_.reset();
    return v;
  }
  const double u1 = uniform_double();
  const double u2 = uniform_double();
  const double radius = std::sqrt(-2 * std::log1p(-u2));
  spare_normal_ = radius * std::sin(kTwoPi * u1);
  return radius * std::cos(kTwoPi * u1);
}

int64_t Generator::below(uint64_t range) {
  // Wide ranges take 64 bits, as torch does from 2^28 on.
  return static_cast<int64_t>(range >= (uint64_t{1} << 28) ? random64() % range : random32() % range);
}

void Generator::uniform(std::span<float> out, float low, float high) {
  for (float& x : out) x = std::fma(uniform_float(), high - low, low);  // torch's build contracts this
}

void Generator::normal(std::span<float> out, float mean, float std) {
  if (out.size() < 16) {
    for (float& x : out) x = static_cast<float>(normal_double() * static_cast<double>(std) + static_cast<double>(mean));
    return;
  }
  uniform(out, 0, 1);
  for (size_t i = 0; i + 16 <= out.size(); i += 16) box_muller_16(out.data() + i, mean, std);
  if (out.size() % 16) {
    // The last 16 are drawn anew, over the tail that did not fill a block.
    const std::span<float> tail = out.last(16);
    uniform(tail, 0, 1);
    box_muller_16(tail.data(), mean, std);
  }
}

void Generator::randint(std::span<int64_t> out, int64_t low, int64_t high) {
  for (int64_t& x : out) x = low + below(static_cast<uint64_t>(high - low));
}

std::vector<int64_t> Generator::randperm(int64_t n) {
  std::vector<int64_t> out(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) out[static_cast<size_t>(i)] = i;
  for (int64_t i = 0; i < n - 1; ++i) {
    const auto z = static_cast<int64_t>(random32() % static_cast<uint64_t>(n - i));
    std::swap(out[static_cast<size_t>(i)], out[static_cast<size_t>(i + z)]);
  }
  return out;
}

void Generator::bernoulli(std::span<float> out, double p) {
  for (float& x : out) x = uniform_double() < p ? 1.0f : 0.0f;
}

void Generator::bernoulli(std::span<float> out, std::span<const float> p) {
  BGL_CHECK(out.size() == p.size(), "{} draws for {} probabilities", out.size(), p.size());
  for (size_t i = 0; i < out.size(); ++i) {
    BGL_REQUIRE(p[i] >= 0 && p[i] <= 1, "[bernoulli] {} at element {} is not a probability", p[i], i);
    out[i] = uniform_float() < p[i] ? 1.0f : 0.0f;
  }
}

void Generator::exponential(std::span<float> out, double rate) {
  for (float& x : out) x = static_cast<float>(-1.0 / rate * std::log1p(-uniform_double()));
}

// The largest of weight / exponential noise are a draw without replacement. Ref: Efraimidis and Spirakis 2006.
std::vector<int64_t> Generator::multinomial_apart(std::span<const float> weights, int64_t count) {
  std::vector<float> race(weights.size());
  exponential(race, 1);
  for (size_t i = 0; i < race.size(); ++i) race[i] = weights[i] / race[i];
  std::vector<int64_t> order(weights.size());
  std::iota(order.begin(), order.end(), int64_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](int64_t a, int64_t b) { return race[static_cast<size_t>(a)] > race[static_cast<size_t>(b)]; });
  order.resize(static_cast<size_t>(count));
  return order;
}

std::vector<int64_t> Generator::multinomial(std::span<const float> weights, int64_t count, bool replacement) {
  const auto n = static_cast<int64_t>(weights.size());
  BGL_REQUIRE(count > 0, "[multinomial] {} samples were asked for", count);
  BGL_REQUIRE(replacement || count <= n, "[multinomial] {} samples from {} without replacement", count, n);
  float sum = 0;
  std::vector<float> reached(weights.size());  // in float32, as torch adds them
  for (size_t i = 0; i < weights.size(); ++i) {
    BGL_REQUIRE(std::isfinite(weights[i]) && weights[i] >= 0, "[multinomial] weight {} is {}: it must be finite and at least 0", i, weights[i]);
    reached[i] = sum += weights[i];
  }
  BGL_REQUIRE(sum > 0, "[multinomial] the sum of {} weights is {}: nothing can be drawn", n, sum);
  if (!replacement || count == 1) return multinomial_apart(weights, count);
  for (float& r : reached) r /= sum;
  reached.back() = 1;
  std::vector<int64_t> out;
  for (int64_t k = 0; k < count; ++k) {
    out.push_back(std::lower_bound(reached.begin(), reached.end(), uniform_double()) - reached.begin());
  }
  return out;
}

std::string Generator::state() const {
  std::string s = "mt19937 " + std::to_string(next_);
  uint64_t spare = 0;
  if (spare_normal_) std::memcpy(&spare, &*spare_normal_, sizeof spare);
  s += spare_normal_ ? " 1 " + std::to_string(spare) : " 0 0";
  for (const uint32_t w : words_) s += " " + std::to_string(w);
  return s;
}

Status Generator::set_state(const std::string& text) {
  Generator g;
  const char* p = text.c_str();
  if (std::strncmp(p, "mt19937 ", 8) != 0) return data_loss("random state does not begin with 'mt19937'");
  p += 8;
  auto number = [&](uint64_t& out) {
    char* end = nullptr;
    out = std::strtoull(p, &end, 10);
    const bool ok = end != p;
    p = end;
    return ok;
  };
  uint64_t next = 0, has = 0, spare = 0, word = 0;
  if (!number(next) || !number(has) || !number(spare) || next > 624) return data_loss("random state is damaged");
  g.next_ = static_cast<int>(next);
  if (has) {
    double v;
    std::memcpy(&v, &spare, sizeof v);
    g.spare_normal_ = v;
  }
  for (uint32_t& w : g.words_) {
    if (!number(word)) return data_loss("random state ends early");
    w = static_cast<uint32_t>(word);
  }
  *this = g;
  return {};
}

Generator& default_generator() {
  static Generator generator;
  return generator;
}

}  // namespace bgl::ops
