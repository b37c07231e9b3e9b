#include "text/documents/limits.h"

#include <time.h>

#include <algorithm>

namespace bgl::text {
namespace {

int64_t thread_ns() {
  timespec t{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return int64_t{t.tv_sec} * 1000000000 + t.tv_nsec;
}

}  // namespace

Budget::Budget(const ReadLimits& limits)
    : limits_(limits), end_ns_(thread_ns() + static_cast<int64_t>(std::min(limits.seconds, 1e6) * 1e9)) {}

bool Budget::in_time() {
  late_ = late_ || thread_ns() > end_ns_;
  return !late_;
}

Status Budget::status() const {
  if (nodes_ > limits_.nodes)
    return make_status(Code::kResourceExhausted, "more than {} elements, attributes and texts", limits_.nodes);
  if (depth_ > limits_.depth) return make_status(Code::kResourceExhausted, "elements nest deeper than {}", limits_.depth);
  if (late_) return make_status(Code::kResourceExhausted, "takes longer than {:g} seconds", limits_.seconds);
  return {};
}

}  // namespace bgl::text
