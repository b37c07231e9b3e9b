#include "ops/lowering.h"

#include <mutex>
#include <unordered_map>

#include "lang/builder.h"
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
  launches_.push_back({function_for(key, make), grid, std::move(slots), nullptr});
}

void Lowering::host(std::function<Status(const HostCall&)> code) {
  launches_.push_back({nullptr, {1, 1, 1}, {}, std::move(code)});
}

void lower_copy(Lowering& lowering, OperandId from, OperandId to) {
  kernels::lower_pointwise(lowering, "copy", std::array{from}, std::array{to},
                           [](lang::Builder&, std::span<const lang::Val> in) { return std::vector(in.begin(), in.end()); });
}

}  // namespace bgl::ops
