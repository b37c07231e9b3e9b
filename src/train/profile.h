// Where a run's time goes, kernel by kernel.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "compiler/executable.h"
#include "lang/measure.h"
#include "report/table.h"

namespace bgl::train {

// While it lives, every kernel of this process is timed. One at a time.
class Profile {
 public:
  Profile();
  ~Profile();
  Profile(const Profile&) = delete;
  Profile& operator=(const Profile&) = delete;
  // A row for every operator or fused group, most time first: launches, seconds, share, GFLOP/s and its share of the peak, GB/s and its
  // share of the bandwidth. Bytes are those that must move at least.
  report::Table table(const lang::Rates& rates) const;

 private:
  struct Row {
    int64_t launches = 0;
    double seconds = 0, flops = 0, bytes = 0;
  };
  std::map<std::string, Row> rows_;
};

}  // namespace bgl::train
