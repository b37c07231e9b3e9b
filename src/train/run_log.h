// RUN/log.jsonl: a first line {"machine": ...}, then a line per step and per evaluation. A resumed run cuts the lines that the steps it
// will do again would repeat, so the file reads as one undisturbed run.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/env.h"

namespace bgl::train {

class RunLog {
 public:
  // Keeps the lines of steps before `from_step`; `first_line` is written when the file is new.
  static Result<RunLog> open(const std::string& path, int64_t from_step, const std::string& first_line);
  // `line` is one JSON object without its newline. Reaches the operating system at once, so that a killed run keeps it.
  Status write(const std::string& line);

 private:
  std::unique_ptr<File> file_;
};

// A finished log, for reports.
struct LogPoint {
  int64_t step = 0;
  double loss = 0, lr = 0, tokens_per_s = 0, grad_norm = 0;
};
struct LogEval {
  int64_t step = 0;
  double train_loss = 0, val_loss = 0;
};
struct LogData {
  std::vector<LogPoint> steps;
  std::vector<LogEval> evals;
};
Result<LogData> read_log(const std::string& path);

}  // namespace bgl::train
