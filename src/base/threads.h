// One pool of worker threads for the whole process. Workers look out for the next job for 20 microseconds and then sleep, so
// that the small launches of a step follow each other without a system call, and an idle process costs nothing.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

namespace bgl {

class ThreadPool {
 public:
  // `threads` counts the calling thread: 1 runs everything inline.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const;
  // Runs fn(begin, end) over disjoint pieces of [0, n), `grain` indexes at least in each, and returns when all are done. Pieces
  // are handed out in order of index. One job runs at a time: a second caller waits. A call from inside fn runs inline. `fn`
  // must not throw.
  void parallel_for(int64_t n, int64_t grain, const std::function<void(int64_t begin, int64_t end)>& fn);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// The process's pool: BGL_THREADS threads, or as many as the process may use. A wrong BGL_THREADS is said once and ignored.
ThreadPool& thread_pool();

}  // namespace bgl
