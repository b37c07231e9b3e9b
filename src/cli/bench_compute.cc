#include <algorithm>
#include <cstdio>
#include <optional>

#include "cli/bench.h"
#include "compiler/compile.h"
#include "compiler/differentiate.h"
#include "framework/random.h"
#include "lang/kernel.h"

namespace bgl::cli {
namespace {

using ops::Value;

Value leaf(const ops::Shape& shape, double low = -1, double high = 1) { return framework::uniform(shape, low, high).value(); }
Value leaf_ids(const ops::Shape& shape, int64_t limit) { return framework::randint(0, limit, shape).value(); }

// The least seconds of one evaluation of what `make` builds, and the machine's best rates, measured in turn; throws Error when an
// evaluation fails.
struct Timed {
  double seconds = 1e300;
  lang::Rates rates;
};
template <typename F>
Timed time_graph(F make) {
  auto once = [&] {
    const Value v = make();
    if (Status s = compiler::evaluate({v}); !s.ok()) throw Error(s);
  };
  once();  // compiles
  Timed t;
  for (int round = 0; round < 8; ++round) {
    const lang::Rates now = lang::measure_rates(0.06);
    t.rates = {std::max(t.rates.f32_flops, now.f32_flops), std::max(t.rates.stream_bytes_per_s, now.stream_bytes_per_s)};
    t.seconds = std::min(t.seconds, least_seconds(0.03, once));
  }
  return t;
}

// Attention on 12 heads, 512 positions, 64 wide, forward and backward, in turn with PyTorch's.
Status bench_attention(std::vector<BenchResult>& out) {
  std::optional<PeerProcess> torch = start_python_peer("kernels/torch_attention.py", {std::to_string(lang::machine().threads)});
  Value leaves[3];
  for (Value& v : leaves) (v = leaf({1, 12, 512, 64}, 0, 1)).node->requires_grad = true;
  const Value weight = leaf({1, 12, 512, 64}, 0, 1);
  for (const bool causal : {true, false}) {
    Timed forward, backward;
    double peer_forward = 1e300, peer_backward = 1e300;
    std::string version;
    for (int round = 0; round < 8; ++round) {
      forward.rates.f32_flops = std::max(forward.rates.f32_flops, lang::measure_rates(0.06).f32_flops);
      for (int call = 0; call < 6; ++call) {
        const double start = seconds_now();
        const Value y = ops::attention(leaves[0], leaves[1], leaves[2], 0.125, causal);
        BGL_TRY(compiler::evaluate({y}));
        const double middle = seconds_now();
        BGL_TRY(compiler::evaluate(compiler::differentiate(ops::sum(ops::mul(y, weight), {0, 1, 2, 3}, false), leaves)));
        backward.seconds = std::min(backward.seconds, seconds_now() - middle);
        forward.seconds = std::min(forward.seconds, middle - start);
      }
      if (!torch) continue;
      BGL_ASSIGN(const std::string line, torch->ask(causal ? "causal" : "full"));
      double f = 0, b = 0;
      int used = 0;
      if (std::sscanf(line.c_str(), "%lf %lf %n", &f, &b, &used) != 2) return make_status(Code::kInternal, "a peer answered '{}'", line);
      peer_forward = std::min(peer_forward, f);
      peer_backward = std::min(peer_backward, b);
      version = line.substr(static_cast<size_t>(used));
    }
    const double product = (causal ? 1.0 : 2.0) * 12 * 512 * 512 * 64;  // flops; causal: half of all pairs
    auto add = [&](const char* way, double products, const Timed& t, double peer) {
      out.push_back({.name = fmt::format("attention_12x512x64_{}_{}", causal ? "causal" : "full", way), .value = products * product / t.seconds / 1e9,
                     .unit = "GFLOP/s", .peer = version, .ceiling_share = products * product / t.seconds / forward.rates.f32_flops});
      if (torch) out.back().peer_value = products * product / peer / 1e9;
    };
    add("forward", 2, forward, peer_forward);
    add("backward", 5, backward, peer_backward);  // what the mathematics needs
  }
  return Status();
}

}  // namespace

BenchResults bench_kernels(const lang::Rates&) {
  std::vector<BenchResult> out;
  auto add = [&](const char* name, double bytes, const Timed& t) {
    out.push_back({.name = name, .value = bytes / t.seconds / 1e9, .unit = "GB/s", .ceiling_share = bytes / t.seconds / t.rates.stream_bytes_per_s});
  };
  try {
    const int64_t rows = 4096, c = 768;
    const double once = 4.0 * static_cast<double>(rows * c);
    const Value x = leaf({rows, c}), w = leaf({c}), b = leaf({c});
    add("softmax_4096x768", 2 * once, time_graph([&] { return ops::softmax(x, -1); }));
    add("layer_norm_4096x768", 2 * once, time_graph([&] { return ops::layer_norm(x, w, b, 1e-5); }));
    add("rms_norm_4096x768", 2 * once, time_graph([&] { return ops::rms_norm(x, w, 1e-5); }));
    add("gelu_4096x768", 2 * once, time_graph([&] { return ops::gelu(x); }));
    const Value logits = leaf({256, 50257}), targets = leaf_ids({256}, 50257);
    add("cross_entropy_256x50257", 4.0 * 256 * 50257, time_graph([&] { return ops::cross_entropy(logits, targets); }));
    const Value q = leaf({4, 12, 512, 64}), cos = leaf({512, 32}), sin = leaf({512, 32}), positions = ops::contiguous(ops::arange(512));
    add("rope_4x12x512x64", 2 * 4.0 * 4 * 12 * 512 * 64, time_graph([&] { return ops::rope(q, positions, cos, sin, false); }));
    const int64_t n = 8 << 20;
    const Value p = leaf({n}), g = leaf({n}), m = leaf({n}), v = leaf({n}, 0, 1);
    add("adamw_8M", 7 * 4.0 * static_cast<double>(n), time_graph([&] {
          return ops::adamw(p, g, m, v, ops::scalar(1e-3), ops::scalar(0.9), ops::scalar(0.1), ops::scalar(0.1), ops::scalar(1), 0.9, 0.99, 1e-8).param;
        }));
    BGL_TRY(bench_attention(out));
  } catch (const Error& e) {
    return e.status();
  }
  return out;
}

}  // namespace bgl::cli
