// Kernels that are compiled in the background while another one serves.
#pragma once

#include <atomic>
#include <memory>

#include "lang/kernel.h"

namespace bgl::lang {

class LaterKernel {
 public:
  // Null until it is compiled. The first call that finds it missing asks for it; one thread, of low priority, compiles what is asked for.
  const Kernel* get();
  // Compiles it now, in this thread, if it is not there.
  const Kernel* wait();
  bool failed() const { return failed_; }

  explicit LaterKernel(std::shared_ptr<const Function> function) : function_(std::move(function)) {}

 private:
  friend class Background;
  const std::shared_ptr<const Function> function_;
  std::atomic<const Kernel*> kernel_{nullptr};
  std::atomic<bool> asked_{false}, failed_{false};
};

// The one of `function`, by its address; never freed, as compiled kernels are not.
LaterKernel& later_kernel(const std::shared_ptr<const Function>& function);

}  // namespace bgl::lang
