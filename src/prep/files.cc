#include "prep/files.h"

#include "base/hash.h"
#include "storage/lake/lake.h"

namespace bgl::prep {
namespace {

class LakeFiles final : public FileSource {
 public:
  explicit LakeFiles(std::unique_ptr<storage::Lake> lake) : lake_(std::move(lake)) {}
  Result<std::vector<FileEntry>> list() override {
    std::vector<FileEntry> out;
    BGL_TRY(lake_->ls_each({}, [&](const storage::LakeEntry& entry) -> Status {
      out.push_back({entry.path, entry.bytes, entry.hash});
      return {};
    }));
    return out;
  }
  Result<std::string> get(const std::string& path) override { return lake_->get(path); }
  Result<std::unique_ptr<text::ByteStream>> open(const std::string& path) override {
    BGL_ASSIGN(std::string bytes, lake_->get(path));
    return text::string_stream(std::move(bytes));
  }
  int64_t open_bytes_max() const override { return int64_t{1} << 30; }

 private:
  std::unique_ptr<storage::Lake> lake_;
};

class FolderFiles final : public FileSource {
 public:
  FolderFiles(Env& env, std::string dir) : env_(env), dir_(std::move(dir)) {}
  Result<std::vector<FileEntry>> list() override {
    std::vector<FileEntry> out;
    BGL_TRY(walk("", out));
    return out;
  }
  Result<std::string> get(const std::string& path) override { return env_.read_file(join_path(dir_, path)); }
  Result<std::unique_ptr<text::ByteStream>> open(const std::string& path) override {
    BGL_ASSIGN(std::unique_ptr<File> file, env_.open(join_path(dir_, path), OpenMode::kRead));
    return text::file_stream(std::move(file));
  }

 private:
  Status walk(const std::string& below, std::vector<FileEntry>& out) {
    BGL_ASSIGN(const std::vector<DirEntry> entries, env_.list_dir(below.empty() ? dir_ : join_path(dir_, below)));
    for (const DirEntry& entry : entries) {
      const std::string path = below.empty() ? entry.name : below + "/" + entry.name;
      if (entry.is_dir) {
        BGL_TRY(walk(path, out));
        continue;
      }
      const Result<FileStat> info = env_.stat(join_path(dir_, path));
      if (!info.ok() && info.status().code() == Code::kNotFound) continue;  // a link to nowhere
      if (!info.ok()) return info.status();
      if (!info->is_file) continue;  // a device or a socket holds no document
      BGL_ASSIGN(FileEntry file, hashed(path));
      out.push_back(std::move(file));
    }
    return {};
  }
  Result<FileEntry> hashed(const std::string& path) {
    BGL_ASSIGN(const auto stream, open(path));
    Hasher hasher;
    FileEntry out{path, 0, {}};
    std::string piece(1 << 20, '\0');
    for (;;) {
      BGL_ASSIGN(const int64_t n, stream->read(piece.data(), static_cast<int64_t>(piece.size())));
      if (n == 0) break;
      hasher.update(std::string_view(piece).substr(0, static_cast<size_t>(n)));
      out.bytes += n;
    }
    out.hash = hasher.digest128().hex();
    return out;
  }

  Env& env_;
  std::string dir_;
};

}  // namespace

Result<std::unique_ptr<FileSource>> open_files(Env& env, const std::string& dir) {
  Result<std::unique_ptr<storage::Lake>> lake = storage::Lake::open(env, dir, {});
  if (lake.ok()) return std::unique_ptr<FileSource>(new LakeFiles(std::move(*lake)));
  if (lake.status().code() != Code::kNotFound || !env.exists(dir)) return lake.status();
  return std::unique_ptr<FileSource>(new FolderFiles(env, dir));
}

}  // namespace bgl::prep
