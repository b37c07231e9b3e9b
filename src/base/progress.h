// A live line for long work. On a terminal it redraws one line; into a file or a pipe it prints a plain line now and then, so
// that logs stay readable. Not thread-safe: one owner.
#pragma once

#include <cstdint>
#include <string>

namespace bgl {

class Progress {
 public:
  // `total` 0: unknown. Writes to stderr.
  Progress(std::string what, int64_t total);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  // Draws when enough time has passed: 0.2 s on a terminal, 10 s elsewhere. `note` follows the bar.
  void update(int64_t done, const std::string& note = {});
  // Ends the line with the final state.
  void finish(const std::string& note = {});

 private:
  void draw(bool last);
  std::string what_;
  std::string note_;
  int64_t total_;
  int64_t done_ = 0;
  int64_t start_ns_;
  int64_t drawn_ns_ = 0;
  bool terminal_;
  bool ended_ = false;
};

// "1 h 02 min", "3 min 20 s", "4.2 s": as a person would say it.
std::string human_duration(double seconds);
// "1.5 GB", "320 kB": powers of ten.
std::string human_bytes(double bytes);

}  // namespace bgl
