#include "storage/sidecar.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/hash.h"

namespace bgl::storage {
namespace {

using nlohmann::json;

constexpr const char* kFormatName = "bgl files";
constexpr int64_t kReadBytes = 4 << 20;

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
    } else if (name != kSidecarName) {
      BGL_ASSIGN(const FileStat info, env.stat(join_path(dir, name)));
      out.push_back({name, info.size});
    }
  }
  return {};
}

Result<std::string> hash_file(Env& env, const std::string& path, const std::function<void(int64_t)>& read_bytes) {
  BGL_ASSIGN(auto file, env.open(path, OpenMode::kRead));
  Hasher hasher;
  for (int64_t at = 0;;) {
    BGL_ASSIGN(const std::string bytes, file->pread(at, kReadBytes));
    if (bytes.empty()) return hasher.digest128().hex();
    hasher.update(bytes);
    at += static_cast<int64_t>(bytes.size());
    read_bytes(static_cast<int64_t>(bytes.size()));
  }
}

// All files below `dir` with their checksums, as the manifest has them.
Result<json> hash_files(Env& env, const std::string& dir, const SidecarProgress& progress, SidecarReport& report) {
  std::vector<FoundFile> found;
  BGL_TRY(find_files(env, dir, "", found));
  int64_t total = 0, done = 0;
  for (const FoundFile& f : found) total += f.bytes;
  json files = json::object();
  for (const FoundFile& f : found) {
    BGL_ASSIGN(const std::string hash, hash_file(env, join_path(dir, f.name), [&](int64_t bytes) {
                 done += bytes;
                 if (progress) progress(done, total);
               }));
    files[f.name] = {{"bytes", f.bytes}, {"xxh3_128", hash}};
  }
  report = {static_cast<int64_t>(found.size()), total};
  return files;
}

}  // namespace

Result<SidecarReport> write_sidecar(Env& env, const std::string& dir, const SidecarProgress& progress) {
  SidecarReport report;
  BGL_ASSIGN(json files, hash_files(env, dir, progress, report));
  json j = {{"format", kFormatName}, {"version", 1}, {"files", std::move(files)}};
  try {
    j["check"] = hash128_hex(j.dump());
    BGL_TRY(env.write_file_atomic(join_path(dir, kSidecarName), j.dump() + "\n"));
  } catch (const json::exception&) {
    return invalid_argument("{} holds a file whose name is not UTF-8; rename it, or keep the folder in a lake", dir);
  }
  return report;
}

Result<SidecarReport> verify_sidecar(Env& env, const std::string& dir, const SidecarProgress& progress) {
  const std::string path = join_path(dir, kSidecarName);
  BGL_ASSIGN(const std::string text, env.read_file(path));
  json j = json::parse(text, nullptr, false);
  if (!j.is_object() || j.value("format", json()) != kFormatName || !j.contains("files") || !j["files"].is_object()) {
    return data_loss("{}: it is not as bgl writes it", path);
  }
  if (j.value("version", json()) != 1)
    return make_status(Code::kUnimplemented, "{}: version {}; this program reads version 1", path,
                       j.value("version", json()).dump());
  const json check = j.value("check", json());
  j.erase("check");
  const std::string body = j.dump();
  json whole = j;
  whole["check"] = hash128_hex(body);
  if (check != whole["check"] || text != whole.dump() + "\n") return data_loss("{}: its checksum differs", path);
  SidecarReport report;
  BGL_ASSIGN(const json now, hash_files(env, dir, progress, report));
  for (const auto& [name, facts] : j["files"].items()) {
    if (!now.contains(name)) return data_loss("{}: it is gone", join_path(dir, name));
    if (now[name]["bytes"] != facts["bytes"])
      return data_loss("{}: it has {} bytes, {} says {}", join_path(dir, name), now[name]["bytes"].dump(), kSidecarName,
                       facts["bytes"].dump());
    if (now[name] != facts) return data_loss("{}: its checksum differs from the one in {}", join_path(dir, name), kSidecarName);
  }
  for (const auto& [name, facts] : now.items()) {
    if (!j["files"].contains(name)) return data_loss("{}: it is not in {}", join_path(dir, name), kSidecarName);
  }
  return report;
}

}  // namespace bgl::storage
