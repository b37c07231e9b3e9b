#include "compiler/testing/run_apart.h"

#include <cstring>
#include <map>

#include "compiler/emit.h"
#include "compiler/passes.h"
#include "lang/kernel.h"

namespace bgl::compiler {
namespace {

struct Block {
  std::shared_ptr<ops::Buffer> buffer;
  int64_t bytes = 0;
  bool written = false;
};

Block fresh(int64_t bytes) { return {ops::Buffer::allocate(static_cast<size_t>(bytes)), bytes, false}; }

Block number(const ops::Node& scalar) {
  Block b = fresh(8);
  b.written = true;
  switch (scalar.outs[0].dtype) {
    case ops::DType::kI64:
      *b.buffer->as<int64_t>() = static_cast<int64_t>(scalar.scalar);
      break;
    case ops::DType::kBool:
      *b.buffer->as<uint8_t>() = static_cast<uint8_t>(scalar.scalar);
      break;
    default:
      BGL_CHECK(scalar.outs[0].dtype == ops::DType::kF32, "a number of type {}", ops::dtype_name(scalar.outs[0].dtype));
      *b.buffer->as<float>() = static_cast<float>(scalar.scalar);
  }
  return b;
}

class Runner {
 public:
  Runner(Graph graph, const KernelRunner& kernel) : graph_(std::move(graph)), kernel_(kernel) {}

  Result<std::vector<std::shared_ptr<ops::Buffer>>> run(bool fuse) {
    eliminate_common(graph_);
    resolve_views(graph_);
    for (size_t n = 0; n < graph_.nodes.size(); ++n) {
      const GraphNode& node = graph_.nodes[n];
      for (size_t o = 0; o < node.outs.size(); ++o) {
        Block& b = blocks_[{static_cast<int>(n), static_cast<int>(o)}];
        if (node.leaf >= 0) {
          const ops::Value& leaf = graph_.leaves[static_cast<size_t>(node.leaf) + o];
          b = {leaf.node->buffers[static_cast<size_t>(leaf.index)], node.outs[o].bytes(), true};
        } else if (node.scalar >= 0) {
          b = number(*graph_.scalars[static_cast<size_t>(node.scalar)]);
        } else {
          b = fresh(node.outs[o].bytes());
        }
      }
    }
    const std::vector<Group> groups = form_groups(graph_, fuse);
    const std::vector<bool> wanted = wanted_nodes(graph_, groups);
    const lang::MachineInfo& m = lang::machine();
    const ops::Machine machine{m.vector_floats, m.registers, m.threads};
    for (const Group& group : groups) BGL_TRY(run_group(emit_group(graph_, group, wanted, machine)));
    std::vector<std::shared_ptr<ops::Buffer>> out;
    for (const Ref& r : graph_.outputs) out.push_back(blocks_.at(r).buffer);
    return out;
  }

 private:
  Status run_group(const Emission& e) {
    const auto& operands = e.lowering->operands();
    std::vector<Block*> of;  // each operand's
    std::vector<std::unique_ptr<Block>> temporaries;
    for (const Ref& r : e.inputs) of.push_back(&blocks_.at(r));
    for (const Ref& r : e.outputs) of.push_back(&blocks_.at(r));
    for (size_t i = of.size(); i < operands.size(); ++i) {
      const auto root = static_cast<size_t>(e.lowering->roots()[i]);
      if (root == i) temporaries.push_back(std::make_unique<Block>(fresh(operands[i].meta.bytes())));
      of.push_back(root == i ? temporaries.back().get() : of[root]);
    }
    for (const ops::Launch& launch : e.lowering->launches()) {
      if (Status s = run_launch(launch, operands, of); !s.ok())
        return Status(s.code(), fmt::format("[{}] {}", e.name, s.message()));
    }
    for (size_t i = e.inputs.size(); i < e.inputs.size() + e.outputs.size(); ++i) of[i]->written = true;
    return {};
  }

  Status run_launch(const ops::Launch& launch, const std::vector<ops::Operand>& operands, const std::vector<Block*>& of) {
    if (!launch.kernel) {
      ops::HostCall call;
      for (Block* b : of) call.pointers.push_back(b->buffer->data()), b->written = true;
      return launch.host(call);
    }
    std::vector<uint64_t> slots;
    std::map<Block*, lang::Buffer> touched;
    for (const ops::Slot& s : launch.slots) {
      if (s.kind == ops::Slot::Kind::kPointer) {
        const auto id = static_cast<size_t>(s.operand.id);
        Block* b = of[id];
        touched[b] = {b->buffer->data(), static_cast<uint64_t>(b->bytes), b->written};
        slots.push_back(lang::slot(b->buffer->data() +
                                   (operands[id].layout.offset + s.element) * ops::dtype_size(operands[id].meta.dtype)));
      } else {
        slots.push_back(s.kind == ops::Slot::Kind::kI64 ? lang::slot(s.i64) : lang::slot(static_cast<float>(s.f32)));
      }
    }
    std::vector<lang::Buffer> buffers;
    for (const auto& [block, buffer] : touched) buffers.push_back(buffer);
    BGL_TRY(kernel_(*launch.kernel, launch.grid, slots, buffers));
    for (const auto& [block, buffer] : touched) block->written = true;
    return {};
  }

  Graph graph_;
  const KernelRunner& kernel_;
  std::map<Ref, Block> blocks_;
};

}  // namespace

Result<std::vector<std::shared_ptr<ops::Buffer>>> run_apart(const std::vector<ops::Value>& outputs, bool fuse,
                                                            const KernelRunner& runner) {
  try {
    return Runner(capture(pending_behind(outputs)), runner).run(fuse);
  } catch (const Error& e) {
    return e.status();
  }
}

Status interpret_checked(const lang::Function& kernel, std::array<int64_t, 3> grid, std::span<const uint64_t> slots,
                         std::span<const lang::Buffer> buffers) {
  return lang::interpret(kernel, grid, slots, {buffers, lang::machine().fma});
}

}  // namespace bgl::compiler
