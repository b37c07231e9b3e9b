// Objects as files of one folder. An object is written beside its place (KEY.tmp), synced and renamed, so a reader sees it
// whole or not at all; a killed writer leaves at most KEY.tmp, which remove_leftovers() takes away.
#pragma once

#include <memory>
#include <string>

#include "base/env.h"
#include "storage/object_store.h"

namespace bgl::storage {

class DirectoryStore final : public ObjectStore {
 public:
  // `dir` must exist. At most `open_files` files are kept open between reads. `env` must outlive the store.
  DirectoryStore(Env& env, std::string dir, int open_files = 128);
  ~DirectoryStore() override;

  Result<std::unique_ptr<ObjectWriter>> create(const std::string& key) override;
  Result<std::string> get_range(const std::string& key, int64_t offset, int64_t length) override;
  Result<int64_t> size(const std::string& key) override;
  Result<std::vector<ObjectInfo>> list(const std::string& prefix) override;
  Status remove(const std::string& key) override;
  Result<Versioned> read_manifest(const std::string& key) override;
  Result<std::string> swap_manifest(const std::string& key, const std::string& expected, std::string_view bytes) override;

  // Removes what killed writers left in the making. Only while nobody writes.
  Status remove_leftovers();
  const std::string& dir() const { return dir_; }

 private:
  struct OpenFiles;
  Status list_below(const std::string& folder, std::vector<ObjectInfo>& out);
  Env& env_;
  std::string dir_;
  std::unique_ptr<OpenFiles> open_;
};

}  // namespace bgl::storage
