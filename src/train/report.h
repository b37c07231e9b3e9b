// RUN/report.html: what a run did, as plots.
#pragma once

#include <string>

#include "base/status.h"
#include "report/page.h"

namespace bgl::train {

// Adds loss, learning rate, gradient norm and throughput of the log as plots.
Status add_run_plots(report::Page& page, const std::string& log_path);
Status write_report(const std::string& run_dir, const std::string& name);

}  // namespace bgl::train
