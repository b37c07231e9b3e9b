#include "memory/plan.h"

#include <algorithm>
#include <limits>
#include <numeric>

namespace bgl::memory {
namespace {

struct Block {
  int64_t begin = 0;
  int64_t end = 0;
  uint64_t size = 0;  // aligned
  size_t index = 0;   // in the caller's list
};
using Order = std::vector<uint32_t>;

struct Layout {
  std::vector<uint64_t> offsets;  // by block
  uint64_t peak = std::numeric_limits<uint64_t>::max();
};

uint64_t most_alive(const std::vector<Block>& blocks) {
  std::vector<std::pair<int64_t, int64_t>> events;  // frees of a step sort before its allocations
  for (const Block& b : blocks) {
    events.emplace_back(b.begin, static_cast<int64_t>(b.size));
    events.emplace_back(b.end, -static_cast<int64_t>(b.size));
  }
  std::sort(events.begin(), events.end());
  int64_t now = 0, most = 0;
  for (const auto& [time, bytes] : events) most = std::max(most, now += bytes);
  return static_cast<uint64_t>(most);
}

// Places the blocks in `order`, each into the smallest hole between the blocks of its time that holds it (`best`) or the lowest
// one. Gives up as soon as the peak reaches `limit`.
Layout place_in_order(const std::vector<Block>& blocks, const Order& order, bool best, uint64_t limit) {
  struct Time {
    int64_t begin, end;
  };
  struct Room {
    uint64_t low, high;
  };
  std::vector<Time> times;  // both by `low`; apart, because most blocks are passed over by their time alone
  std::vector<Room> rooms;
  times.reserve(blocks.size()), rooms.reserve(blocks.size());
  Layout out{std::vector<uint64_t>(blocks.size()), 0};
  for (const uint32_t id : order) {
    const Block& b = blocks[id];
    uint64_t top = 0, at = 0, room = std::numeric_limits<uint64_t>::max();
    bool found = false;
    for (size_t i = 0; i < times.size(); ++i) {
      if (static_cast<int>(times[i].begin >= b.end) | static_cast<int>(times[i].end <= b.begin)) continue;  // one branch
      const Room p = rooms[i];
      if (p.low >= top + b.size && p.low - top < room) {
        at = top, room = p.low - top, found = true;
        if (!best) break;
      }
      top = std::max(top, p.high);
    }
    if (!found) at = top;
    out.offsets[id] = at;
    out.peak = std::max(out.peak, at + b.size);
    if (out.peak >= limit) return {{}, limit};
    const auto after = std::upper_bound(rooms.begin(), rooms.end(), at, [](uint64_t x, const Room& p) { return x < p.low; });
    times.insert(times.begin() + (after - rooms.begin()), {b.begin, b.end});
    rooms.insert(after, {at, at + b.size});
  }
  return out;
}

// Strip packing from below: time is the floor, and into its lowest stretch goes the longest-living block that fits; where none
// fits the stretch is raised to its lower neighbour. Good where lifetimes nest, as forward values do around their backward.
Layout place_skyline(const std::vector<Block>& blocks, uint64_t limit) {
  struct Stretch {
    int64_t begin, end;
    uint64_t height;
  };
  int64_t first = blocks[0].begin, last = blocks[0].end;
  for (const Block& b : blocks) first = std::min(first, b.begin), last = std::max(last, b.end);
  Order left(blocks.size());  // the longest first
  std::iota(left.begin(), left.end(), 0u);
  std::stable_sort(left.begin(), left.end(), [&](uint32_t x, uint32_t y) {
    const int64_t a = blocks[x].end - blocks[x].begin, b = blocks[y].end - blocks[y].begin;
    return a != b ? a > b : blocks[x].size > blocks[y].size;
  });
  std::vector<Stretch> line{{first, last, 0}};
  Layout out{std::vector<uint64_t>(blocks.size()), 0};
  while (!left.empty()) {
    size_t low = 0;
    for (size_t i = 1; i < line.size(); ++i) {
      if (line[i].height < line[low].height) low = i;
    }
    const Stretch s = line[low];
    const auto fit = std::find_if(left.begin(), left.end(),
                                  [&](uint32_t id) { return blocks[id].begin >= s.begin && blocks[id].end <= s.end; });
    if (fit == left.end()) {
      const uint64_t before = low > 0 ? line[low - 1].height : std::numeric_limits<uint64_t>::max();
      const uint64_t after = low + 1 < line.size() ? line[low + 1].height : std::numeric_limits<uint64_t>::max();
      line[low].height = std::min(before, after);
      if (after == line[low].height)
        line[low].end = line[low + 1].end, line.erase(line.begin() + static_cast<ptrdiff_t>(low) + 1);
      if (before == line[low].height) line[low - 1].end = line[low].end, line.erase(line.begin() + static_cast<ptrdiff_t>(low));
      continue;
    }
    const Block& b = blocks[*fit];
    out.offsets[*fit] = s.height;
    out.peak = std::max(out.peak, s.height + b.size);
    if (out.peak >= limit) return {{}, limit};
    left.erase(fit);
    std::vector<Stretch> pieces;
    if (s.begin < b.begin) pieces.push_back({s.begin, b.begin, s.height});
    pieces.push_back({b.begin, b.end, s.height + b.size});
    if (b.end < s.end) pieces.push_back({b.end, s.end, s.height});
    line[low] = pieces[0];
    line.insert(line.begin() + static_cast<ptrdiff_t>(low) + 1, pieces.begin() + 1, pieces.end());
  }
  return out;
}

template <typename Key>
Order sorted_by(const std::vector<Block>& blocks, Key key) {
  Order order(blocks.size());
  std::iota(order.begin(), order.end(), 0u);
  std::stable_sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) { return key(blocks[a]) > key(blocks[b]); });
  return order;
}

// Hill climbing on the order: a block that touches the peak is placed earlier, before one of those below it.
void refine(const std::vector<Block>& blocks, Order order, uint64_t bound, int rounds, Layout& best) {
  uint64_t random = 0x9e3779b97f4a7c15ull;
  auto draw = [&random](size_t n) {
    random = random * 6364136223846793005ull + 1442695040888963407ull;
    return static_cast<size_t>((random >> 33) % n);
  };
  std::vector<size_t> high;
  for (int round = 0; round < rounds && best.peak > bound; ++round) {
    high.clear();
    for (size_t i = 1; i < order.size(); ++i) {
      if (best.offsets[order[i]] + blocks[order[i]].size == best.peak) high.push_back(i);
    }
    Order trial = order;
    size_t from = high.empty() || draw(4) == 0 ? draw(order.size()) : high[draw(high.size())];
    const size_t to = draw(from + 1);
    std::rotate(trial.begin() + static_cast<ptrdiff_t>(to), trial.begin() + static_cast<ptrdiff_t>(from),
                trial.begin() + static_cast<ptrdiff_t>(from) + 1);
    Layout layout = place_in_order(blocks, trial, draw(2) == 0, best.peak + 1);
    if (layout.offsets.empty()) continue;
    best = std::move(layout), order = std::move(trial);  // an equal peak is taken too: it leaves plateaus
  }
}

}  // namespace

Plan plan_memory(std::span<const Interval> intervals) {
  Plan plan;
  plan.offsets.assign(intervals.size(), 0);
  std::vector<Block> blocks;
  for (size_t i = 0; i < intervals.size(); ++i) {
    const Interval& v = intervals[i];
    const uint64_t size = (v.bytes + kPlanAlignment - 1) / kPlanAlignment * kPlanAlignment;
    if (size != 0 && v.begin < v.end) blocks.push_back({v.begin, v.end, size, i});
  }
  if (blocks.empty()) return plan;
  plan.lower_bound = most_alive(blocks);

  using Key = std::pair<double, double>;
  auto length = [](const Block& b) { return static_cast<double>(b.end - b.begin); };
  auto size = [](const Block& b) { return static_cast<double>(b.size); };
  const Order orders[] = {sorted_by(blocks, [&](const Block& b) { return Key(size(b), length(b)); }),
                          sorted_by(blocks, [&](const Block& b) { return Key(length(b), size(b)); }),
                          sorted_by(blocks, [&](const Block& b) { return Key(size(b) * length(b), size(b)); })};
  // Plans of large graphs stop at 0.2 % above the bound; small ones are cheap to take all the way.
  const uint64_t good_enough = plan.lower_bound + (blocks.size() > 1000 ? plan.lower_bound / 500 : 0);
  Layout best;
  const Order* from = &orders[0];
  for (const bool best_fit : {false, true}) {
    for (const Order& order : orders) {
      if (best.peak <= good_enough) break;
      Layout layout = place_in_order(blocks, order, best_fit, best.peak);
      if (!layout.offsets.empty()) best = std::move(layout), from = &order;
    }
  }
  Order seed = *from;
  if (best.peak > good_enough) {
    Layout layout = place_skyline(blocks, best.peak);
    if (!layout.offsets.empty()) {
      best = std::move(layout);
      seed.resize(blocks.size());
      std::iota(seed.begin(), seed.end(), 0u);
      std::stable_sort(seed.begin(), seed.end(), [&](uint32_t a, uint32_t b) { return best.offsets[a] < best.offsets[b]; });
    }
  }
  // The rounds are bounded by work, not by time, so the same graph gets the same plan on every machine.
  const double work = static_cast<double>(blocks.size()) * static_cast<double>(blocks.size());
  if (best.peak > good_enough) refine(blocks, seed, good_enough, static_cast<int>(std::min(2000.0, 1e7 / work)), best);

  plan.peak = best.peak;
  for (size_t i = 0; i < blocks.size(); ++i) plan.offsets[blocks[i].index] = best.offsets[i];
  return plan;
}

}  // namespace bgl::memory
