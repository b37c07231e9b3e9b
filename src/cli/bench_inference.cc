// A Llama of random weights decodes one request, and takes a prompt of 512 tokens: what matters is how many weights there are and of
// what type, not their numbers.
#include <algorithm>
#include <array>

#include "base/threads.h"
#include "cli/bench.h"
#include "models/inference.h"

namespace bgl::cli {
namespace {

using framework::Tensor;
using models::ModelConfig;
using ops::WeightType;

ModelConfig llama_110m() {
  ModelConfig c;
  c.family = models::Family::kLlama;
  c.vocab = 32000;
  c.context = 1024;
  c.layers = 12;
  c.heads = c.kv_heads = 12;
  c.width = 768;
  c.head_width = 64;
  c.hidden = 2048;
  c.tied = true;
  c.activation = models::Activation::kSilu;
  return c;
}
// The sizes of Llama-3.2-1B.
ModelConfig llama_1b() {
  ModelConfig c = llama_110m();
  c.vocab = 128256;
  c.layers = 16;
  c.heads = 32;
  c.kv_heads = 8;
  c.width = 2048;
  c.hidden = 8192;
  c.rope_theta = 500000;
  return c;
}

struct Subject {
  const char* name;
  ModelConfig (*config)();
  WeightType type;
};
constexpr std::array<Subject, 5> kSubjects = {{{"llama_110m_f32", llama_110m, WeightType::kF32},
                                              {"llama_1b_bf16", llama_1b, WeightType::kBF16},
                                              {"llama_1b_int8", llama_1b, WeightType::kInt8},
                                              {"llama_1b_w8a8", llama_1b, WeightType::kW8A8},
                                              {"llama_1b_w16a16", llama_1b, WeightType::kW16A16}}};

// bfloat16 numbers of random sign and fraction with 2^-7 <= |x| < 2^-6, four at a time.
Tensor cheap_matrix(const ops::Shape& shape) {
  const int64_t words = (ops::numel(shape) + 3) / 4;
  auto buffer = ops::Buffer::allocate(static_cast<size_t>(words) * 8);
  thread_pool().parallel_for(words, 1 << 16, [&](int64_t from, int64_t to) {
    uint64_t x = static_cast<uint64_t>(from) * 0x9e3779b97f4a7c15 + 1;
    for (int64_t i = from; i < to; ++i) {
      x = x * 6364136223846793005 + 1442695040888963407;  // Knuth's linear congruence
      buffer->as<uint64_t>()[i] = ((x ^ x >> 31) & 0x807f807f807f807f) | 0x3c003c003c003c00;
    }
  });
  return Tensor::from_buffer(std::move(buffer), ops::DType::kBF16, shape);
}

Result<std::unique_ptr<models::Model>> random_model(const Subject& subject) {
  auto model = models::make_model(subject.config(), models::Init::kNone);
  for (Tensor& p : model->parameters()) p.set_value((p.dim() == 2 ? cheap_matrix(p.shape()) : Tensor::ones(p.shape())).value());
  BGL_TRY(models::lay_out_for_inference(*model, subject.type));
  return model;
}

// `tokens` new tokens of one request after `before` earlier ones.
double time_step(models::Model& model, models::PagedCache& cache, int64_t before, int64_t tokens) {
  const int64_t pages = (before + tokens + 63) / 64;
  std::vector<int64_t> ids, positions, slots, table, lengths;
  for (int64_t i = 0; i < tokens; ++i) {
    ids.push_back(i * 37 % model.config().vocab);
    positions.push_back(before + i);
    slots.push_back(64 + before + i);
    for (int64_t p = 0; p < pages; ++p) table.push_back(p + 1);
    lengths.push_back(before + i + 1);
  }
  auto once = [&] {
    const models::PagedStep step{Tensor::from_vector(ids, {tokens}),          Tensor::from_vector(positions, {tokens}), Tensor::from_vector(slots, {tokens}),
                                 Tensor::from_vector(table, {tokens, pages}), Tensor::from_vector(lengths, {tokens}),   Tensor::from_vector(std::vector<int64_t>{tokens - 1}, {1})};
    std::vector<Tensor> wanted = {model.step(step, cache)};
    wanted.insert(wanted.end(), cache.k.begin(), cache.k.end());
    wanted.insert(wanted.end(), cache.v.begin(), cache.v.end());
    framework::eval(wanted);
  };
  once();
  return least_seconds(1.0, once);
}

// Multiplications and additions of a prompt of `tokens`: every matrix but the output one, which only the last token meets, and attention.
double prompt_flops(const ModelConfig& c, double tokens) {
  const auto width = static_cast<double>(c.width), heads = static_cast<double>(c.heads * c.head_width), groups = static_cast<double>(c.kv_heads * c.head_width);
  const double matrices = width * (2 * heads + 2 * groups + 3 * static_cast<double>(c.hidden));
  return static_cast<double>(c.layers) * tokens * (2 * matrices + 2 * heads * tokens) + 2 * width * static_cast<double>(c.vocab);
}

template <typename F>
BenchResults each_subject(F measure) {
  std::vector<BenchResult> out;
  try {
    for (const Subject& subject : kSubjects) {
      BGL_ASSIGN(const auto model, random_model(subject));
      auto cache = model->make_cache(18);
      out.push_back(measure(subject, *model, cache));
    }
  } catch (const Error& e) {
    return e.status();
  }
  return out;
}

}  // namespace

BenchResults bench_decode(const lang::Rates& rates) {
  return each_subject([&](const Subject& subject, models::Model& model, models::PagedCache& cache) {
    const double s = time_step(model, cache, 128, 1), bytes = static_cast<double>(model.parameter_bytes());
    return BenchResult{.name = fmt::format("{}_decode", subject.name), .value = 1 / s, .unit = "tokens/s", .ceiling_share = bytes / s / rates.stream_bytes_per_s};
  });
}

BenchResults bench_prefill(const lang::Rates& rates) {
  constexpr int64_t kTokens = 512;
  return each_subject([&](const Subject& subject, models::Model& model, models::PagedCache& cache) {
    const double s = time_step(model, cache, 0, kTokens), flops = prompt_flops(model.config(), kTokens);
    // Each type beside the rate of the arithmetic that it uses.
    const double peak = subject.type == WeightType::kW8A8 ? lang::measure_byte_rate() : subject.type == WeightType::kW16A16 ? lang::measure_pair_rate() : rates.f32_flops;
    return BenchResult{.name = fmt::format("{}_prefill_{}", subject.name, kTokens), .value = kTokens / s, .unit = "tokens/s", .ceiling_share = flops / s / peak};
  });
}

}  // namespace bgl::cli
