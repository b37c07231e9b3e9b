#include "storage/lake/internal/lease.h"

#include <algorithm>
#include <charconv>

namespace bgl::storage {
namespace {

constexpr const char* kReadersFolder = "readers";
constexpr std::string_view kLeaseEnd = "end\n";

std::string lease_text(Env& env, std::vector<int64_t> ids) {
  std::sort(ids.begin(), ids.end());
  std::string text = lock_holder_text(env) + "\n";
  for (size_t i = 0; i < ids.size();) {
    size_t last = i;
    while (last + 1 < ids.size() && ids[last + 1] <= ids[last] + 1) ++last;
    text += fmt::format("{}-{} ", ids[i], ids[last]);
    i = last + 1;
  }
  return text + std::string(kLeaseEnd);
}

}  // namespace

Result<std::unique_ptr<ReaderLease>> ReaderLease::take(Env& env, const std::string& dir, std::vector<int64_t> ids) {
  const std::string folder = join_path(dir, kReadersFolder);
  BGL_TRY(env.make_dirs(folder));
  const std::string text = lease_text(env, std::move(ids));
  // A name may be taken by a reader of the same moment, or a writer may look at the file before it is locked.
  for (int tries = 0;; ++tries) {
    const std::string path = join_path(folder, fmt::format("{}-{}-{}", env.process_id(), env.wall_ns(), tries));
    auto lock = env.lock_file(path, text);
    if (lock.ok()) return std::unique_ptr<ReaderLease>(new ReaderLease(env, path, std::move(lock).value()));
    if (lock.status().code() != Code::kAlreadyExists || tries == 100) return lock.status();
  }
}

ReaderLease::~ReaderLease() {
  (void)env_.remove(path_);  // left behind, it is taken away by the next writer
}

Result<Leases> Leases::read(Env& env, const std::string& dir) {
  Leases leases;
  const std::string folder = join_path(dir, kReadersFolder);
  if (!env.exists(folder)) return leases;
  BGL_ASSIGN(const auto entries, env.list_dir(folder));
  for (const DirEntry& entry : entries) {
    const std::string path = join_path(folder, entry.name);
    if (!env.exists(path)) continue;  // its reader has just ended; locking would make it again
    const auto lock = env.lock_file(path, "");
    if (lock.ok()) {
      const Status removed = env.remove(path);
      if (!removed.ok() && removed.code() != Code::kNotFound) return removed;
    } else if (lock.status().code() == Code::kAlreadyExists) {
      const auto text = env.read_file(path);
      if (text.ok()) leases.add(*text);  // else its reader has just ended
    } else {
      return lock.status();
    }
  }
  return leases;
}

void Leases::add(const std::string& text) {
  const size_t line_end = text.find('\n');
  if (line_end == std::string::npos || !text.ends_with(kLeaseEnd)) {
    need_all_ = true;
    return;
  }
  holders_.push_back(text.substr(0, line_end));
  const char* at = text.data() + line_end + 1;
  const char* const end = text.data() + text.size() - kLeaseEnd.size();
  while (at < end) {
    std::pair<int64_t, int64_t> range;
    const auto first = std::from_chars(at, end, range.first);
    const auto last = std::from_chars(std::min(first.ptr + 1, end), end, range.second);
    if (first.ec != std::errc() || last.ec != std::errc()) {
      need_all_ = true;
      return;
    }
    ranges_.push_back(range);
    at = last.ptr + 1;
  }
}

bool Leases::need(int64_t id) const {
  return need_all_ ||
         std::any_of(ranges_.begin(), ranges_.end(), [id](const auto& r) { return r.first <= id && id <= r.second; });
}

}  // namespace bgl::storage
