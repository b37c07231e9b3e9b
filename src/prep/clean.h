// Reading CLEAN, the folder that run() writes.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/env.h"
#include "base/status.h"

namespace bgl::prep {

struct CleanDocument {
  std::string id, domain, source, licence, title, text;
  bool heldout = false;
};

// The files of documents in order, relative to CLEAN, and the key that names the whole.
struct CleanIndex {
  std::string key;
  std::vector<std::string> files;
  std::vector<std::string> units;  // the key of each file's unit
};
Result<CleanIndex> read_clean_index(Env& env, const std::string& clean);
Result<std::vector<CleanDocument>> read_clean_file(Env& env, const std::string& clean, const std::string& file);
// Every document in order, one file in memory at a time.
Status each_clean_document(Env& env, const std::string& clean, const std::function<Status(const CleanDocument&)>& fn);

}  // namespace bgl::prep
