// bgl lake export: a lake's files as a tar archive or a folder.
#include <cstdio>
#include <optional>

#include "base/env.h"
#include "base/progress.h"
#include "cli/lake.h"
#include "text/files/tar.h"

namespace bgl::cli {
namespace {

using storage::Lake;
using storage::LakeEntry;

constexpr size_t kBatchFiles = 512;

// Why a file of this name would not lie inside the folder it is written to, or unpacked in; nullptr: it does.
const char* escapes(std::string_view name) {
  if (name.find('\0') != std::string_view::npos) return "it holds a zero byte";
  if (name.starts_with('/')) return "it is absolute";
  for (size_t at = 0; at <= name.size();) {
    const size_t end = std::min(name.find('/', at), name.size());
    const std::string_view part = name.substr(at, end - at);
    if (part == "..") return "it goes up with \"..\"";
    if (part == "." || part.empty()) return "it has an empty part or \".\"";
    at = end + 1;
  }
  return nullptr;
}

// Where exported files go. Not thread-safe.
class Target {
 public:
  virtual ~Target() = default;
  virtual Status add(const std::string& name, std::string_view bytes) = 0;
  virtual Status finish() = 0;
};

class TarTarget final : public Target {
 public:
  explicit TarTarget(std::FILE* file, std::string where) : file_(file), where_(std::move(where)) {}
  ~TarTarget() override {
    if (file_ && file_ != stdout) std::fclose(file_);
  }
  Status add(const std::string& name, std::string_view bytes) override {
    const auto size = static_cast<int64_t>(bytes.size());
    BGL_ASSIGN(const std::string header, text::tar_header(name, size));
    BGL_TRY(write(header));
    BGL_TRY(write(bytes));
    return write(text::tar_padding(size));
  }
  Status finish() override {
    BGL_TRY(write(text::tar_end()));
    if (std::fflush(file_) != 0) return errno_status(errno, "cannot write " + where_);
    return {};
  }

 private:
  Status write(std::string_view bytes) {
    if (std::fwrite(bytes.data(), 1, bytes.size(), file_) == bytes.size()) return {};
    return errno_status(errno, "cannot write " + where_);
  }
  std::FILE* file_;
  std::string where_;
};

// A new or empty folder, so that nothing in it, a link least of all, leads a name elsewhere.
class FolderTarget final : public Target {
 public:
  explicit FolderTarget(std::string dir) : dir_(std::move(dir)) {}
  Status add(const std::string& name, std::string_view bytes) override {
    const std::string path = join_path(dir_, name);
    BGL_TRY(real_env().make_dirs(parent_path(path)));
    BGL_ASSIGN(auto file, real_env().open(path, OpenMode::kWrite));
    BGL_TRY(file->append(bytes));
    return file->close();
  }
  Status finish() override { return {}; }

 private:
  std::string dir_;
};

Result<std::unique_ptr<Target>> open_target(const LakeArgs& args) {
  if (args.tar.empty() == args.folder.empty())
    return invalid_argument("name one target: --tar FILE (\"-\": standard output) or --to FOLDER");
  if (!args.folder.empty()) {
    BGL_TRY(real_env().make_dirs(args.folder));
    BGL_ASSIGN(const auto entries, real_env().list_dir(args.folder));
    if (!entries.empty()) return invalid_argument("{} is not empty; name a new or empty folder", args.folder);
    return std::unique_ptr<Target>(std::make_unique<FolderTarget>(args.folder));
  }
  std::FILE* file = args.tar == "-" ? stdout : std::fopen(args.tar.c_str(), "wb");
  if (!file) return errno_status(errno, "cannot write " + args.tar);
  return std::unique_ptr<Target>(std::make_unique<TarTarget>(file, args.tar == "-" ? "standard output" : args.tar));
}

// Writes files in batches of names, read in disk order. A name that would leave the target is left out and told at the end.
class Exporter {
 public:
  Exporter(Lake& lake, Target& target) : lake_(lake), target_(target), progress_("files exported", 0) {}

  Status add(const std::string& name) {
    const char* why = escapes(name);
    if (why && refused_++ == 0) first_refused_ = fmt::format("{}: {}", show(name), why);
    if (why) return {};
    batch_.push_back(name);
    return batch_.size() < kBatchFiles ? Status() : flush();
  }

  Status finish() {
    BGL_TRY(flush());
    BGL_TRY(target_.finish());
    progress_.finish();
    if (missing_ > 0) return not_found("{} of the named files are not in the lake, the first {}", missing_, first_missing_);
    if (refused_ == 0) return {};
    return invalid_argument("{} files were left out because their names lead out of the target, the first {}", refused_,
                            first_refused_);
  }

 private:
  static std::string show(const std::string& name) {
    std::string out;
    for (const char c : name) out += static_cast<unsigned char>(c) < 32 ? '?' : c;
    return '"' + out + '"';
  }
  Status flush() {
    BGL_ASSIGN(const auto contents, lake_.get_many(batch_));
    for (size_t i = 0; i < batch_.size(); ++i) {
      if (!contents[i] && missing_++ == 0) first_missing_ = show(batch_[i]);
      if (!contents[i]) continue;
      BGL_TRY(target_.add(batch_[i], *contents[i]));
      ++files_;
    }
    progress_.update(files_);
    batch_.clear();
    return {};
  }

  Lake& lake_;
  Target& target_;
  Progress progress_;
  std::vector<std::string> batch_;
  int64_t files_ = 0, refused_ = 0, missing_ = 0;
  std::string first_refused_, first_missing_;
};

}  // namespace

Status run_lake_export(const LakeArgs& args) {
  if (!args.files_from.empty() && !args.prefix.empty()) return invalid_argument("--files-from and --prefix both say which files: name one of them");
  BGL_ASSIGN(auto lake, open_to_read(args));
  BGL_ASSIGN(auto target, open_target(args));
  Exporter exporter(*lake, *target);
  const auto add = [&exporter](const std::string& name) { return exporter.add(name); };
  if (!args.files_from.empty()) {
    BGL_TRY(each_name(args.files_from, args.null_ends, [&add](const std::string& name) { return add(std::string(without_dot_slash(name))); }));
  } else {
    BGL_TRY(lake->ls_each(args.prefix, [&add](const LakeEntry& entry) { return add(entry.path); }));
  }
  return exporter.finish();
}

}  // namespace bgl::cli
