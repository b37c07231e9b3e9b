#include "models/llama2c.h"

#include <cstring>
#include <map>

#include "text/files/mmap_file.h"

namespace bgl::models {
namespace {

constexpr size_t kHeaderBytes = 28;

Result<ModelConfig> parse_header(std::span<const std::byte> bytes, const std::string& path, bool& untied) {
  if (bytes.size() < kHeaderBytes) return data_loss("{}: {} bytes are too few for the 28-byte header of a llama2.c model", path, bytes.size());
  int32_t h[7];
  std::memcpy(h, bytes.data(), sizeof h);
  ModelConfig c;
  c.family = Family::kLlama;
  c.width = h[0];
  c.hidden = h[1];
  c.layers = h[2];
  c.heads = h[3];
  c.kv_heads = h[4];
  untied = h[5] < 0;
  c.vocab = untied ? -static_cast<int64_t>(h[5]) : h[5];
  c.context = h[6];
  c.tied = !untied;
  c.activation = Activation::kSilu;
  c.head_width = c.heads > 0 ? c.width / c.heads : 0;
  if (Status s = c.check(path); !s.ok()) return data_loss("{} (is this a llama2.c model file?)", s.message());
  if (c.head_width * c.heads != c.width) return data_loss("{}: a width of {} does not divide into {} heads", path, c.width, c.heads);
  return c;
}

// Row (2i, 2i+1) of each head becomes (i, i + D/2).
std::vector<float> reorder_rotary(const float* w, int64_t heads, int64_t d, int64_t in) {
  std::vector<float> out(static_cast<size_t>(heads * d * in));
  for (int64_t h = 0; h < heads; ++h) {
    for (int64_t r = 0; r < d; ++r) {
      const int64_t to = r % 2 == 0 ? r / 2 : d / 2 + r / 2;
      std::memcpy(&out[static_cast<size_t>((h * d + to) * in)], w + (h * d + r) * in, static_cast<size_t>(in) * sizeof(float));
    }
  }
  return out;
}

}  // namespace

Result<std::unique_ptr<Model>> load_llama2c(const std::string& path) {
  BGL_ASSIGN(auto mapped, text::MmapFile::open(path));
  const auto file = std::make_shared<const text::MmapFile>(std::move(mapped));
  const std::span<const std::byte> bytes = file->bytes();
  bool untied = false;
  BGL_ASSIGN(const ModelConfig c, parse_header(bytes, path, untied));
  const int64_t kv = c.kv_heads * c.head_width, half = c.head_width / 2;
  const int64_t per_layer = 2 * c.width + 2 * c.width * c.width + 2 * kv * c.width + 3 * c.hidden * c.width;
  const int64_t floats = c.vocab * c.width * (untied ? 2 : 1) + c.layers * per_layer + c.width + 2 * c.context * half;
  const int64_t expected = static_cast<int64_t>(kHeaderBytes) + 4 * floats;
  if (static_cast<int64_t>(bytes.size()) != expected) {
    return data_loss("{}: {} bytes, but its header (dim {}, hidden {}, layers {}, heads {}, kv heads {}, vocabulary {}, length {}) needs {}", path,
                     bytes.size(), c.width, c.hidden, c.layers, c.heads, c.kv_heads, c.vocab, c.context, expected);
  }
  std::unique_ptr<Model> model = make_model(c, Init::kNone);
  std::map<std::string, Tensor> params;
  for (auto& p : model->named_parameters()) params.emplace(p.name, p.tensor);
  const auto* at = reinterpret_cast<const float*>(bytes.data() + kHeaderBytes);
  auto set = [&](const std::string& name, const float* data, bool copied) {
    Tensor& t = params.at(name);
    const auto n = static_cast<size_t>(t.numel());
    auto buffer = copied ? ops::Buffer::allocate(n * 4) : ops::Buffer::borrow(data, n * 4, file);
    if (copied) std::memcpy(buffer->data(), data, n * 4);
    t.set_value(ops::make_leaf({ops::DType::kF32, t.shape()}, std::move(buffer), t.requires_grad()));
  };
  set("model.embed_tokens.weight", at, false);
  at += c.vocab * c.width;
  struct Part {
    const char* name;
    int64_t size;
    int64_t rotary_heads;
  };
  for (const Part& part : {Part{"input_layernorm", c.width, 0}, Part{"self_attn.q_proj", c.width * c.width, c.heads},
                           Part{"self_attn.k_proj", kv * c.width, c.kv_heads}, Part{"self_attn.v_proj", kv * c.width, 0},
                           Part{"self_attn.o_proj", c.width * c.width, 0}, Part{"post_attention_layernorm", c.width, 0},
                           Part{"mlp.gate_proj", c.hidden * c.width, 0}, Part{"mlp.down_proj", c.hidden * c.width, 0},
                           Part{"mlp.up_proj", c.hidden * c.width, 0}}) {
    for (int64_t l = 0; l < c.layers; ++l, at += part.size) {
      const std::string name = fmt::format("model.layers.{}.{}.weight", l, part.name);
      if (part.rotary_heads > 0) {
        set(name, reorder_rotary(at, part.rotary_heads, c.head_width, c.width).data(), true);
      } else {
        set(name, at, false);
      }
    }
  }
  set("model.norm.weight", at, false);
  at += c.width + 2 * c.context * half;
  if (untied) set("lm_head.weight", at, false);
  return model;
}

}  // namespace bgl::models
