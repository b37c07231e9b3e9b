// What `bgl bench` measures: a function a name, each giving a few results beside the machine's measured ceilings and, where it is
// installed, a peer that was run in the same call.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "cli/peer_process.h"
#include "lang/measure.h"
#include "train/options.h"

namespace bgl::cli {

struct BenchResult {
  std::string name;
  double value = 0;
  std::string unit;
  std::string peer = {};  // name and version
  std::optional<double> peer_value = {};
  std::optional<double> ceiling_share = {};  // of the measured peak or bandwidth, whichever binds
};
using BenchResults = Result<std::vector<BenchResult>>;

BenchResults bench_gemm(const lang::Rates& rates);
BenchResults bench_kernels(const lang::Rates& rates);
BenchResults bench_train(const lang::Rates& rates);
BenchResults bench_decode(const lang::Rates& rates);
BenchResults bench_prefill(const lang::Rates& rates);
BenchResults bench_jit(const lang::Rates& rates);
// On the HTML pages of `folder`; empty: on made ones.
BenchResults bench_prep(const std::string& folder);
// On the texts of FOLDER/languages.jsonl, each with its language.
BenchResults bench_language(const std::string& folder);
// On the texts FOLDER/NAME.txt, documents separated by NUL; empty: on a made one, training too.
BenchResults bench_tokenizer(const std::string& folder);
// Needs no rates.
BenchResults bench_mask(const lang::Rates& rates);
struct LakeBench {
  int64_t files = 400000;  // of 1 to 10 KB
  int64_t segments = 0;    // instead, where not 0: what this many segments cost by their number alone
};
BenchResults bench_lake(const LakeBench& options);
BenchResults bench_lake_scale(int64_t segments);
// The processes of bench_jit: `what` is done, and what was compiled for it printed as JSON.
Status print_jit_counters(const std::string& what);
// Tokens a second of a run of the character model with `steps` steps, in the folder `dir`.
Result<double> char_train_rate(const std::string& dir, int steps);
// The configuration of GPT-2 124M on sequences of `length`: examples/gpt2_124m_random.toml, found from the project's root.
Result<train::TrainOptions> gpt2_options(const std::string& length);
// GPT-2 124M on sequences of `length`, in a process of bench_train: answers "step" with "SECONDS LOSS ANONYMOUS_BYTES_AT_MOST ours",
// and "floor F32_FLOPS BYTES_PER_S" with the seconds that a step would take at these rates (profile/roofline.h).
Status answer_gpt2_steps(const std::string& length);

// bench/<script> with the Python that BGL_PEER_PYTHON names, as a peer that answers requests; none, with a line that says how to get it, when
// there is none.
std::optional<PeerProcess> start_python_peer(const std::string& script, const std::vector<std::string>& arguments);
// Runs bench/<script> with the Python that BGL_PEER_PYTHON names and returns the last line it prints; empty, with a line that says
// how to get it, when there is none.
std::string run_peer(const std::string& script, const std::string& arguments);
// Text whose words follow Zipf's law, in sentences and paragraphs: the same for the same seed.
std::string made_text(size_t bytes, uint64_t seed);
// A folder of this process for a benchmark's files, not yet made.
std::string scratch_folder(const char* name);
double seconds_now();
// Of a core, taken by this thread.
double cpu_seconds();
// The least time of one call, over at least `seconds` of calls.
template <typename F>
double least_seconds(double seconds, F fn) {
  double best = 1e300;
  const double end = seconds_now() + seconds;
  do {
    const double start = seconds_now();
    fn();
    best = std::min(best, seconds_now() - start);
  } while (seconds_now() < end);
  return best;
}

// The least time of a core that one call takes, of at least three calls and a second of them. For work of one thread, on a machine
// that others use too.
template <typename F>
double least_cpu_seconds(F fn) {
  double best = 1e300, all = 0;
  for (int calls = 0; calls < 3 || all < 1; ++calls) {
    const double start = cpu_seconds();
    fn();
    const double took = cpu_seconds() - start;
    best = std::min(best, took), all += took;
  }
  return best;
}

}  // namespace bgl::cli
