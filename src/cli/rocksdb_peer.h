// RocksDB as a peer of the lake: one row per file, through its C interface (Debian: librocksdb7.8), opened at run time.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"

namespace bgl::cli {

class RocksDb {
 public:
  virtual ~RocksDb() = default;
  // One write batch, its log synced.
  virtual Status write(const std::vector<std::pair<std::string, std::string_view>>& rows) = 0;
  virtual Result<std::string> get(std::string_view key) = 0;
  // Writes what is in memory to its tables.
  virtual Status flush() = 0;
};

// A store in the new folder `dir`: log on, no compression, 10 bits of Bloom filter a key, reads past the page cache. kNotFound,
// with the package to install, where there is no RocksDB.
Result<std::unique_ptr<RocksDb>> open_rocksdb(const std::string& dir);

}  // namespace bgl::cli
