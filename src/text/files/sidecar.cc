#include "text/files/sidecar.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/hash.h"

namespace bgl::text {
namespace {

using nlohmann::json;

constexpr const char* kFormatName = "bgl files";
constexpr const char* kLockName = "LOCK";  // of whoever writes the folder: it says who did last
constexpr int64_t kHashBytes = 1 << 20;

struct FoundFile {
  std::string name;  // below the folder
  int64_t bytes = 0;
};

Status find_files(Env& env, const std::string& dir, const std::string& below, std::vector<FoundFile>& out) {
  BGL_ASSIGN(const auto entries, env.list_dir(join_path(dir, below)));
  for (const DirEntry& entry : entries) {
    const std::string name = below.empty() ? entry.name : below + "/" + entry.name;
    if (entry.is_dir) {
      BGL_TRY(find_files(env, dir, name, out));
    } else if (name != kSidecarName && entry.name != kLockName) {
      BGL_ASSIGN(const FileStat info, env.stat(join_path(dir, name)));
      out.push_back({name, info.size});
    }
  }
  return {};
}

Result<std::string> hash_file(Env& env, const std::string& path, const std::function<void(int64_t)>& read_bytes) {
  BGL_ASSIGN(auto file, env.open(path, OpenMode::kRead));
  Hasher hasher;
  std::string piece(kHashBytes, '\0');
  for (int64_t at = 0;;) {
    BGL_ASSIGN(const int64_t n, file->pread_into(at, piece.data(), kHashBytes));
    if (n == 0) return hasher.digest128().hex();
    hasher.update({piece.data(), static_cast<size_t>(n)});
    at += n;
    read_bytes(n);
  }
}

// Counts bytes for a listener.
class Counter {
 public:
  Counter(const SidecarProgress& progress, int64_t total) : progress_(progress), total_(total) {}
  void operator()(int64_t bytes) {
    done_ += bytes;
    if (progress_) progress_(done_, total_);
  }

 private:
  const SidecarProgress& progress_;
  int64_t total_, done_ = 0;
};

// Whether a manifest.json is one of ours, damaged or not: a flipped bit leaves two of three marks.
bool looks_like_ours(const std::string& text) {
  for (const char* mark : {"bgl files", "\"xxh3_128\"", "{\"check\":"}) {
    if (text.find(mark) != std::string::npos) return true;
  }
  return false;
}

// The object without its checksum, or why it is not to be trusted.
Result<json> parse_checked(const std::string& path, const std::string& text) {
  const auto damaged = [&] {
    return data_loss("{}: it is damaged; if the files beside it are good, `bgl verify --record {}` writes it anew", path, parent_path(path));
  };
  json j = json::parse(text, nullptr, false);
  if (!j.is_object() || j.value("format", json()) != kFormatName || !j.contains("files") || !j["files"].is_object()) return damaged();
  const json check = j.value("check", json());
  j.erase("check");
  json whole = j;
  try {
    whole["check"] = hash128_hex(j.dump());
    if (check != whole["check"] || text != whole.dump() + "\n") return damaged();
  } catch (const json::exception&) {  // a name that is not UTF-8
    return damaged();
  }
  if (j.value("version", json()) != 1)
    return make_status(Code::kUnimplemented, "{}: version {}; this program reads version 1", path, j.value("version", json()).dump());
  return j;
}

}  // namespace

Result<Sidecar> Sidecar::open(Env& env, const std::string& dir) {
  Sidecar out;
  out.env_ = &env;
  out.dir_ = dir;
  const std::string path = join_path(dir, kSidecarName);
  if (!env.exists(path)) return out;
  BGL_ASSIGN(const std::string text, env.read_file(path));
  if (json::accept(text) && !looks_like_ours(text)) return out;
  BGL_ASSIGN(const json j, parse_checked(path, text));
  out.present_ = true;
  try {
    for (const auto& [name, facts] : j["files"].items()) out.files_[name] = {facts.at("bytes"), facts.at("xxh3_128")};
  } catch (const json::exception&) {
    return data_loss("{}: it is not as bgl writes it", path);
  }
  return out;
}

Status Sidecar::check_one(const std::string& name, const Facts& facts, const std::function<void(int64_t)>& read_bytes) const {
  const std::string path = join_path(dir_, name);
  const auto advice = [&] { return fmt::format("take a good copy; if it was changed on purpose, `bgl verify --record {}`", dir_); };
  const auto info = env_->stat(path);
  if (!info.ok() && info.status().code() == Code::kNotFound) return data_loss("{}: {} names it, and it is gone: {}", path, kSidecarName, advice());
  if (!info.ok()) return info.status();
  if (info->size != facts.bytes)
    return data_loss("{}: it has {} bytes, {} says {}: {}", path, info->size, kSidecarName, facts.bytes, advice());
  BGL_ASSIGN(const std::string hash, hash_file(*env_, path, read_bytes));
  if (hash != facts.hash) return data_loss("{}: its checksum differs from the one in {}: {}", path, kSidecarName, advice());
  return {};
}

Status Sidecar::check(const std::string& file) const {
  const auto it = files_.find(file);
  return it == files_.end() ? Status() : check_one(it->first, it->second, [](int64_t) {});
}

Status Sidecar::check_all(const SidecarProgress& progress) const {
  int64_t total = 0;
  for (const auto& [name, facts] : files_) total += facts.bytes;
  Counter count(progress, total);
  for (const auto& [name, facts] : files_) BGL_TRY(check_one(name, facts, [&](int64_t n) { count(n); }));
  return {};
}

Result<SidecarReport> write_sidecar(Env& env, const std::string& dir, const SidecarProgress& progress) {
  const std::string path = join_path(dir, kSidecarName);
  if (env.exists(path)) {
    BGL_ASSIGN(const std::string text, env.read_file(path));
    if (!looks_like_ours(text))
      return make_status(Code::kAlreadyExists, "{}: another program's, or of shards, which have checksums of their own: it is kept", path);
  }
  std::vector<FoundFile> found;
  BGL_TRY(find_files(env, dir, "", found));
  SidecarReport report{static_cast<int64_t>(found.size()), 0, {}};
  for (const FoundFile& f : found) report.bytes += f.bytes;
  Counter count(progress, report.bytes);
  json files = json::object();
  for (const FoundFile& f : found) {
    BGL_ASSIGN(const std::string hash, hash_file(env, join_path(dir, f.name), [&](int64_t n) { count(n); }));
    files[f.name] = {{"bytes", f.bytes}, {"xxh3_128", hash}};
  }
  json j = {{"format", kFormatName}, {"version", 1}, {"files", std::move(files)}};
  try {
    j["check"] = hash128_hex(j.dump());
    BGL_TRY(env.write_file_atomic(path, j.dump() + "\n"));
  } catch (const json::exception&) {
    return invalid_argument("{} holds a file whose name is not UTF-8; rename it, or keep the folder in a lake", dir);
  }
  return report;
}

Result<SidecarReport> verify_sidecar(Env& env, const std::string& dir, const SidecarProgress& progress) {
  BGL_ASSIGN(const Sidecar sidecar, Sidecar::open(env, dir));
  if (!sidecar.present()) return not_found("{}: it has no {} of ours", dir, kSidecarName);
  BGL_TRY(sidecar.check_all(progress));
  SidecarReport report;
  for (const auto& [name, facts] : sidecar.files_) ++report.files, report.bytes += facts.bytes;
  std::vector<FoundFile> found;
  BGL_TRY(find_files(env, dir, "", found));
  for (const FoundFile& f : found) {
    if (!sidecar.names(f.name)) report.unlisted.push_back(f.name);
  }
  return report;
}

Status check_recorded(Env& env, const std::string& path) {
  BGL_ASSIGN(const Sidecar sidecar, Sidecar::open(env, parent_path(path)));
  return sidecar.check(base_name(path));
}

}  // namespace bgl::text
