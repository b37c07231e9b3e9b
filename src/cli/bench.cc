#include "cli/bench.h"

#include <time.h>
#include <unistd.h>

#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "base/env.h"
#include "base/processor.h"
#include "base/threads.h"
#include "cli/bench_gemm.h"
#include "cli/bench_serve.h"
#include "cli/verbs.h"
#include "lang/kernel.h"
#include "report/table.h"

namespace bgl::cli {
namespace {

using nlohmann::json;

// What is given on the command line, and the machine's rates.
struct BenchInput {
  std::string name, argument;
  LakeBench lake;
  ServeLoad load;
  lang::Rates rates;
};

struct Bench {
  const char* name;
  BenchResults (*run)(const BenchInput&);
  bool takes_argument = false;
};
constexpr Bench kBenches[] = {{"gemm", [](const BenchInput& in) { return bench_gemm(in.rates); }},
                              {"kernels", [](const BenchInput& in) { return bench_kernels(in.rates); }},
                              {"train", [](const BenchInput& in) { return bench_train(in.rates); }},
                              {"decode", [](const BenchInput& in) { return bench_decode(in.rates); }},
                              {"prefill", [](const BenchInput& in) { return bench_prefill(in.rates); }},
                              {"lake", [](const BenchInput& in) { return bench_lake(in.lake); }},
                              {"prep", [](const BenchInput& in) { return bench_prep(in.argument); }, true},
                              {"language", [](const BenchInput& in) { return bench_language(in.argument); }, true},
                              {"tokenizer", [](const BenchInput& in) { return bench_tokenizer(in.argument); }, true},
                              {"jit", [](const BenchInput& in) { return bench_jit(in.rates); }},
                              {"mask", [](const BenchInput& in) { return bench_mask(in.rates); }},
                              {"serve", [](const BenchInput& in) { return bench_serve(in.load); }, true}};

json number_or_null(const std::optional<double>& v) { return v ? json(*v) : json(); }

Status bench(BenchInput in, const std::string& file) {
  // The processes that benchmarks start themselves.
  if (in.name == "jit-step") return print_jit_counters(in.argument);
  if (in.name == "gpt2-steps") return answer_gpt2_steps(in.argument);
  if (in.name == "gemm-peer") return answer_gemm_requests(in.argument);
  const Bench* chosen = nullptr;
  std::string names;
  for (const Bench& b : kBenches) {
    names += std::string(names.empty() ? "" : ", ") + b.name;
    if (in.name == b.name) chosen = &b;
  }
  if (!chosen) return invalid_argument("there is no benchmark '{}': choose {}", in.name, names);
  if (!in.argument.empty() && !chosen->takes_argument) return invalid_argument("'{}' after '{}': one benchmark at a time", in.argument, in.name);
  in.load.trace = in.argument;
  const lang::MachineInfo& m = lang::machine();
  in.rates = lang::measure_rates();
  const lang::Rates& rates = in.rates;
  BGL_ASSIGN(const auto results, chosen->run(in));
  json j = {{"machine", {{"cpu", processor().name}, {"threads", m.threads}, {"isa", m.isa}, {"engine", m.engine}, {"f32_gflops", rates.f32_flops / 1e9},
                         {"stream_gb_per_s", rates.stream_bytes_per_s / 1e9}}},
            {"results", json::array()}};
  report::Table table({"name", "value", "unit", "peer", "peer's value", "ratio", "of the ceiling"});
  for (const BenchResult& r : results) {
    const std::optional<double> ratio = r.peer_value && *r.peer_value > 0 ? std::optional(r.value / *r.peer_value) : std::nullopt;
    j["results"].push_back({{"name", r.name}, {"value", r.value}, {"unit", r.unit}, {"peer", r.peer.empty() ? json() : json(r.peer)},
                            {"peer_value", number_or_null(r.peer_value)}, {"ratio", number_or_null(ratio)}, {"ceiling_share", number_or_null(r.ceiling_share)}});
    table.add_row({r.name, fmt::format("{:.4g}", r.value), r.unit, r.peer, r.peer_value ? fmt::format("{:.4g}", *r.peer_value) : "",
                   ratio ? fmt::format("{:.2f}", *ratio) : "", r.ceiling_share ? fmt::format("{:.0f} %", 100 * *r.ceiling_share) : ""});
  }
  std::printf("%s, %d threads, %s; measured now: %.0f GFLOP/s, %.1f GB/s\n%s", processor().name.c_str(), m.threads, m.isa.c_str(), rates.f32_flops / 1e9,
              rates.stream_bytes_per_s / 1e9, table.text().c_str());
  return file.empty() ? Status() : real_env().write_file_atomic(file, j.dump(2) + "\n");
}

}  // namespace

std::string scratch_folder(const char* name) {
  const char* base = std::getenv("TMPDIR");
  return fmt::format("{}/bgl-bench-{}-{}", base ? base : "/tmp", name, getpid());
}

double cpu_seconds() {
  timespec t{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

double seconds_now() { return 1e-9 * static_cast<double>(real_env().now_ns()); }

namespace {

// The Python that BGL_PEER_PYTHON names, where it and bench/<script> are there; else a line that says how to get them.
const char* python_for(const std::string& script) {
  const char* python = std::getenv("BGL_PEER_PYTHON");
  if (python && *python && real_env().exists("bench/" + script)) return python;
  std::fprintf(stderr, "no peer: set BGL_PEER_PYTHON to a Python that has the packages bench/%s names, and run from the project's root\n", script.c_str());
  return nullptr;
}

// As many threads as we take, and memory of the same kind.
std::vector<std::string> peer_environment() {
  return {fmt::format("OMP_NUM_THREADS={}", lang::machine().threads), "THP_MEM_ALLOC_ENABLE=1"};
}

}  // namespace

std::optional<PeerProcess> start_python_peer(const std::string& script, const std::vector<std::string>& arguments) {
  const char* python = python_for(script);
  if (!python) return std::nullopt;
  std::vector<std::string> command = {python, "bench/" + script};
  command.insert(command.end(), arguments.begin(), arguments.end());
  auto process = PeerProcess::start(command, peer_environment());
  if (process.ok()) return std::move(*process);
  std::fprintf(stderr, "no peer: %s\n", process.status().message().c_str());
  return std::nullopt;
}

std::string run_peer(const std::string& script, const std::string& arguments) {
  const char* python = python_for(script);
  if (!python) return {};
  const std::string command = fmt::format("{} {} bench/{} {}", fmt::join(peer_environment(), " "), python, script, arguments);
  FILE* pipe = popen(command.c_str(), "r");
  if (!pipe) return {};
  std::string line, last;
  for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe)) {
    if (c != '\n') {
      line += static_cast<char>(c);
    } else {
      last = std::move(line);
      line.clear();
    }
  }
  return pclose(pipe) == 0 ? last : std::string();
}

void add_bench(CLI::App& app, Status& status) {
  struct Options : BenchInput {
    std::string file;
  };
  auto o = std::make_shared<Options>();
  CLI::App* verb = app.add_subcommand("bench", "Measure one part, beside the machine's ceilings and a peer where BGL_PEER_PYTHON names one");
  verb->add_option("NAME", o->name, "gemm, kernels, train, decode, prefill, lake, prep [FOLDER of pages], language FOLDER of texts, tokenizer [FOLDER of texts], jit, mask, or serve [TRACE]")->required();
  verb->add_option("ARGUMENT", o->argument)->group("");
  verb->add_option("--json", o->file, "Write the results to this file");
  verb->add_option("--files", o->lake.files, "Of lake: files in the lake; 4000000 need 50 GB of disk")->capture_default_str()->check(CLI::Range(10000, 100000000));
  verb->add_option("--segments", o->lake.segments, "Of lake, instead: a manifest of so many segments, which are made when read; 1000000 need 2 GB of memory")
      ->check(CLI::Range(100, 1000000));
  ServeLoad& load = o->load;
  const auto add = [&](const char* option, auto& value, const char* help) { verb->add_option(option, value, help)->group("Of serve")->capture_default_str(); };
  add("--url", load.url, "The server");
  add("--rate", load.rate, "Without a trace: requests a second, at random times");
  add("--clients", load.clients, "Without a trace: clients that each send one request after the other");
  add("--seconds", load.seconds, "Of the load; 0: the whole trace");
  add("--divide", load.divide, "The trace's lengths and blocks are this much shorter");
  add("--speed", load.speed, "The trace's clock runs so much faster");
  add("--input", load.input, "Tokens of a prompt, without a trace");
  add("--output", load.output, "Tokens of an answer, without a trace");
  add("--ttft-ms", load.ttft_ms, "A request is good with its first token in this time");
  add("--tbt-ms", load.tbt_ms, "... and the slowest tenth of its times between tokens under this");
  add("--pid", load.pid, "The server's process, to watch its memory");
  add("--html", load.html, "Write a page with plots to this file");
  set_example(*verb, "bgl bench gemm --json gemm.json");
  verb->callback([o, &status] { status = bench(*o, o->file); });
}

}  // namespace bgl::cli
