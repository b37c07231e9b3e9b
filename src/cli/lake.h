// What the verbs of `bgl lake` share; lake.cc lists them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "storage/lake/lake.h"

namespace bgl::cli {

struct LakeArgs {
  std::string lake;
  std::vector<std::string> sources;  // of put; paths in the lake elsewhere
  std::string tar;
  std::string folder;
  std::string files_from;
  std::string path;
  std::string prefix;
  std::string name;
  std::string snapshot;
  int64_t batch_files = 1024;
  int64_t count = 10;
  int64_t seed = 1;
  int64_t runs = 1;
  bool json = false;
  bool long_lines = false;
  bool null_ends = false;
  bool force = false;
};

Status write_stdout(std::string_view bytes);
Result<std::unique_ptr<storage::Lake>> open_to_read(const LakeArgs& args);
// "a/b" of "./a/b", as find prints it.
std::string_view without_dot_slash(std::string_view name);
// The names in the file `from` ("-": standard input), each ending with a line end, or with a zero byte if `null_ends`.
Status each_name(const std::string& from, bool null_ends, const std::function<Status(const std::string& name)>& fn);

// lake_put.cc
Status run_lake_put(const LakeArgs& args);
// lake_export.cc
Status run_lake_export(const LakeArgs& args);

}  // namespace bgl::cli
