#include "compiler/executable.h"

#include <ctime>
#include <cstring>

#include "lang/kernel.h"
#include "lang/later.h"
#include "lang/tuner.h"

namespace bgl::compiler {
namespace {

double seconds_now() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

// One arena for the process: graphs run one at a time, so the largest plan serves all.
std::shared_ptr<ops::Buffer> arena_of(int64_t bytes) {
  static auto* arena = new std::shared_ptr<ops::Buffer>;
  if (!*arena || static_cast<int64_t>((*arena)->bytes()) < bytes) {
    arena->reset();  // the old one goes first
    *arena = ops::Buffer::allocate(static_cast<size_t>(bytes));
  }
  return *arena;
}

// Run-time numbers, 8 bytes each, in the type the kernels read.
std::vector<uint64_t> scalar_area(std::span<const double> scalars, std::span<const uint8_t> types) {
  std::vector<uint64_t> area(scalars.size(), 0);
  for (size_t i = 0; i < scalars.size(); ++i) {
    auto put = [&](auto v) { std::memcpy(&area[i], &v, sizeof v); };
    switch (static_cast<ops::DType>(types[i])) {
      case ops::DType::kI64: put(static_cast<int64_t>(scalars[i])); break;
      case ops::DType::kI32: put(static_cast<int32_t>(scalars[i])); break;
      case ops::DType::kI8: put(static_cast<int8_t>(scalars[i])); break;
      case ops::DType::kU8: case ops::DType::kBool: put(static_cast<uint8_t>(scalars[i])); break;
      case ops::DType::kBF16: {
        const auto f = static_cast<float>(scalars[i]);
        uint32_t bits = 0;
        std::memcpy(&bits, &f, sizeof bits);
        put(static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16));
        break;
      }
      case ops::DType::kF64: put(scalars[i]); break;
      default: put(static_cast<float>(scalars[i]));
    }
  }
  return area;
}

struct Memory {
  std::span<const std::shared_ptr<ops::Buffer>> leaves;
  std::vector<std::shared_ptr<ops::Buffer>> outputs;
  std::shared_ptr<ops::Buffer> arena;
  std::vector<uint64_t> scalars;

  std::byte* at(const Place& p) {
    switch (p.kind) {
      case Place::Kind::kLeaf: return leaves[static_cast<size_t>(p.index)]->data() + p.offset;
      case Place::Kind::kOutput: return outputs[static_cast<size_t>(p.index)]->data() + p.offset;
      case Place::Kind::kArena: return arena->data() + p.offset;
      case Place::Kind::kScalar: return reinterpret_cast<std::byte*>(&scalars[static_cast<size_t>(p.index)]) + p.offset;
    }
    return nullptr;
  }
};

Status run_step(const Step& step, Memory& memory) {
  const lang::Kernel* kernel = step.later ? step.later->get() : step.kernel;
  if (!kernel) {
    ops::HostCall call;
    for (const StepSlot& s : step.slots) call.pointers.push_back(memory.at(s.place));
    return step.host(call);
  }
  std::vector<uint64_t> slots(step.slots.size(), 0);
  for (size_t i = 0; i < slots.size(); ++i) {
    const StepSlot& s = step.slots[i];
    switch (s.kind) {
      case ops::Slot::Kind::kPointer: slots[i] = reinterpret_cast<uint64_t>(memory.at(s.place)); break;
      case ops::Slot::Kind::kI64: std::memcpy(&slots[i], &s.i64, sizeof s.i64); break;
      case ops::Slot::Kind::kF32: std::memcpy(&slots[i], &s.f32, sizeof s.f32); break;
    }
  }
  return lang::launch(*kernel, step.grid, slots);
}

Status run_named(const Step& step, Memory& memory) {
  Status s = run_step(step, memory);
  if (s.ok()) return s;
  return Status(s.code(), fmt::format("[{}]{}{} {}", step.name, step.where.empty() ? "" : " at ", step.where, s.message()));
}

// Whether all kernels of `steps` are compiled; those that are not are asked for.
lang::Choice::Ready ready(const std::vector<Step>& steps) {
  using Ready = lang::Choice::Ready;
  Ready all = Ready::kYes;
  for (const Step& s : steps) {
    const bool there = lang::tuning() == lang::Tuning::kEvery ? s.later->wait() : s.later->get();
    if (s.later->failed()) return Ready::kNever;
    if (!there) all = Ready::kNotYet;
  }
  return all;
}

// Runs the steps that stand at `at`, or others in their place, and tells the choice how long that took.
Status run_choice(const Executable& executable, size_t at, Memory& memory, const StepListener& listener) {
  const StepChoice& c = *executable.steps[at].choice;
  const size_t taken = c.choice->next([&](size_t i) { return ready(c.others[i - 1]); });
  const std::span<const Step> steps = taken ? std::span<const Step>(c.others[taken - 1]) : std::span(executable.steps).subspan(at, c.count);
  std::vector<double> ends = {seconds_now()};
  for (const Step& s : steps) {
    BGL_TRY(run_named(s, memory));
    ends.push_back(seconds_now());
  }
  c.choice->took(taken, ends.back() - ends.front(), c.work);
  if (!listener) return Status();
  for (size_t i = 0; i < c.count; ++i) {
    const size_t left = c.count - i;  // this step stands for the launch as far from the end
    const double end = ends[steps.size() + 1 > left ? steps.size() + 1 - left : 0];
    const double start = i == 0 || steps.size() < left ? ends[0] : ends[steps.size() - left];
    listener({executable, at + i, start, end - start});
  }
  return Status();
}

}  // namespace

Result<std::vector<std::shared_ptr<ops::Buffer>>> run(const Executable& executable, std::span<const std::shared_ptr<ops::Buffer>> leaves,
                                                     std::span<const double> scalars, std::span<const uint8_t> scalar_types,
                                                     const StepListener& listener) {
  Memory memory{leaves, {}, arena_of(executable.memory.arena_bytes), scalar_area(scalars, scalar_types)};
  for (const Executable::Output& o : executable.outputs) {
    if (o.is_leaf >= 0) {
      memory.outputs.push_back(leaves[static_cast<size_t>(o.is_leaf)]);
    } else if (o.same_as >= 0) {
      memory.outputs.push_back(memory.outputs[static_cast<size_t>(o.same_as)]);
    } else if (o.takes_leaf >= 0) {
      memory.outputs.push_back(leaves[static_cast<size_t>(o.takes_leaf)]);
    } else {
      memory.outputs.push_back(ops::Buffer::allocate(static_cast<size_t>(o.bytes)));
    }
    if (o.scalar >= 0) std::memcpy(memory.outputs.back()->data(), &memory.scalars[static_cast<size_t>(o.scalar)], static_cast<size_t>(o.bytes));
  }
  for (size_t i = 0; i < executable.steps.size(); ++i) {
    const Step& step = executable.steps[i];
    if (step.choice) {
      BGL_TRY(run_choice(executable, i, memory, listener));
      i += step.choice->count - 1;
      continue;
    }
    const double start = listener ? seconds_now() : 0;
    BGL_TRY(run_named(step, memory));
    if (listener) listener({executable, i, start, seconds_now() - start});
  }
  return std::move(memory.outputs);
}

}  // namespace bgl::compiler
