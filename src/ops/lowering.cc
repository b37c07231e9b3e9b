#include "ops/lowering.h"

#include <iterator>
#include <mutex>
#include <unordered_map>

#include "lang/builder.h"
#include "lang/tuner.h"
#include "ops/kernels/pointwise.h"

namespace bgl::ops {
namespace {

// Functions built so far in this process, by key.
std::shared_ptr<const lang::Function> function_for(const std::string& key, const std::function<lang::Function()>& make) {
  static std::mutex mutex;
  static auto* built = new std::unordered_map<std::string, std::shared_ptr<const lang::Function>>;
  std::lock_guard lock(mutex);
  auto& slot = (*built)[key];
  if (!slot) slot = std::make_shared<const lang::Function>(make());
  return slot;
}

}  // namespace

Lowering::Lowering(const Machine& machine, std::vector<Operand> inputs, std::vector<Operand> outputs)
    : machine_(machine), operands_(std::move(inputs)), inputs_(static_cast<int>(operands_.size())) {
  operands_.insert(operands_.end(), outputs.begin(), outputs.end());
  for (size_t i = 0; i < operands_.size(); ++i) roots_.push_back(static_cast<int>(i));
}

OperandId Lowering::temp(TensorMeta meta) {
  Layout layout{meta.shape, contiguous_strides(meta.shape), 0};
  if (sharing_ && shared_taken_ < shared_temps_.size()) {
    const int same = shared_temps_[shared_taken_++];
    TensorMeta& memory = operands_[static_cast<size_t>(same)].meta;
    if (memory.bytes() < meta.bytes()) memory = meta;
    operands_.push_back({std::move(meta), std::move(layout)});
    roots_.push_back(same);
    return {static_cast<int>(operands_.size()) - 1};
  }
  if (sharing_) shared_temps_.push_back(static_cast<int>(operands_.size())), ++shared_taken_;
  operands_.push_back({std::move(meta), std::move(layout)});
  roots_.push_back(static_cast<int>(roots_.size()));
  return {static_cast<int>(operands_.size()) - 1};
}

OperandId Lowering::view(OperandId of, Layout layout) {
  Operand seen{operand(of).meta, std::move(layout)};
  operands_.push_back(std::move(seen));
  roots_.push_back(roots_[static_cast<size_t>(of.id)]);
  return {static_cast<int>(operands_.size()) - 1};
}

OperandId Lowering::contiguous(OperandId id) {
  if (layout(id).contiguous()) return id;
  const OperandId copy = temp({operand(id).meta.dtype, shape(id)});
  lower_copy(*this, id, copy);
  return copy;
}

void Lowering::launch(const std::string& key, const std::function<lang::Function()>& make, std::array<int64_t, 3> grid,
                      std::vector<Slot> slots) {
  if (grid[0] == 0 || grid[1] == 0 || grid[2] == 0) return;
  launches_.push_back({function_for(key, make), grid, std::move(slots), nullptr, nullptr});
}

void Lowering::host(std::function<Status(const HostCall&)> code) {
  launches_.push_back({nullptr, {1, 1, 1}, {}, std::move(code), nullptr});
}

void Lowering::choose(const std::string& key, const std::vector<std::string>& names, double work,
                      const std::function<void(size_t)>& emit) {
  if (names.size() < 2 || lang::tuning() == lang::Tuning::kOff) return emit(0);
  lang::Choice& choice = lang::choice_for(key, names);
  if (const auto settled = choice.settled(); settled && lang::tuning() == lang::Tuning::kOn) return emit(*settled);
  sharing_ = true;
  shared_temps_.clear();
  std::vector<std::vector<Launch>> all;
  std::vector<Launch> before = std::move(launches_);
  for (size_t i = 0; i < names.size(); ++i) {
    launches_.clear();
    shared_taken_ = 0;
    emit(i);
    all.push_back(std::move(launches_));
  }
  sharing_ = false;
  launches_ = std::move(before);
  if (all[0].empty()) return;
  all[0][0].choice = std::make_shared<const LaunchChoice>(
      LaunchChoice{&choice, work, all[0].size(), {std::make_move_iterator(all.begin() + 1), std::make_move_iterator(all.end())}});
  std::move(all[0].begin(), all[0].end(), std::back_inserter(launches_));
}

void lower_copy(Lowering& lowering, OperandId from, OperandId to) {
  kernels::lower_pointwise(lowering, "copy", std::array{from}, std::array{to},
                           [](lang::Builder&, std::span<const lang::Val> in) { return std::vector(in.begin(), in.end()); });
}

}  // namespace bgl::ops
