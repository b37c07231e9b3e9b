// One pool of worker threads for the whole process. Workers spin for a few microseconds after a job and then sleep, so an idle
// process costs nothing and a core that is shared with others is never burnt by a waiting thread.
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
