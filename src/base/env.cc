#include "base/env.h"

namespace bgl {
namespace {

constexpr int64_t kNsPerSecond = 1'000'000'000;
constexpr int64_t kSecondsPerDay = 86400;

struct Date {
  int64_t year;
  int month;
  int day;
};

// Days since 1970-01-01 to a Gregorian date (Hinnant, "chrono-compatible low-level date algorithms"); years start in March so
// that the leap day comes last.
Date date_of_days(int64_t days) {
  days += 719468;
  const int64_t era = (days >= 0 ? days : days - 146096) / 146097;
  const int64_t doe = days - era * 146097;
  const int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
  const int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
  const int64_t shifted = (5 * doy + 2) / 153;
  const int month = static_cast<int>(shifted < 10 ? shifted + 3 : shifted - 9);
  return {yoe + era * 400 + (month <= 2), month, static_cast<int>(doy - (153 * shifted + 2) / 5 + 1)};
}

}  // namespace

Result<std::string> Env::read_file(const std::string& path) {
  BGL_ASSIGN(auto file, open(path, OpenMode::kRead));
  BGL_ASSIGN(int64_t size, file->size());
  BGL_ASSIGN(auto bytes, file->pread(0, size));
  // Files such as /proc/* tell no size, and a file may grow: read on until its end.
  while (true) {
    BGL_ASSIGN(auto more, file->pread(static_cast<int64_t>(bytes.size()), 65536));
    if (more.empty()) return bytes;
    bytes += more;
  }
}

Status Env::write_file_atomic(const std::string& path, std::string_view bytes) {
  // A pipe or a device is written to, and not replaced by a file.
  const auto there = stat(path);
  if (there.ok() && !there->is_file && !there->is_dir) {
    BGL_ASSIGN(auto file, open(path, OpenMode::kWrite));
    BGL_TRY(file->append(bytes));
    return file->close();
  }
  const std::string tmp = path + ".tmp";
  {
    BGL_ASSIGN(auto file, open(tmp, OpenMode::kWrite));
    BGL_TRY(file->append(bytes));
    BGL_TRY(file->sync());
    BGL_TRY(file->close());
  }
  BGL_TRY(rename(tmp, path));
  return sync_dir(parent_path(path));
}

Status Env::make_dirs_synced(const std::string& path) {
  std::vector<std::string> holders;
  for (std::string at = path; stat(at).status().code() == Code::kNotFound;) {
    at = parent_path(at);
    holders.push_back(at);
  }
  BGL_TRY(make_dirs(path));
  while (!holders.empty()) {
    BGL_TRY(sync_dir(holders.back()));
    holders.pop_back();
  }
  return {};
}

bool Env::exists(const std::string& path) { return stat(path).ok(); }

Status Env::remove_all(const std::string& path) {
  auto info = stat(path);
  if (!info.ok()) return info.status().code() == Code::kNotFound ? Status() : info.status();
  if (info->is_dir) {
    BGL_ASSIGN(auto entries, list_dir(path));
    for (const DirEntry& entry : entries) {
      // A link to a folder is removed, not followed: list_dir() says is_dir only for true folders.
      const std::string below = join_path(path, entry.name);
      if (entry.is_dir) {
        BGL_TRY(remove_all(below));
      } else {
        BGL_TRY(remove(below));
      }
    }
  }
  return remove(path);
}

std::string join_path(std::string_view dir, std::string_view name) {
  if (dir.empty() || (!name.empty() && name[0] == '/')) return std::string(name);
  std::string path(dir);
  if (path.back() != '/') path += '/';
  return path += name;
}

std::string parent_path(std::string_view path) {
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  const size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return ".";
  return std::string(path.substr(0, slash == 0 ? 1 : slash));
}

std::string base_name(std::string_view path) {
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  const size_t slash = path.rfind('/');
  return std::string(slash == std::string_view::npos || path.size() == 1 ? path : path.substr(slash + 1));
}

std::string format_time(int64_t wall_ns) {
  int64_t seconds = wall_ns / kNsPerSecond - (wall_ns % kNsPerSecond < 0);
  int64_t days = seconds / kSecondsPerDay - (seconds % kSecondsPerDay < 0);
  seconds -= days * kSecondsPerDay;
  const Date date = date_of_days(days);
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02}", date.year, date.month, date.day, seconds / 3600, seconds / 60 % 60,
                     seconds % 60);
}

std::string lock_holder_text(Env& env) {
  return fmt::format("pid {} (since {})", env.process_id(), format_time(env.wall_ns()));
}

}  // namespace bgl
