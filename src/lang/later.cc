#include "lang/later.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "base/log.h"

namespace bgl::lang {

class Background {
 public:
  static Background& shared() {
    // Never destroyed: a thread that runs until the end of the process may ask. The compiling thread stops before the compiler's
    // library is taken down, because exit handlers run in reverse and a kernel was compiled before the first one is asked for here.
    static auto* one = [] {
      auto* b = new Background;
      std::atexit([] { shared().stop(); });
      return b;
    }();
    return *one;
  }

  void ask(LaterKernel& kernel) {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    asked_.push_back(&kernel);
    if (!thread_.joinable()) thread_ = std::thread([this] { work(); });
    wake_.notify_one();
  }

  static void compile(LaterKernel& kernel) {
    const auto compiled = compile_kernel(*kernel.function_);
    if (!compiled.ok()) {
      log_warn("a better schedule's kernel is left out: {}", compiled.status().to_string());
      kernel.failed_ = true;
      return;
    }
    kernel.kernel_ = *compiled;
  }

 private:
  void work() {
    // Threads have priorities of their own on Linux. What computes goes first.
    setpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid)), 10);
    std::unique_lock lock(mutex_);
    for (;;) {
      wake_.wait(lock, [&] { return stopping_ || !asked_.empty(); });
      if (stopping_) return;
      LaterKernel& next = *asked_.front();
      asked_.pop_front();
      lock.unlock();
      compile(next);
      lock.lock();
    }
  }
  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_one();
    if (thread_.joinable()) thread_.join();
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<LaterKernel*> asked_;
  std::thread thread_;
  bool stopping_ = false;
};

const Kernel* LaterKernel::get() {
  const Kernel* there = kernel_;
  if (!there && !asked_.exchange(true)) Background::shared().ask(*this);
  return there;
}

const Kernel* LaterKernel::wait() {
  if (!kernel_ && !failed_) Background::compile(*this);
  return kernel_;
}

LaterKernel& later_kernel(const std::shared_ptr<const Function>& function) {
  struct All {
    std::mutex mutex;
    std::unordered_map<const Function*, std::unique_ptr<LaterKernel>> kernels;
  };
  static auto* all = new All;
  const std::lock_guard lock(all->mutex);
  auto& kernel = all->kernels[function.get()];
  if (!kernel) kernel = std::make_unique<LaterKernel>(function);
  return *kernel;
}

}  // namespace bgl::lang
