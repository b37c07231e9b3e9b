#include "serve/request_trace.h"

#include <nlohmann/json.hpp>

#include "base/log.h"

namespace bgl::serve {

Result<std::unique_ptr<RequestTrace>> RequestTrace::create(const std::string& path) {
  BGL_ASSIGN(auto file, real_env().open(path, OpenMode::kWrite));
  return std::unique_ptr<RequestTrace>(new RequestTrace(std::move(file)));
}
RequestTrace::~RequestTrace() { write(); }

void RequestTrace::add(const std::string& id, const std::string& model, const RequestTimes& t, int64_t prompt_tokens, int64_t cached_tokens, int64_t tokens, const char* end) {
  std::string lines;
  // An asynchronous span: requests overlap, each has a track of its own. Microseconds.
  const auto span = [&](const char* name, double from, double to, nlohmann::json arguments) {
    if (from <= 0 || to < from) return;
    nlohmann::json event = {{"name", name}, {"cat", model}, {"id", id}, {"pid", 1}, {"tid", 1}, {"ph", "b"}, {"ts", from * 1e6}, {"args", std::move(arguments)}};
    lines += event.dump() + ",\n";
    event["ph"] = "e";
    event["ts"] = to * 1e6;
    event.erase("args");
    lines += event.dump() + ",\n";
  };
  const double admitted = t.admitted > 0 ? t.admitted : t.ended, first = t.first_token > 0 ? t.first_token : t.ended;
  span("request", t.submitted, t.ended, {{"end", end}});
  span("queue", t.submitted, admitted, nlohmann::json::object());
  span("prefill", t.admitted, first, {{"prompt_tokens", prompt_tokens}, {"cached_tokens", cached_tokens}});
  span("decode", t.first_token, t.ended, {{"tokens", tokens}});
  const std::lock_guard lock(mutex_);
  text_ += lines;
  if (text_.size() > 65536) write();
}

void RequestTrace::write() {
  const Status s = failed_ ? Status() : file_->append(text_);
  text_.clear();
  if (s.ok()) return;
  failed_ = true;
  log_warn("the trace of requests ends here: {}", s.message());
}

}  // namespace bgl::serve
