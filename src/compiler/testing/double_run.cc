#include "compiler/testing/double_run.h"

#include <cstring>
#include <unordered_map>

#include "compiler/graph.h"

namespace bgl::compiler {

ops::RefTensor elements(const ops::Buffer& buffer, const ops::TensorMeta& meta) {
  ops::RefTensor out{meta.shape, {}};
  for (int64_t i = 0; i < ops::numel(meta.shape); ++i) {
    switch (meta.dtype) {
      case ops::DType::kF32:
        out.data.push_back(buffer.as<float>()[i]);
        break;
      case ops::DType::kI64:
        out.data.push_back(static_cast<double>(buffer.as<int64_t>()[i]));
        break;
      case ops::DType::kBF16: {
        const uint32_t bits = static_cast<uint32_t>(buffer.as<uint16_t>()[i]) << 16;
        float f = 0;
        std::memcpy(&f, &bits, sizeof f);
        out.data.push_back(f);
        break;
      }
      case ops::DType::kI8:
        out.data.push_back(buffer.as<int8_t>()[i]);
        break;
      default:
        BGL_CHECK(ops::dtype_size(meta.dtype) == 1, "no test reads {}", ops::dtype_name(meta.dtype));
        out.data.push_back(buffer.as<uint8_t>()[i]);
    }
  }
  return out;
}

std::vector<ops::RefTensor> double_run(const std::vector<ops::Value>& values, const std::vector<LeafValue>& leaves) {
  std::unordered_map<const ops::Node*, std::vector<ops::RefTensor>> known;
  for (const LeafValue& l : leaves) known[l.leaf] = {l.value};
  for (const auto& node : reachable(values)) {
    if (known.count(node.get())) continue;
    std::vector<ops::RefTensor>& out = known[node.get()];
    if (node->computed()) {
      for (size_t o = 0; o < node->outs.size(); ++o) out.push_back(elements(*node->buffers[o], node->outs[o]));
      continue;
    }
    std::vector<ops::RefTensor> in;
    for (const ops::Value& v : node->inputs) in.push_back(known.at(v.node.get())[static_cast<size_t>(v.index)]);
    out = ops::run_reference(*node, in);
  }
  std::vector<ops::RefTensor> out;
  for (const ops::Value& v : values) out.push_back(known.at(v.node.get())[static_cast<size_t>(v.index)]);
  return out;
}

}  // namespace bgl::compiler
