// What became of every request, for Perfetto (ui.perfetto.dev): a file in Chrome's trace format with spans "queue", "prefill" and "decode" a
// request. It can be opened while the server still writes it: the list needs no end.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "base/env.h"
#include "serve/engine.h"

namespace bgl::serve {

class RequestTrace {
 public:
  static Result<std::unique_ptr<RequestTrace>> create(const std::string& path);
  // Writes what is left.
  ~RequestTrace();
  // Any thread. `id` is the answer's, `tokens` of prompt and answer. Writes to the file about every 64 KiB.
  void add(const std::string& id, const std::string& model, const RequestTimes& times, int64_t prompt_tokens, int64_t cached_tokens, int64_t tokens, const char* end);

 private:
  explicit RequestTrace(std::unique_ptr<File> file) : file_(std::move(file)) {}
  void write();

  std::unique_ptr<File> file_;
  std::mutex mutex_;  // guards what follows
  std::string text_ = "[\n";
  bool failed_ = false;
};

}  // namespace bgl::serve
