// What a kernel operator writes down when a graph is compiled: launches of tile kernels over its operands, in order. Sizes and
// strides are run-time slots, so a new shape makes new slots and no new kernel.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "ops/op_def.h"

namespace bgl::lang {
struct Function;
class Choice;
}

namespace bgl::ops {

// What lowering may know about the machine. Values change speed, never results: see the fixed orders of ARCHITECTURE.md.
struct Machine {
  int vector_floats = 8;  // f32 lanes of one register: 4, 8 or 16
  int registers = 16;
  int threads = 1;
};

// Names an operand of the operator: inputs first, then outputs, then temporaries.
struct OperandId {
  int id = -1;
};

struct Operand {
  TensorMeta meta;
  Layout layout;
};

struct Slot {
  enum class Kind : uint8_t { kPointer, kI64, kF32 } kind = Kind::kI64;
  OperandId operand;       // kPointer: the address of its element (layout.offset + element)
  int64_t element = 0;
  int64_t i64 = 0;
  double f32 = 0;
};
inline Slot slot(OperandId operand, int64_t element = 0) { return {Slot::Kind::kPointer, operand, element, 0, 0}; }
inline Slot slot(int64_t value) { return {Slot::Kind::kI64, {}, 0, value, 0}; }
inline Slot slot_f32(double value) { return {Slot::Kind::kF32, {}, 0, 0, value}; }

// Addresses of the operands, in the order of OperandId, for host code.
struct HostCall {
  std::vector<void*> pointers;
};

struct LaunchChoice;

struct Launch {
  std::shared_ptr<const lang::Function> kernel;  // null: host code
  std::array<int64_t, 3> grid{1, 1, 1};
  std::vector<Slot> slots;
  std::function<Status(const HostCall&)> host;
  std::shared_ptr<const LaunchChoice> choice;  // of the first of some launches that others may stand in for
};

// Launches whose place others may take, which compute the same bits from the same operands (lang/tuner.h).
struct LaunchChoice {
  lang::Choice* choice = nullptr;
  double work = 1;                           // makes the times of runs of different sizes comparable
  size_t count = 1;                          // launches of schedule 0, from the one that holds this
  std::vector<std::vector<Launch>> others;   // of schedules 1, 2, ...; kernels, no host code
};

class Lowering {
 public:
  Lowering(const Machine& machine, std::vector<Operand> inputs, std::vector<Operand> outputs);

  const Machine& machine() const { return machine_; }
  OperandId in(int i) const { return {i}; }
  OperandId out(int i = 0) const { return {inputs_ + i}; }
  const Operand& operand(OperandId id) const { return operands_[static_cast<size_t>(id.id)]; }
  const Layout& layout(OperandId id) const { return operand(id).layout; }
  const Shape& shape(OperandId id) const { return operand(id).layout.shape; }
  // Scratch memory of this operator, row-major.
  OperandId temp(TensorMeta meta);
  // The same memory seen through another layout.
  OperandId view(OperandId of, Layout layout);
  // The operand as row-major memory: itself if it is, else a copy in a temporary.
  OperandId contiguous(OperandId id);

  // Launches the kernel that `key` names; `make` builds it the first time this process needs it. Slots in the order of its params.
  void launch(const std::string& key, const std::function<lang::Function()>& make, std::array<int64_t, 3> grid,
              std::vector<Slot> slots);
  void host(std::function<Status(const HostCall&)> code);

  // The launches that emit(i) writes down for schedule i of `names`; all compute the same bits. `key` names the operator, its kinds of
  // operands and its class of sizes. Temporaries of schedules share their memory. Only the schedule that is already settled is written
  // down, or all.
  void choose(const std::string& key, const std::vector<std::string>& names, double work, const std::function<void(size_t)>& emit);

  const std::vector<Launch>& launches() const { return launches_; }
  const std::vector<Operand>& operands() const { return operands_; }
  // For each operand: the operand whose memory it is (itself unless made by view()).
  const std::vector<int>& roots() const { return roots_; }

 private:
  const Machine& machine_;
  std::vector<Operand> operands_;
  std::vector<int> roots_;
  int inputs_;
  std::vector<Launch> launches_;
  // While choose() runs: the temporaries made so far, and how many of them the schedule now written down has taken.
  bool sharing_ = false;
  std::vector<int> shared_temps_;
  size_t shared_taken_ = 0;
};

// Copies `from` into `to`, element by element through both layouts; the shapes agree.
void lower_copy(Lowering& lowering, OperandId from, OperandId to);

}  // namespace bgl::ops
