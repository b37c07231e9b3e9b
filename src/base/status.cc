#include "base/status.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace bgl {

const char* code_name(Code code) {
  switch (code) {
    case Code::kOk: return "ok";
    case Code::kInvalidArgument: return "invalid argument";
    case Code::kNotFound: return "not found";
    case Code::kAlreadyExists: return "already exists";
    case Code::kDataLoss: return "data loss";
    case Code::kResourceExhausted: return "resource exhausted";
    case Code::kUnavailable: return "unavailable";
    case Code::kUnimplemented: return "not implemented";
    case Code::kCancelled: return "cancelled";
    case Code::kIo: return "input/output error";
    case Code::kInternal: return "internal error";
  }
  return "unknown";
}

Status::Status(Code code, std::string message) {
  if (code != Code::kOk) rep_ = std::make_unique<Rep>(Rep{code, std::move(message)});
}

Status::Status(const Status& other) {
  if (other.rep_) rep_ = std::make_unique<Rep>(*other.rep_);
}

Status& Status::operator=(const Status& other) {
  if (this != &other) rep_ = other.rep_ ? std::make_unique<Rep>(*other.rep_) : nullptr;
  return *this;
}

const std::string& Status::message() const {
  static const std::string empty;
  return rep_ ? rep_->message : empty;
}

std::string Status::to_string() const {
  if (ok()) return "ok";
  return fmt::format("{}: {}", code_name(code()), message());
}

Status Status::with_context(const std::string& context) const {
  if (ok()) return {};
  return {code(), context + ": " + message()};
}

Status errno_status(int errno_value, const std::string& what) {
  Code code = Code::kIo;
  if (errno_value == ENOENT) code = Code::kNotFound;
  if (errno_value == EEXIST) code = Code::kAlreadyExists;
  if (errno_value == ENOSPC || errno_value == ENOMEM || errno_value == EMFILE) code = Code::kResourceExhausted;
  return {code, fmt::format("{}: {}", what, std::strerror(errno_value))};
}

namespace internal {

void check_failed(const char* file, int line, const char* expr, const std::string& message) {
  std::fprintf(stderr, "bgl: internal check failed at %s:%d: %s%s%s\n", file, line, expr, message.empty() ? "" : ": ",
               message.c_str());
  std::abort();
}

}  // namespace internal
}  // namespace bgl
