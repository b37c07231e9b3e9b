#include "train/report.h"

#include "base/env.h"
#include "train/run_log.h"

namespace bgl::train {
namespace {

// At most `most` points, each the mean of its neighbours, so that a long run stays readable.
report::PlotSeries series_of(const std::string& name, const std::vector<LogPoint>& points, double LogPoint::* value, size_t most = 400) {
  report::PlotSeries s{name, {}, {}};
  const size_t per = std::max<size_t>(1, points.size() / most);
  for (size_t i = 0; i < points.size(); i += per) {
    const size_t end = std::min(points.size(), i + per);
    double sum = 0;
    for (size_t k = i; k < end; ++k) sum += points[k].*value;
    s.x.push_back(static_cast<double>(points[i].step));
    s.y.push_back(sum / static_cast<double>(end - i));
  }
  return s;
}

}  // namespace

Status add_run_plots(report::Page& page, const std::string& log_path) {
  BGL_ASSIGN(const LogData log, read_log(log_path));
  report::PlotSeries train{"training part", {}, {}, true}, val{"held-out part", {}, {}, true};
  for (const LogEval& e : log.evals) {
    train.x.push_back(static_cast<double>(e.step));
    train.y.push_back(e.train_loss);
    if (e.val_loss <= 0) continue;
    val.x.push_back(static_cast<double>(e.step));
    val.y.push_back(e.val_loss);
  }
  page.plot(std::vector{series_of("each step", log.steps, &LogPoint::loss), train, val}, {.title = "loss", .x_label = "step", .y_label = "nats a token"});
  page.plot(std::vector{series_of("learning rate", log.steps, &LogPoint::lr)}, {.title = "learning rate", .x_label = "step"});
  page.plot(std::vector{series_of("gradient norm", log.steps, &LogPoint::grad_norm)}, {.title = "gradient norm before clipping", .x_label = "step"});
  page.plot(std::vector{series_of("tokens/s", log.steps, &LogPoint::tokens_per_s)}, {.title = "throughput", .x_label = "step", .y_label = "tokens/s"});
  return Status();
}

Status write_report(const std::string& run_dir, const std::string& name) {
  Env& env = real_env();
  report::Page page("Training of " + name);
  BGL_TRY(add_run_plots(page, join_path(run_dir, "log.jsonl")));
  page.heading("Configuration");
  BGL_ASSIGN(const std::string config, env.read_file(join_path(run_dir, "config.toml")));
  page.preformatted(config);
  return env.write_file_atomic(join_path(run_dir, "report.html"), page.html());
}

}  // namespace bgl::train
