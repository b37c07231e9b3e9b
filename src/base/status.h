// How failures travel. All that can fail from outside returns Status or Result<T>; a code exists only where some caller acts on
// it. Exceptions are for one place only: bgl::Error leaves the Tensor API and the kernel builder, whose operators cannot return
// a Result, and is caught once by train/, serve/, prep/ and turned back into a Status.
#pragma once

#include <fmt/core.h>

#include <exception>
#include <memory>
#include <string>
#include <utility>
#include <variant>

namespace bgl {

enum class Code : unsigned char {
  kOk,
  kInvalidArgument,   // the caller's request is wrong; repeating it cannot help
  kNotFound,          // the named thing does not exist
  kAlreadyExists,     // the named thing exists, or another process owns it
  kDataLoss,          // bytes that were written are not what is read: truncated, flipped, torn
  kResourceExhausted, // memory, disk, queue places: may work later or smaller
  kUnavailable,       // a peer or service does not answer: may work later
  kUnimplemented,     // valid, but not built
  kCancelled,         // the asker left
  kIo,                // the operating system refused
  kInternal,          // our bug
};
const char* code_name(Code code);

// A Status is OK or a code with a message that says what, where and what to do. OK costs a null pointer.
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Code code, std::string message);
  Status(const Status& other);
  Status(Status&&) noexcept = default;
  Status& operator=(const Status& other);
  Status& operator=(Status&&) noexcept = default;

  bool ok() const { return !rep_; }
  Code code() const { return rep_ ? rep_->code : Code::kOk; }
  const std::string& message() const;
  // "invalid argument: ..." as shown to a user.
  std::string to_string() const;
  // The same failure with `context` and ": " before its message; OK stays OK.
  Status with_context(const std::string& context) const;

 private:
  struct Rep {
    Code code;
    std::string message;
  };
  std::unique_ptr<Rep> rep_;
};

template <typename... A>
Status invalid_argument(fmt::format_string<A...> f, A&&... a) {
  return {Code::kInvalidArgument, fmt::format(f, std::forward<A>(a)...)};
}
template <typename... A>
Status not_found(fmt::format_string<A...> f, A&&... a) {
  return {Code::kNotFound, fmt::format(f, std::forward<A>(a)...)};
}
template <typename... A>
Status data_loss(fmt::format_string<A...> f, A&&... a) {
  return {Code::kDataLoss, fmt::format(f, std::forward<A>(a)...)};
}
template <typename... A>
Status make_status(Code code, fmt::format_string<A...> f, A&&... a) {
  return {code, fmt::format(f, std::forward<A>(a)...)};
}
// kIo (or kNotFound, kAlreadyExists, kResourceExhausted where errno says so) with strerror(errno_value) at the end.
Status errno_status(int errno_value, const std::string& what);

// A value or the Status that says why there is none. value() on a failure is our bug and aborts.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Status status) : state_(std::in_place_index<1>, std::move(status)) {}

  bool ok() const { return state_.index() == 0; }
  Status status() const { return ok() ? Status() : std::get<1>(state_); }
  T& value() & { return check(), std::get<0>(state_); }
  const T& value() const& { return check(), std::get<0>(state_); }
  T&& value() && { return check(), std::get<0>(std::move(state_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

 private:
  void check() const;
  std::variant<T, Status> state_;
};

// The one exception type: what a wrong call of the Tensor API or the kernel builder throws, at the call.
class Error : public std::exception {
 public:
  explicit Error(Status status) : status_(std::move(status)), text_(status_.message()) {}
  const char* what() const noexcept override { return text_.c_str(); }
  const Status& status() const { return status_; }

 private:
  Status status_;
  std::string text_;
};

namespace internal {
[[noreturn]] void check_failed(const char* file, int line, const char* expr, const std::string& message);
template <typename... A>
std::string check_message(fmt::format_string<A...> f, A&&... a) {
  return fmt::format(f, std::forward<A>(a)...);
}
inline std::string check_message() { return {}; }
}  // namespace internal

template <typename T>
void Result<T>::check() const {
  if (!ok()) internal::check_failed(__FILE__, __LINE__, "result.ok()", std::get<1>(state_).to_string());
}

}  // namespace bgl

// Our own bug: prints file, line and expression, and aborts. Always on.
#define BGL_CHECK(cond, ...) \
  do { \
    if (!(cond)) [[unlikely]] \
      ::bgl::internal::check_failed(__FILE__, __LINE__, #cond, ::bgl::internal::check_message(__VA_ARGS__)); \
  } while (0)
#ifdef NDEBUG
#define BGL_DCHECK(cond, ...) \
  do { \
  } while (0)
#else
#define BGL_DCHECK(cond, ...) BGL_CHECK(cond __VA_OPT__(, ) __VA_ARGS__)
#endif

// The caller's fault in an API that throws: BGL_REQUIRE(k == l, "[matmul] inner dims {} != {}", k, l).
#define BGL_REQUIRE(cond, ...) \
  do { \
    if (!(cond)) [[unlikely]] throw ::bgl::Error(::bgl::invalid_argument(__VA_ARGS__)); \
  } while (0)

#define BGL_CONCAT_INNER(a, b) a##b
#define BGL_CONCAT(a, b) BGL_CONCAT_INNER(a, b)

// BGL_TRY(f()); returns f's Status to the caller when it failed.
#define BGL_TRY(expr) \
  do { \
    if (::bgl::Status bgl_status_ = (expr); !bgl_status_.ok()) [[unlikely]] return bgl_status_; \
  } while (0)

// BGL_ASSIGN(auto x, f()); takes the value out of f's Result, or returns its Status to the caller.
#define BGL_ASSIGN(decl, expr) BGL_ASSIGN_INNER(BGL_CONCAT(bgl_result_, __COUNTER__), decl, expr)
#define BGL_ASSIGN_INNER(tmp, decl, expr) \
  auto tmp = (expr); \
  if (!tmp.ok()) [[unlikely]] return tmp.status(); \
  decl = std::move(tmp).value()
