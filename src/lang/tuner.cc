#include "lang/tuner.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>
#include <unordered_map>

#include "base/hash.h"
#include "base/log.h"
#include "base/processor.h"
#include "base/status.h"
#include "device/binary_cache.h"
#include "lang/kernel.h"

namespace bgl::lang {
namespace {

// A choice is worth trying when it has been run as often and as long.
constexpr int kColdRuns = 4;
constexpr double kColdSeconds = 0.01;
// A schedule is compared with the general one's run of the same round, for a machine that is shared is slow for a while and then not.
constexpr size_t kRounds = 8;
constexpr size_t kRoundsBefore = 2;  // a schedule may be dropped
constexpr double kHopeless = 1.1;    // times the general one, at its best
constexpr double kWorthIt = 0.98;    // times the general one in the median round, or the general one stays
constexpr size_t kWins = 6;          // rounds that it must be faster in
constexpr double kRestless = 1.25;   // spread of the general one's times, past which nothing is written down

Tuning tuning_of_environment() {
  const char* text = std::getenv("BGL_TUNE");
  const std::string v = text ? text : "";
  if (v == "0") return Tuning::kOff;
  if (v == "every") return Tuning::kEvery;
  if (!v.empty() && v != "1") log_warn("BGL_TUNE is '{}', not 0, 1 or every: ignored", v);
  return Tuning::kOn;
}
std::atomic<Tuning>& tuning_mode() {
  static std::atomic<Tuning> mode{tuning_of_environment()};
  return mode;
}

std::atomic<int> being_tried{0};

struct Choices {
  std::mutex mutex;
  std::unordered_map<std::string, std::unique_ptr<Choice>> by_key;
  std::map<std::string, std::string> kept;  // schedule by key, of this kind of machine
  Choices() {
    for (const Tuned& t : tuned_schedules()) {
      if (t.machine == machine_fingerprint()) kept[t.key] = t.schedule;
    }
  }
};
Choices& choices() {
  static auto* all = new Choices;
  return *all;
}

// One write of one line: processes that share the file do not tear each other's.
void keep(const Tuned& t) {
  const std::string path = tuned_path(), line = to_line(t);
  if (path.empty()) return;
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  const bool good = fd >= 0 && write(fd, line.data(), line.size()) == static_cast<ssize_t>(line.size());
  if (fd >= 0) close(fd);
  static std::atomic<bool> said{false};
  if (!good && !said.exchange(true)) log_warn("chosen schedules are not kept in {}: set BGL_CACHE_DIR", path);
}

}  // namespace

Tuning tuning() { return tuning_mode(); }
void set_tuning(Tuning mode) { tuning_mode() = mode; }

Choice::Choice(std::string key, std::vector<std::string> names) : key_(std::move(key)), names_(std::move(names)), trials_(names_.size()) {}

size_t Choice::next(const std::function<Ready(size_t)>& ready) {
  const Tuning mode = tuning();
  const std::lock_guard lock(mutex_);
  if (mode == Tuning::kOff || names_.size() < 2) return 0;
  if (mode == Tuning::kEvery) {
    const size_t i = turn_++ % names_.size();
    return i == 0 || ready(i) == Ready::kYes ? i : 0;
  }
  if (settled_) return *settled_ == 0 || ready(*settled_) == Ready::kYes ? *settled_ : 0;
  if (!trying_) return 0;
  for (size_t i = 0; i < names_.size(); ++i) {
    Trial& t = trials_[i];
    if (t.out || t.rates.size() > round_) continue;
    const Ready r = i == 0 ? Ready::kYes : ready(i);
    if (r == Ready::kYes) return i;
    t.out = r == Ready::kNever;
  }
  return 0;
}

void Choice::took(size_t i, double seconds, double work) {
  const std::lock_guard lock(mutex_);
  if (settled_ || names_.size() < 2) return;
  if (!trying_) {
    cold_seconds_ += seconds;
    trying_ = ++cold_runs_ >= kColdRuns && cold_seconds_ >= kColdSeconds;
    being_tried += trying_;
    return;
  }
  Trial& t = trials_[i];
  if (t.rates.size() > round_) return;  // the general one, while others are being compiled
  t.rates.push_back(seconds / std::max(work, 1.0));
  close_round();
}

// Of its times to the general one's, ascending.
std::vector<double> Choice::ratios(const Trial& t) const {
  std::vector<double> out;
  for (size_t r = 0; r < t.rates.size(); ++r) out.push_back(t.rates[r] / std::max(trials_[0].rates[r], 1e-300));
  std::sort(out.begin(), out.end());
  return out;
}

// Under the mutex. A round is over when every schedule that is left has had its turn.
void Choice::close_round() {
  const auto waiting = [&](const Trial& t) { return !t.out && t.rates.size() <= round_; };
  if (std::any_of(trials_.begin(), trials_.end(), waiting)) return;
  ++round_;
  for (size_t i = 1; i < trials_.size() && round_ >= kRoundsBefore; ++i) {
    if (!trials_[i].out) trials_[i].out = ratios(trials_[i]).front() > kHopeless;
  }
  const bool alone = std::all_of(trials_.begin() + 1, trials_.end(), [](const Trial& t) { return t.out; });
  if (round_ >= kRounds || alone) settle();
}

// A gain smaller than the spread of the general schedule's own times is noise.
void Choice::settle() {
  std::vector<double> general = trials_[0].rates;
  std::sort(general.begin(), general.end());
  const double spread = general[general.size() * 3 / 4] / std::max(general[general.size() / 4], 1e-300);
  size_t best = 0;
  double least = std::min(kWorthIt, 1 / spread);
  for (size_t i = 1; i < trials_.size(); ++i) {
    if (trials_[i].out) continue;
    const std::vector<double> r = ratios(trials_[i]);
    if (r[r.size() / 2] < least && r[kWins - 1] < 1) best = i, least = r[r.size() / 2];
  }
  settled_ = best;
  --being_tried;
  const Tuned t{machine_fingerprint(), key_, names_[best], best ? 1 / least : 1};
  log_debug("tuned {}: {}, gain {:.3f}, spread {:.2f}", key_, t.schedule, t.gain, spread);
  if (best != 0 || spread < kRestless) keep(t);
}

void Choice::recall(const std::string& name) {
  const std::lock_guard lock(mutex_);
  const auto at = std::find(names_.begin(), names_.end(), name);
  if (at != names_.end()) settled_ = static_cast<size_t>(at - names_.begin());
}

std::optional<size_t> Choice::settled() const {
  const std::lock_guard lock(mutex_);
  return settled_;
}

Choice& choice_for(const std::string& key, const std::vector<std::string>& names) {
  Choices& all = choices();
  const std::lock_guard lock(all.mutex);
  std::unique_ptr<Choice>& choice = all.by_key[key];
  if (!choice) {
    choice = std::make_unique<Choice>(key, names);
    if (const auto kept = all.kept.find(key); kept != all.kept.end()) choice->recall(kept->second);
  }
  BGL_CHECK(choice->names() == names);
  return *choice;
}

int choices_being_tried() { return being_tried; }

std::string to_line(const Tuned& t) {
  const std::string text = fmt::format("{}\t{}\t{}\t{:.4f}\t", t.machine, t.key, t.schedule, t.gain);
  return text + hex64(hash64(text)) + "\n";
}

std::vector<Tuned> parse_tuned(const std::string& text, int* torn) {
  std::vector<Tuned> out;
  std::map<std::pair<std::string, std::string>, size_t> at;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const size_t sum = line.rfind('\t') + 1;
    if (sum == 0 || line.substr(sum) != hex64(hash64(std::string_view(line).substr(0, sum)))) {
      if (torn) ++*torn;
      continue;
    }
    std::istringstream fields(line);
    Tuned t;
    std::string gain;
    std::getline(fields, t.machine, '\t'), std::getline(fields, t.key, '\t'), std::getline(fields, t.schedule, '\t'), std::getline(fields, gain, '\t');
    t.gain = std::strtod(gain.c_str(), nullptr);
    const auto [found, first] = at.try_emplace({t.machine, t.key}, out.size());
    if (first) out.push_back(std::move(t));
    else out[found->second] = std::move(t);
  }
  return out;
}

std::vector<Tuned> tuned_schedules() {
  std::ifstream in(tuned_path());
  std::stringstream text;
  text << in.rdbuf();
  return parse_tuned(text.str());
}

std::string tuned_path() {
  const std::string& folder = device::BinaryCache::shared().folder();
  return folder.empty() ? "" : folder + "/tuned.tsv";
}

const std::string& machine_fingerprint() {
  static const std::string text = [] {
    const MachineInfo& m = machine();
    const Processor& p = processor();
    return fmt::format("{}, {} by {}, {} threads, caches {} and {} KiB", p.name, m.isa, m.engine, m.threads, p.second_cache >> 10, p.last_cache >> 10);
  }();
  return text;
}

}  // namespace bgl::lang
