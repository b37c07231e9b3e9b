#include "base/threads.h"

#include <sched.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

namespace bgl {
namespace {

thread_local bool inside_job = false;

int default_threads() {
  cpu_set_t set;
  CPU_ZERO(&set);
  int usable = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
  if (const char* text = std::getenv("BGL_THREADS")) {
    char* end = nullptr;
    const long asked = std::strtol(text, &end, 10);
    if (end != text && *end == 0 && asked >= 1 && asked <= 1024) return static_cast<int>(asked);
    std::fprintf(stderr, "bgl: BGL_THREADS=%s is not a number from 1 to 1024; using %d\n", text, usable);
  }
  return usable;
}

}  // namespace

struct ThreadPool::State {
  std::vector<std::thread> workers;
  std::mutex job_mutex;  // one job at a time

  std::mutex mutex;
  std::condition_variable wake;
  std::condition_variable done;
  std::atomic<uint64_t> generation{0};
  bool stop = false;
  int running = 0;

  // The current job; stable while running > 0 or the caller is in parallel_for.
  const std::function<void(int64_t, int64_t)>* fn = nullptr;
  int64_t n = 0;
  int64_t piece = 1;
  std::atomic<int64_t> next{0};

  void work() {
    inside_job = true;
    for (;;) {
      const int64_t begin = next.fetch_add(piece, std::memory_order_relaxed);
      if (begin >= n) break;
      (*fn)(begin, begin + piece < n ? begin + piece : n);
    }
    inside_job = false;
  }

  void loop() {
    uint64_t seen = 0;
    for (;;) {
      for (int spin = 0; spin < 200 && generation.load(std::memory_order_acquire) == seen; ++spin) __builtin_ia32_pause();
      {
        std::unique_lock lock(mutex);
        wake.wait(lock, [&] { return stop || generation.load(std::memory_order_relaxed) != seen; });
        if (stop) return;
        seen = generation.load(std::memory_order_relaxed);
        if (!fn) continue;
        ++running;
      }
      work();
      std::lock_guard lock(mutex);
      if (--running == 0) done.notify_one();
    }
  }
};

ThreadPool::ThreadPool(int threads) : state_(std::make_unique<State>()) {
  for (int i = 1; i < threads; ++i) state_->workers.emplace_back([s = state_.get()] { s->loop(); });
}

ThreadPool::~ThreadPool() {
  {
    std::lock_guard lock(state_->mutex);
    state_->stop = true;
  }
  state_->wake.notify_all();
  for (std::thread& t : state_->workers) t.join();
}

int ThreadPool::threads() const { return static_cast<int>(state_->workers.size()) + 1; }

void ThreadPool::parallel_for(int64_t n, int64_t grain, const std::function<void(int64_t, int64_t)>& fn) {
  if (n <= 0) return;
  if (grain < 1) grain = 1;
  State& s = *state_;
  if (s.workers.empty() || n <= grain || inside_job) {
    fn(0, n);
    return;
  }
  std::lock_guard job(s.job_mutex);
  {
    std::lock_guard lock(s.mutex);
    // Four pieces a thread even out pieces of unequal cost.
    const int64_t fair = (n + threads() * 4 - 1) / (threads() * 4);
    s.piece = fair > grain ? fair : grain;
    s.n = n;
    s.fn = &fn;
    s.next.store(0, std::memory_order_relaxed);
    s.generation.fetch_add(1, std::memory_order_release);
  }
  s.wake.notify_all();
  s.work();
  std::unique_lock lock(s.mutex);
  s.done.wait(lock, [&] { return s.running == 0; });
  s.fn = nullptr;
}

ThreadPool& thread_pool() {
  static ThreadPool pool(default_threads());
  return pool;
}

}  // namespace bgl
