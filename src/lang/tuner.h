// Which of several schedules a computation takes, decided by timing them where they are used.
//
// All schedules of a choice compute the same bits (ARCHITECTURE.md, "Numbers and order"), so the runs that are needed anyway are the
// measurements: a choice that has been run often enough to matter gives its schedules turns, drops the slow ones, keeps the best and
// writes it to $BGL_CACHE_DIR/tuned.tsv, where the next process finds it. Until then, and while a schedule's kernel is still being
// compiled in the background, the general schedule serves.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace bgl::lang {

enum class Tuning : uint8_t {
  kOff,    // always the general schedule
  kOn,     // as above
  kEvery,  // all schedules in turn, compiled when they are needed: for tests
};
// BGL_TUNE=0|1|every, 1 by default.
Tuning tuning();
void set_tuning(Tuning mode);

// One decision. Thread-safe; schedule 0 is the general one.
class Choice {
 public:
  Choice(std::string key, std::vector<std::string> names);

  enum class Ready : uint8_t { kYes, kNotYet, kNever };
  // The schedule of the next run. ready(i): whether i can run now; one that never can is dropped.
  size_t next(const std::function<Ready(size_t)>& ready);
  // Schedule i ran for `seconds`, over `work` units of what makes runs of different sizes comparable (flops, say).
  void took(size_t i, double seconds, double work);
  // Settles on the schedule of that name, where there is one.
  void recall(const std::string& name);
  std::optional<size_t> settled() const;
  const std::vector<std::string>& names() const { return names_; }

 private:
  struct Trial {
    std::vector<double> rates;  // seconds per unit of work, of each round
    bool out = false;
  };
  std::vector<double> ratios(const Trial& t) const;
  void close_round();
  void settle();

  const std::string key_;
  const std::vector<std::string> names_;
  mutable std::mutex mutex_;
  std::vector<Trial> trials_;
  std::optional<size_t> settled_;
  bool trying_ = false;
  int cold_runs_ = 0;
  size_t round_ = 0;
  double cold_seconds_ = 0;
  size_t turn_ = 0;
};

// The process's choice of that name, settled if this kind of machine has settled it before. The same key always comes with the
// same names.
Choice& choice_for(const std::string& key, const std::vector<std::string>& names);

// Choices that are giving their schedules turns now; a benchmark warms up until there are none.
int choices_being_tried();

// A line of the database.
struct Tuned {
  std::string machine, key, schedule;
  double gain = 1;  // the general schedule's seconds over this one's: the median of rounds
};
// The file as text and back, each line with its checksum. Torn lines are left out and counted; of equal machine and key the last one counts.
std::string to_line(const Tuned& t);
std::vector<Tuned> parse_tuned(const std::string& text, int* torn = nullptr);
// What $BGL_CACHE_DIR/tuned.tsv holds now, and what this machine is called in it.
std::vector<Tuned> tuned_schedules();
std::string tuned_path();
const std::string& machine_fingerprint();

}  // namespace bgl::lang
