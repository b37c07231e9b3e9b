#include "train/run_log.h"

#include <nlohmann/json.hpp>

namespace bgl::train {
namespace {

using nlohmann::json;

template <typename F>
void for_lines(const std::string& text, F fn) {
  for (size_t at = 0; at < text.size();) {
    const size_t end = text.find('\n', at);
    if (end == std::string::npos) break;  // a line cut off by a kill
    fn(text.substr(at, end - at));
    at = end + 1;
  }
}

}  // namespace

Result<RunLog> RunLog::open(const std::string& path, int64_t from_step, const std::string& first_line) {
  Env& env = real_env();
  std::string kept;
  if (env.exists(path)) {
    BGL_ASSIGN(const std::string text, env.read_file(path));
    for_lines(text, [&](const std::string& line) {
      const json j = json::parse(line, nullptr, false);
      if (!j.is_object()) return;
      if (!j.contains("step") || (j["step"].is_number_integer() && j["step"].get<int64_t>() < from_step)) kept += line + "\n";
    });
  }
  if (kept.empty()) kept = first_line + "\n";
  BGL_TRY(env.write_file_atomic(path, kept));
  RunLog log;
  BGL_ASSIGN(log.file_, env.open(path, OpenMode::kAppend));
  return log;
}

Status RunLog::write(const std::string& line) { return file_->append(line + "\n"); }

Result<LogData> read_log(const std::string& path) {
  BGL_ASSIGN(const std::string text, real_env().read_file(path));
  LogData out;
  for_lines(text, [&](const std::string& line) {
    const json j = json::parse(line, nullptr, false);
    if (!j.is_object() || !j.contains("step")) return;
    auto number = [&](const char* key) { return j.contains(key) && j[key].is_number() ? j[key].get<double>() : 0.0; };
    const auto step = static_cast<int64_t>(number("step"));
    if (j.contains("val_loss") || j.contains("train_loss")) out.evals.push_back({step, number("train_loss"), number("val_loss")});
    if (j.contains("loss")) out.steps.push_back({step, number("loss"), number("lr"), number("tokens_per_s"), number("grad_norm")});
  });
  return out;
}

}  // namespace bgl::train
