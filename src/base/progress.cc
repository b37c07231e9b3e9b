#include "base/progress.h"

#include <fmt/format.h>
#include <time.h>
#include <unistd.h>

#include <cstdio>

namespace bgl {
namespace {

int64_t progress_now_ns() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<int64_t>(t.tv_sec) * 1000000000 + t.tv_nsec;
}

}  // namespace

std::string human_duration(double seconds) {
  if (seconds < 0.1) return fmt::format("{:.1f} ms", seconds * 1e3);
  if (seconds < 60) return fmt::format("{:.1f} s", seconds);
  const auto whole = static_cast<int64_t>(seconds);
  if (whole < 3600) return fmt::format("{} min {:02d} s", whole / 60, whole % 60);
  return fmt::format("{} h {:02d} min", whole / 3600, whole / 60 % 60);
}

std::string human_bytes(double bytes) {
  if (bytes < 1000) return fmt::format("{:.0f} B", bytes);
  if (bytes < 1e6) return fmt::format("{:.1f} kB", bytes / 1e3);
  if (bytes < 1e9) return fmt::format("{:.1f} MB", bytes / 1e6);
  return fmt::format("{:.2f} GB", bytes / 1e9);
}

Progress::Progress(std::string what, int64_t total)
    : what_(std::move(what)), total_(total), start_ns_(progress_now_ns()), terminal_(isatty(2) == 1) {}

Progress::~Progress() {
  if (!ended_ && drawn_ns_ != 0) finish();
}

void Progress::update(int64_t done, const std::string& note) {
  done_ = done;
  note_ = note;
  const int64_t now = progress_now_ns();
  const int64_t since = now - (drawn_ns_ ? drawn_ns_ : start_ns_);
  if (since < (terminal_ ? 200'000'000 : 10'000'000'000)) return;
  drawn_ns_ = now;
  draw(false);
}

void Progress::finish(const std::string& note) {
  if (ended_) return;
  if (!note.empty()) note_ = note;
  ended_ = true;
  draw(true);
}

void Progress::draw(bool last) {
  const double elapsed = static_cast<double>(progress_now_ns() - start_ns_) / 1e9;
  std::string line = what_;
  if (total_ > 0) {
    const double share = static_cast<double>(done_) / static_cast<double>(total_);
    line += fmt::format(" {}/{} {:3.0f}%", done_, total_, share * 100);
    if (!last && share > 0) line += fmt::format(", {} left", human_duration(elapsed / share - elapsed));
  } else {
    line += fmt::format(" {}", done_);
  }
  if (last) line += ", took " + human_duration(elapsed);
  if (!note_.empty()) line += "  " + note_;
  if (terminal_) {
    std::fprintf(stderr, "\r\033[K%s%s", line.c_str(), last ? "\n" : "");
  } else {
    std::fprintf(stderr, "%s\n", line.c_str());
  }
  std::fflush(stderr);
}

}  // namespace bgl
