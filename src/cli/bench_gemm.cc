#include "cli/bench_gemm.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <span>

#include "cli/bench.h"
#include "cli/peer_process.h"
#include "compiler/compile.h"
#include "framework/functional.h"
#include "lang/kernel.h"
#include "lang/tuner.h"

namespace bgl::cli {
namespace {

using Size = std::array<int64_t, 3>;  // M, N, K
constexpr Size kSizes[] = {{256, 256, 256},   {512, 512, 512},  {1024, 1024, 1024}, {2048, 2048, 2048}, {256, 2304, 768},
                           {256, 768, 768},   {256, 3072, 768}, {256, 768, 3072},   {2048, 2304, 768},  {2048, 768, 3072},
                           {256, 50257, 768}, {64, 64, 64},     {128, 128, 32},     {37, 53, 71},       {1000, 17, 300},
                           {8, 4096, 4096},   {16, 2048, 8192}, {1, 2048, 2048},    {1, 8192, 2048},    {1, 2048, 8192}};
constexpr int kRounds = 8;
constexpr double kSecondsOfARound = 0.02;

struct Answer {
  double seconds = 0, check = 0;
  std::string version;
};

Result<Answer> ask(PeerProcess& peer, const Size& s) {
  BGL_ASSIGN(const std::string line, peer.ask(fmt::format("{} {} {} {}", s[0], s[1], s[2], kSecondsOfARound)));
  Answer a;
  int used = 0;
  if (std::sscanf(line.c_str(), "%lf %lf %n", &a.seconds, &a.check, &used) != 2)
    return make_status(Code::kInternal, "a peer answered '{}'", line);
  a.version = line.substr(static_cast<size_t>(used));
  return a;
}

// Every core type that may run here; one that this processor lacks ends at its first product and is left out then.
std::vector<PeerProcess> start_peers() {
  const std::string threads = std::to_string(lang::machine().threads), program = "/proc/self/exe";
  std::vector<PeerProcess> out;
  auto add = [&](const char* library, const std::string& setting) {
    auto peer = PeerProcess::start({program, "bench", "gemm-peer", library},
                                   {"OMP_NUM_THREADS=" + threads, "OPENBLAS_NUM_THREADS=" + threads, setting});
    if (!peer.ok()) return;
    // The first product tells whether library and processor agree.
    if (auto first = ask(*peer, {64, 64, 64}); first.ok()) out.push_back(std::move(*peer));
  };
  for (const char* core : {"Haswell", "Zen", "SkylakeX", "Cooperlake", "SapphireRapids"})
    add("libopenblas.so.0", std::string("OPENBLAS_CORETYPE=") + core);
  for (const char* isa : {"AVX2", "ALL"}) add("libdnnl.so.2", std::string("ONEDNN_MAX_CPU_ISA=") + isa);
  if (out.empty()) std::fprintf(stderr, "no peer: install libopenblas0-pthread and libdnnl2 to measure beside them\n");
  return out;
}

// Until the schedules that the product may take have had their turns.
template <typename F>
void settle(const F& product) {
  constexpr double kLeast = 0.05, kMost = 15;  // seconds
  const double start = seconds_now();
  for (int runs = 0; runs < 5 || seconds_now() - start < kLeast || (lang::choices_being_tried() > 0 && seconds_now() - start < kMost); ++runs) product();
}

// Every round runs ours and each peer in turn; the least time of each counts.
Result<BenchResult> measure(const Size& size, std::vector<PeerProcess>& peers, const lang::Rates& rates) {
  const auto [m, n, k] = size;
  const auto a = framework::Tensor::from_vector(gemm_numbers(m * k, 1), {m, k}),
             b = framework::Tensor::from_vector(gemm_numbers(k * n, 2), {k, n});
  double best = 1e300, best_peer = 1e300, check = 0;
  std::string version;
  for (int round = 0; round < kRounds; ++round) {
    auto product = [&] {
      framework::Tensor c = framework::matmul(a, b);
      framework::eval(std::span(&c, 1));
      return c;
    };
    if (round == 0) settle(product);
    const std::vector<float> c = product().to_vector();
    check = gemm_check(c.data(), m * n);
    best = std::min(best, least_seconds(kSecondsOfARound, product));
    for (PeerProcess& peer : peers) {
      BGL_ASSIGN(const Answer theirs, ask(peer, size));
      if (std::abs(theirs.check - check) > 1e-3 * static_cast<double>(k) + 1e-4 * std::abs(check)) {
        return make_status(Code::kInternal, "{}x{}x{}: ours and {} differ: {} and {}", m, n, k, theirs.version, check,
                           theirs.check);
      }
      if (theirs.seconds < best_peer) best_peer = theirs.seconds, version = theirs.version;
    }
  }
  const double flops = 2.0 * static_cast<double>(m * n) * static_cast<double>(k),
               bytes = 4.0 * static_cast<double>(m * k + k * n + m * n);
  const double floor = std::max(flops / rates.f32_flops, bytes / rates.stream_bytes_per_s);
  BenchResult r{.name = fmt::format("gemm_f32_{}x{}x{}", m, n, k),
                .value = flops / best / 1e9,
                .unit = "GFLOP/s",
                .peer = version,
                .ceiling_share = floor / best};
  if (!peers.empty()) r.peer_value = flops / best_peer / 1e9;
  return r;
}

}  // namespace

BenchResults bench_gemm(const lang::Rates& rates) {
  std::vector<PeerProcess> peers = start_peers();
  std::vector<BenchResult> out;
  double log_ratio = 0;
  for (const Size& size : kSizes) {
    BGL_ASSIGN(BenchResult r, measure(size, peers, rates));
    log_ratio += r.peer_value ? std::log(r.value / *r.peer_value) : 0;
    out.push_back(std::move(r));
  }
  if (peers.empty()) return out;
  out.push_back({.name = "gemm_f32_geometric_mean_of_ratios",
                 .value = std::exp(log_ratio / static_cast<double>(out.size())),
                 .unit = "x",
                 .peer = "the best of each"});
  return out;
}

}  // namespace bgl::cli
