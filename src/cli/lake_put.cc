// bgl lake put: files, folders, a list of names or a tar stream into a lake.
#include <cstdio>
#include <filesystem>
#include <map>

#include "base/env.h"
#include "base/log.h"
#include "base/progress.h"
#include "cli/lake.h"
#include "text/files/tar.h"

namespace bgl::cli {
namespace {

using storage::Lake;

constexpr int64_t kBatchBytes = 8 << 20;
constexpr int64_t kBatchNs = 1'000'000'000;

// Puts files in batches. The line printed after a commit is the acknowledgement: what it counts survives a kill and a power
// cut.
class Putter {
 public:
  Putter(Lake& lake, std::string lake_dir, int64_t batch_files)
      : lake_(lake), lake_dir_(std::move(lake_dir)), batch_files_(batch_files), progress_("files put", 0) {}

  // A file, or a folder with all below it, under the lake path `name`. A lake does not hold itself.
  Status put_tree(const std::string& path, const std::string& name) {
    Env& env = real_env();
    BGL_ASSIGN(const FileStat info, env.stat(path));
    std::error_code ignored;
    if (info.is_dir && std::filesystem::equivalent(path, lake_dir_, ignored)) {
      log_warn("{} is the lake itself: left out", path);
      return {};
    }
    if (info.is_file) {
      BGL_ASSIGN(const std::string bytes, env.read_file(path));
      return put(name, bytes);
    }
    if (!info.is_dir) {
      log_warn("{} is neither file nor folder: left out", path);
      return {};
    }
    BGL_ASSIGN(const auto entries, env.list_dir(path));
    for (const DirEntry& entry : entries) {
      const std::string below = join_path(path, entry.name);
      const std::string below_name = name.empty() ? entry.name : name + "/" + entry.name;
      const auto what = env.stat(below);
      const bool loop = what.ok() && what.value().is_dir && !entry.is_dir;
      if (!what.ok() || loop) {
        log_warn("{} is a link to {}: left out", below, loop ? "a folder" : "nothing");
        continue;
      }
      BGL_TRY(put_tree(below, below_name));
    }
    return {};
  }

  Status put(const std::string& name, std::string_view bytes) {
    BGL_TRY(lake_.put(name, bytes));
    if (batch_ == 0) batch_start_ns_ = real_env().now_ns();
    ++batch_;
    batch_bytes_ += static_cast<int64_t>(bytes.size());
    bytes_ += static_cast<int64_t>(bytes.size());
    progress_.update(files_ + batch_, human_bytes(static_cast<double>(bytes_)));
    const bool full = batch_ >= batch_files_ || batch_bytes_ >= kBatchBytes;
    return full || real_env().now_ns() - batch_start_ns_ > kBatchNs ? commit() : Status();
  }

  Status commit() {
    if (batch_ == 0) return {};
    BGL_ASSIGN(const auto done, lake_.commit());
    files_ += batch_;
    added_ += done.added;
    replaced_ += done.replaced;
    unchanged_ += done.unchanged;
    const std::string unchanged = done.unchanged > 0 ? fmt::format("; {} were there already", done.unchanged) : "";
    BGL_TRY(write_stdout(fmt::format("committed {} files ({}), {} in all{}\n", batch_,
                                     human_bytes(static_cast<double>(batch_bytes_)), files_, unchanged)));
    if (std::fflush(stdout) != 0) return errno_status(errno, "the acknowledgement cannot be written to stdout");
    batch_ = batch_bytes_ = 0;
    return {};
  }

  Status finish() {
    BGL_TRY(commit());
    progress_.finish(human_bytes(static_cast<double>(bytes_)));
    return write_stdout(fmt::format("{} files: {} added, {} replaced, {} unchanged\n", files_, added_, replaced_, unchanged_));
  }

 private:
  Lake& lake_;
  std::string lake_dir_;
  int64_t batch_files_;
  Progress progress_;
  int64_t batch_ = 0, batch_bytes_ = 0, batch_start_ns_ = 0;
  int64_t files_ = 0, bytes_ = 0, added_ = 0, replaced_ = 0, unchanged_ = 0;
};

// The file of this name, or standard input for "-".
class InputStream {
 public:
  static Result<std::unique_ptr<InputStream>> open(const std::string& name) {
    std::FILE* file = name == "-" ? stdin : std::fopen(name.c_str(), "rb");
    if (!file) return errno_status(errno, "cannot open " + name);
    return std::unique_ptr<InputStream>(new InputStream(file, name == "-" ? "standard input" : name));
  }
  ~InputStream() {
    if (file_ != stdin) std::fclose(file_);
  }
  const std::string& where() const { return where_; }
  // "" at the end.
  Result<std::string> read(size_t limit) {
    std::string bytes(limit, '\0');
    bytes.resize(std::fread(bytes.data(), 1, limit, file_));
    if (std::ferror(file_)) return errno_status(errno, "cannot read " + where_);
    return bytes;
  }

 private:
  InputStream(std::FILE* file, std::string where) : file_(file), where_(std::move(where)) {}
  std::FILE* file_;
  std::string where_;
};

Status put_tar(Putter& putter, const std::string& from) {
  BGL_ASSIGN(auto in, InputStream::open(from));
  text::TarReader tar([&in](size_t limit) { return in->read(limit); }, in->where());
  int64_t left_out = 0;
  while (true) {
    BGL_ASSIGN(const auto entry, tar.next());
    if (!entry) break;
    if (!entry->is_file()) {
      left_out += entry->type != '5';
      continue;
    }
    BGL_ASSIGN(const std::string bytes, tar.content());
    BGL_TRY(putter.put(std::string(without_dot_slash(entry->name)), bytes));
  }
  BGL_ASSIGN(const std::string odd, tar.odd_end());
  if (!odd.empty()) log_warn("{}", odd);
  if (left_out > 0) log_warn("{}: {} links and devices left out", in->where(), left_out);
  return {};
}

}  // namespace

Status each_name(const std::string& from, bool null_ends, const std::function<Status(const std::string&)>& fn) {
  BGL_ASSIGN(auto in, InputStream::open(from));
  const char end = null_ends ? '\0' : '\n';
  std::string name;
  while (true) {
    BGL_ASSIGN(const std::string bytes, in->read(1 << 16));
    if (bytes.empty()) break;
    for (size_t at = 0; at < bytes.size();) {
      const size_t stop = bytes.find(end, at);
      name.append(bytes, at, std::min(stop, bytes.size()) - at);
      if (stop == std::string::npos) break;
      if (!name.empty()) BGL_TRY(fn(name));
      name.clear();
      at = stop + 1;
    }
  }
  return name.empty() ? Status() : fn(name);
}

std::string_view without_dot_slash(std::string_view name) {
  while (name.starts_with("./")) name.remove_prefix(2);
  return name;
}

namespace {

// "." and ".." have no name of their own: what is in them goes to the top of the lake.
std::string name_in_lake(const std::string& source) {
  const std::string name = base_name(source);
  return name == "." || name == ".." || name == "/" ? "" : name;
}

}  // namespace

Status run_lake_put(const LakeArgs& args) {
  if (args.sources.empty() && args.tar.empty() && args.files_from.empty()) {
    return invalid_argument(
        "nothing to put: name files or folders, or --tar FILE, or --files-from FILE (\"-\": standard input)");
  }
  std::map<std::string, std::string> by_name;
  for (const std::string& source : args.sources) {
    const auto [before, fresh] = by_name.emplace(name_in_lake(source), source);
    if (!fresh)
      return invalid_argument("{} and {} would both be \"{}\" in the lake, and one would replace the other's files: put the folder that holds both", before->second, source,
                              before->first);
  }
  BGL_ASSIGN(auto lake, Lake::open(real_env(), args.lake, {.write = true, .create = true}));
  Putter putter(*lake, args.lake, args.batch_files);
  for (const std::string& source : args.sources) BGL_TRY(putter.put_tree(source, name_in_lake(source)));
  if (!args.tar.empty()) BGL_TRY(put_tar(putter, args.tar));
  if (!args.files_from.empty()) {
    BGL_TRY(each_name(args.files_from, args.null_ends, [&putter](const std::string& path) {
      const std::string_view name = without_dot_slash(path);
      return putter.put_tree(path, std::string(name == "." ? "" : name));
    }));
  }
  BGL_TRY(putter.finish());
  // A log's damaged end looks like a torn one; a segment's is damage. So nothing is left in the log after an orderly end.
  BGL_TRY(lake->seal());
  return lake->close();
}

}  // namespace bgl::cli
