#include "base/threads.h"

#include <sched.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <thread>
#include <vector>

namespace bgl {
namespace {

thread_local bool inside_job = false;

constexpr std::chrono::microseconds kSpin{20};

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

// How the threads meet is one word: the job's number, whether it may still be joined, and how many workers are in it. A job's own
// fields are written while nobody is in one, so whoever joins by changing the word may read them without a lock.
struct ThreadPool::State {
  static constexpr uint32_t kInside = 0x7fff, kOpen = 0x8000, kNextJob = 0x10000;

  std::vector<std::thread> workers;
  std::mutex job_mutex;  // one job at a time

  std::atomic<uint32_t> word{0};
  std::atomic<uint32_t> ended{0};  // counts jobs whose last worker left after the caller: what a waiting caller sleeps on
  std::atomic<bool> stop{false};

  const std::function<void(int64_t, int64_t)>* fn = nullptr;
  int64_t n = 0;
  int64_t piece = 1;
  std::atomic<int64_t> next{0};

  static uint32_t job_of(uint32_t w) { return w / kNextJob; }

  // Looks again and again for as long as a sleep and its end would take; what is met at once costs no look at the clock.
  template <typename F>
  static bool spin_until(const F& met) {
    const auto look = [&] {
      for (int i = 0; i < 16; ++i) {
        if (met()) return true;
        __builtin_ia32_pause();
      }
      return false;
    };
    if (look()) return true;
    const auto end = std::chrono::steady_clock::now() + kSpin;
    do {
      if (look()) return true;
    } while (std::chrono::steady_clock::now() < end);
    return met();
  }

  void work() {
    inside_job = true;
    for (;;) {
      const int64_t begin = next.fetch_add(piece, std::memory_order_relaxed);
      if (begin >= n) break;
      (*fn)(begin, begin + piece < n ? begin + piece : n);
    }
    inside_job = false;
  }

  // The word, once its job is another than `seen`.
  uint32_t next_job(uint32_t seen) {
    uint32_t w = 0;
    const auto another = [&] { return job_of(w = word.load(std::memory_order_acquire)) != seen; };
    if (spin_until(another)) return w;
    while (!another()) word.wait(w, std::memory_order_acquire);
    return w;
  }

  void leave() {
    const uint32_t before = word.fetch_sub(1, std::memory_order_acq_rel);
    if ((before & kInside) != 1 || before & kOpen) return;
    ended.fetch_add(1, std::memory_order_release);
    ended.notify_one();
  }

  void loop() {
    uint32_t seen = 0;
    while (!stop.load(std::memory_order_relaxed)) {
      uint32_t w = next_job(seen);
      seen = job_of(w);
      while (w & kOpen && job_of(w) == seen) {
        if (!word.compare_exchange_weak(w, w + 1, std::memory_order_acq_rel)) continue;
        work();
        leave();
        break;
      }
    }
  }

  void open_job() {
    const uint32_t job = word.load(std::memory_order_relaxed) / kNextJob * kNextJob + kNextJob;
    word.exchange(job | kOpen, std::memory_order_acq_rel);  // not a store: what notify_all() looks at must not be read before it
    word.notify_all();
  }

  // Nobody joins any more; returns when all have left.
  void close_job() {
    word.fetch_and(~kOpen, std::memory_order_acq_rel);
    const auto empty = [&] { return (word.load(std::memory_order_acquire) & kInside) == 0; };
    if (spin_until(empty)) return;
    for (;;) {
      const uint32_t before = ended.load(std::memory_order_acquire);
      if (empty()) return;
      ended.wait(before, std::memory_order_acquire);
    }
  }
};

ThreadPool::ThreadPool(int threads) : state_(std::make_unique<State>()) {
  for (int i = 1; i < threads; ++i) state_->workers.emplace_back([s = state_.get()] { s->loop(); });
}

ThreadPool::~ThreadPool() {
  state_->stop.store(true, std::memory_order_relaxed);
  state_->word.fetch_add(State::kNextJob, std::memory_order_release);
  state_->word.notify_all();
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
  // Four pieces a thread even out pieces of unequal cost.
  const int64_t fair = (n + threads() * 4 - 1) / (threads() * 4);
  s.piece = fair > grain ? fair : grain;
  s.n = n;
  s.fn = &fn;
  s.next.store(0, std::memory_order_relaxed);
  s.open_job();
  s.work();
  s.close_job();
}

ThreadPool& thread_pool() {
  static ThreadPool pool(default_threads());
  return pool;
}

}  // namespace bgl
