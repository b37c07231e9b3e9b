#include <dlfcn.h>

#include <algorithm>
#include <cstdio>
#include <vector>

#include "cli/bench.h"
#include "cli/bench_gemm.h"
#include "ops/buffer.h"

namespace bgl::cli {
namespace {

// The C interfaces of the two libraries, as their manuals give them: row-major, C = A B.
using CblasSgemm = void (*)(int order, int trans_a, int trans_b, int m, int n, int k, float alpha, const float* a, int lda,
                            const float* b, int ldb, float beta, float* c, int ldc);
using DnnlSgemm = int (*)(char trans_a, char trans_b, int64_t m, int64_t n, int64_t k, float alpha, const float* a, int64_t lda,
                          const float* b, int64_t ldb, float beta, float* c, int64_t ldc);
constexpr int kRowMajor = 101, kNoTrans = 111;

struct Library {
  CblasSgemm cblas = nullptr;
  DnnlSgemm dnnl = nullptr;
  std::string version;

  void multiply(int m, int n, int k, const float* a, const float* b, float* c) const {
    if (cblas) {
      cblas(kRowMajor, kNoTrans, kNoTrans, m, n, k, 1, a, k, b, n, 0, c, n);
    } else {
      dnnl('N', 'N', m, n, k, 1, a, k, b, n, 0, c, n);
    }
  }
};

Result<Library> open_library(const std::string& name) {
  void* handle = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle) return not_found("{}", dlerror());
  Library l;
  l.cblas = reinterpret_cast<CblasSgemm>(dlsym(handle, "cblas_sgemm"));
  l.dnnl = reinterpret_cast<DnnlSgemm>(dlsym(handle, "dnnl_sgemm"));
  if (!l.cblas && !l.dnnl) return not_found("{} has neither cblas_sgemm nor dnnl_sgemm", name);
  if (auto config = reinterpret_cast<const char* (*)()>(dlsym(handle, "openblas_get_config"))) {
    const std::string text = config();  // "OpenBLAS 0.3.21 ..."
    l.version = text.substr(0, text.find(' ', text.find(' ') + 1));
    if (auto core = reinterpret_cast<const char* (*)()>(dlsym(handle, "openblas_get_corename")))
      l.version += std::string(" ") + core();
  }
  struct DnnlVersion {
    int major, minor, patch;
  };
  if (auto version = reinterpret_cast<const DnnlVersion* (*)()>(dlsym(handle, "dnnl_version"))) {
    l.version = fmt::format("oneDNN {}.{}.{}", version()->major, version()->minor, version()->patch);
  }
  return l;
}

// The peers' operands lie in the memory that our own tensors have.
std::shared_ptr<ops::Buffer> in_a_buffer(const std::vector<float>& numbers) {
  auto buffer = ops::Buffer::allocate(numbers.size() * sizeof(float));
  std::copy(numbers.begin(), numbers.end(), buffer->as<float>());
  return buffer;
}

}  // namespace

std::vector<float> gemm_numbers(int64_t count, int64_t seed) {
  std::vector<float> out(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) out[static_cast<size_t>(i)] = static_cast<float>((i * 7919 + seed) % 1009) / 504.5f - 1;
  return out;
}

double gemm_check(const float* c, int64_t count) {
  double sum = 0;
  for (int64_t i = 0; i < count; i += 97) sum += static_cast<double>(c[i]) * static_cast<double>(i % 13 - 6);
  return sum;
}

Status answer_gemm_requests(const std::string& name) {
  BGL_ASSIGN(const Library library, open_library(name));
  int m = 0, n = 0, k = 0;
  double seconds = 0;
  while (std::scanf("%d %d %d %lf", &m, &n, &k, &seconds) == 4) {
    const auto a = in_a_buffer(gemm_numbers(int64_t{m} * k, 1)), b = in_a_buffer(gemm_numbers(int64_t{k} * n, 2)),
               c = in_a_buffer(std::vector<float>(static_cast<size_t>(m) * static_cast<size_t>(n)));
    const auto product = [&] { library.multiply(m, n, k, a->as<float>(), b->as<float>(), c->as<float>()); };
    product();
    const double best = least_seconds(seconds, product);
    std::printf("%.9g %.9g %s\n", best, gemm_check(c->as<float>(), int64_t{m} * n), library.version.c_str());
    std::fflush(stdout);
  }
  return {};
}

}  // namespace bgl::cli
