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
  struct File {
    std::string file;
    std::string unit;  // the key of its unit
    int64_t documents = 0;
  };
  std::string key;
  std::vector<File> files;
};
Result<CleanIndex> read_clean_index(Env& env, const std::string& clean);
// Every document of one file, or of all, in order; one is in memory at a time. kDataLoss says how a damaged file, or one that holds another
// number of documents than the summary says, is made again.
Status each_clean_document(Env& env, const std::string& clean, const CleanIndex::File& file,
                           const std::function<Status(const CleanDocument&)>& fn);
Status each_clean_document(Env& env, const std::string& clean, const std::function<Status(const CleanDocument&)>& fn);

}  // namespace bgl::prep
