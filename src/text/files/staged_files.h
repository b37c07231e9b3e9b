// Files that replace those of a folder together. They are written into DIR/.partial, where a full disk or a killed process costs nothing;
// publish() gives them their checksums (sidecar.h) and renames them into place, the manifest last. A process that ends among the renames
// leaves files that the old manifest does not fit, which every reader finds.
#pragma once

#include <string>
#include <vector>

#include "base/env.h"

namespace bgl::text {

class StagedFiles {
 public:
  // Makes DIR and the folder inside it, empty: what a killed writer left goes. One writer a folder at a time.
  static Result<StagedFiles> begin(Env& env, const std::string& dir);
  // Takes the folder away.
  ~StagedFiles();
  StagedFiles(StagedFiles&& other) noexcept;
  StagedFiles& operator=(StagedFiles&&) = delete;

  // Where to write; no folders in it. Every file must be synced (AtomicFile, Env::write_file_atomic).
  const std::string& path() const { return stage_; }
  // Files of DIR that go with the change, those that are not there left out.
  void replaces(std::vector<std::string> names) { replaced_ = std::move(names); }
  // Until its renames nothing of DIR is touched.
  Status publish();

 private:
  StagedFiles(Env& env, std::string dir, std::string stage) : env_(&env), dir_(std::move(dir)), stage_(std::move(stage)) {}
  Env* env_;
  std::string dir_, stage_;
  std::vector<std::string> replaced_;
};

}  // namespace bgl::text
