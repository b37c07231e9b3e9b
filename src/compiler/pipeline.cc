#include "compiler/pipeline.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>

#include "base/env.h"
#include "compiler/graph_text.h"
#include "compiler/verify.h"

namespace bgl::compiler {
namespace {

constexpr const char* kOptionalPasses[] = {"common", "transpose", "fuse"};

constexpr bool kAlwaysVerify = BGL_ALWAYS_VERIFY;  // in builds of type Debug

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

bool optional_pass(const std::string& name) {
  return std::find(std::begin(kOptionalPasses), std::end(kOptionalPasses), name) != std::end(kOptionalPasses);
}

}  // namespace

Result<Pipeline> Pipeline::create() {
  static std::atomic<int64_t> graphs{0};
  Pipeline p;
  p.number_ = graphs.fetch_add(1);
  const std::string verify = environment("BGL_VERIFY");
  p.verify_ = kAlwaysVerify || (!verify.empty() && verify != "0");
  p.dump_folder_ = environment("BGL_DUMP_GRAPH");
  const std::string skip = environment("BGL_SKIP_PASS");
  for (size_t at = 0; at < skip.size();) {
    const size_t end = std::min(skip.find(',', at), skip.size());
    p.skipped_.push_back(skip.substr(at, end - at));
    at = end + 1;
    if (!optional_pass(p.skipped_.back()))
      return invalid_argument("BGL_SKIP_PASS: there is no optional pass '{}': choose common, transpose, fuse", p.skipped_.back());
  }
  return p;
}

Status Pipeline::run_pass(const char* name, const PassState& state, const std::function<Status()>& pass,
                          const std::function<void()>& instead) {
  BGL_CHECK(optional_pass(name) == (instead != nullptr), "pass {} is {}listed as optional", name, instead ? "not " : "");
  const int64_t start = real_env().now_ns();
  if (std::find(skipped_.begin(), skipped_.end(), name) != skipped_.end()) {
    instead();
  } else {
    BGL_TRY(pass());
  }
  times_.push_back({name, 1e-9 * static_cast<double>(real_env().now_ns() - start)});
  if (!dump_folder_.empty()) BGL_TRY(dump(name, state));
  if (!verify_) return Status();
  Status found = verify(state.graph);
  if (found.ok() && !state.groups.empty()) found = verify(state.graph, state.groups);
  return found.with_context(std::string("after pass ") + name);
}

Status Pipeline::dump(const char* name, const PassState& state) {
  std::string text = graph_text(state.graph, state.groups);
  if (text == dumped_) return Status();
  dumped_ = std::move(text);
  BGL_TRY(real_env().make_dirs(dump_folder_));
  const std::string file = fmt::format("graph-{}-{}-{}.txt", number_, times_.size() - 1, name);
  return real_env().write_file_atomic(join_path(dump_folder_, file), dumped_).with_context("BGL_DUMP_GRAPH");
}

std::string Pipeline::times_text() const {
  std::string text;
  for (const Time& t : times_) text += fmt::format("{}{} {:.2f} ms", text.empty() ? "" : ", ", t.name, 1e3 * t.seconds);
  return text;
}

}  // namespace bgl::compiler
