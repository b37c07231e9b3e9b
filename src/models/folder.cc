#include "models/folder.h"

#include <sys/stat.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>

#include "base/env.h"
#include "base/hash.h"
#include "models/llama2c.h"
#include "text/safetensors.h"

namespace bgl::models {
namespace {

using nlohmann::json;
using ops::DType;

struct OpenFile {
  std::shared_ptr<const text::SafeTensors> file;
};

bool is_dir(const std::string& path) {
  struct stat s{};
  return ::stat(path.c_str(), &s) == 0 && S_ISDIR(s.st_mode);
}

// model.safetensors, or the files that model.safetensors.index.json lists.
Result<std::vector<OpenFile>> open_weights(const std::string& dir) {
  std::vector<std::string> names;
  Env& env = real_env();
  const std::string index = join_path(dir, "model.safetensors.index.json");
  if (env.exists(join_path(dir, "model.safetensors"))) {
    names.push_back("model.safetensors");
  } else if (env.exists(index)) {
    BGL_ASSIGN(const std::string text, env.read_file(index));
    const json j = json::parse(text, nullptr, false);
    if (!j.is_object() || !j.contains("weight_map") || !j["weight_map"].is_object()) return data_loss("{} has no \"weight_map\"", index);
    std::set<std::string> unique;
    for (const auto& [tensor, file] : j["weight_map"].items()) {
      if (!file.is_string() || file.get<std::string>().find('/') != std::string::npos) return data_loss("{}: tensor {} names no file of this folder", index, tensor);
      unique.insert(file.get<std::string>());
    }
    names.assign(unique.begin(), unique.end());
  } else {
    return not_found("{} has no model.safetensors: is it a model's folder?", dir);
  }
  std::vector<OpenFile> out;
  for (const std::string& name : names) {
    BGL_ASSIGN(auto file, text::SafeTensors::open(join_path(dir, name)));
    out.push_back({std::make_shared<const text::SafeTensors>(std::move(file))});
  }
  return out;
}

float widen(DType from, const std::byte* at) {
  uint16_t half = 0;
  std::memcpy(&half, at, 2);
  if (from == DType::kBF16) {
    const uint32_t bits = static_cast<uint32_t>(half) << 16;
    float f = 0;
    std::memcpy(&f, &bits, 4);
    return f;
  }
  const int exponent = half >> 10 & 31;
  const double mantissa = half & 1023;
  const double sign = half & 0x8000 ? -1 : 1;
  if (exponent == 31) return static_cast<float>(mantissa != 0 ? NAN : sign * INFINITY);
  return static_cast<float>(sign * (exponent ? std::ldexp(1024 + mantissa, exponent - 25) : std::ldexp(mantissa, -24)));
}

// The tensor as float32; mapped when it is that already.
Result<Tensor> to_f32(const text::TensorView& view, const std::shared_ptr<const text::SafeTensors>& file) {
  const int64_t n = ops::numel(view.shape);
  if (view.dtype == "F32") {
    return Tensor::from_buffer(ops::Buffer::borrow(view.bytes.data(), view.bytes.size(), file), DType::kF32, view.shape);
  }
  if (view.dtype != "BF16" && view.dtype != "F16") {
    return make_status(Code::kUnimplemented, "{}: tensor {} is {}; F32, BF16 and F16 weights are read", file->path(), view.name, view.dtype);
  }
  const DType from = view.dtype == "BF16" ? DType::kBF16 : DType::kF16;
  auto buffer = ops::Buffer::allocate(static_cast<size_t>(n) * 4);
  for (int64_t i = 0; i < n; ++i) buffer->as<float>()[i] = widen(from, view.bytes.data() + 2 * i);
  return Tensor::from_buffer(std::move(buffer), DType::kF32, view.shape);
}

// Hugging Face stores GPT-2's Linear weights the other way round ([in, out], its Conv1D).
bool stored_transposed(const ModelConfig& c, const std::string& name) {
  if (c.family != Family::kGpt2 || !name.ends_with(".weight")) return false;
  return name.find(".c_attn.") != std::string::npos || name.find(".c_proj.") != std::string::npos || name.find(".c_fc.") != std::string::npos;
}
std::string file_name(const ModelConfig& c, const FileStyle& style, const std::string& name) {
  return c.family == Family::kGpt2 && name != "lm_head.weight" ? style.prefix + name : name;
}
// Buffers of the reference implementation that are no weights.
bool is_mask_buffer(const std::string& name) { return name.ends_with(".attn.bias") || name.ends_with(".attn.masked_bias") || name.ends_with("rotary_emb.inv_freq"); }

Status load_weights(Model& model, const std::vector<OpenFile>& files, const std::string& dir, FileStyle& style) {
  std::map<std::string, std::pair<const text::TensorView*, std::shared_ptr<const text::SafeTensors>>> have;
  for (const OpenFile& f : files) {
    for (const text::TensorView& t : f.file->tensors()) have[t.name] = {&t, f.file};
  }
  const ModelConfig& c = model.config();
  if (c.family == Family::kGpt2 && have.count("transformer.wte.weight")) style.prefix = "transformer.";
  style.has_head = have.count("lm_head.weight") > 0;
  std::set<std::string> used;
  for (auto& p : model.named_parameters()) {
    const std::string name = file_name(c, style, p.name);
    if (p.name == "lm_head.weight" && c.tied) {
      used.insert(name);
      continue;
    }
    const auto it = have.find(name);
    if (it == have.end()) return data_loss("{}: there is no tensor {}, which config.json's sizes ask for", dir, name);
    used.insert(name);
    const auto& [view, file] = it->second;
    const bool turned = stored_transposed(c, p.name);
    ops::Shape expected = p.tensor.shape();
    if (turned) std::swap(expected[0], expected[1]);
    if (view->shape != expected) {
      return data_loss("{}: tensor {} is {}, config.json's sizes make it {}", file->path(), name, ops::shape_text(view->shape), ops::shape_text(expected));
    }
    style.dtypes[name] = view->dtype;
    BGL_ASSIGN(Tensor t, to_f32(*view, file));
    if (turned) t = t.transpose(0, 1).clone();
    p.tensor.set_value(ops::make_leaf(t.value().meta(), t.buffer()));
  }
  for (const auto& [name, unused] : have) {
    if (!used.count(name) && !is_mask_buffer(name)) return data_loss("{}: tensor {} belongs to no part of a {} model", dir, name, family_name(c.family));
  }
  return Status();
}

Lineage read_lineage(const std::string& dir) {
  Lineage l;
  const auto text = real_env().read_file(join_path(dir, "lineage.json"));
  if (!text.ok()) return l;
  const json j = json::parse(*text, nullptr, false);
  if (!j.is_object()) return l;
  auto get = [&](const char* key) { return j.contains(key) && j[key].is_string() ? j[key].get<std::string>() : std::string(); };
  return {get("name"), get("weights"), get("parent"), get("parent_name"), get("data"), get("config")};
}

// The bytes of one parameter as the file holds them.
std::vector<std::byte> stored_bytes(const Tensor& t, bool turned, const std::string& dtype) {
  const Tensor laid = turned ? t.transpose(0, 1).clone() : t;
  const DType to = dtype == "BF16" ? DType::kBF16 : dtype == "F16" ? DType::kF16 : DType::kF32;
  const Tensor out(ops::cast(laid.value(), to));
  const auto buffer = out.buffer();
  return {buffer->data(), buffer->data() + out.numel() * ops::dtype_size(to)};
}

}  // namespace

Result<LoadedModel> load_model(const std::string& path, const std::string& tokenizer_path) {
  LoadedModel out;
  Env& env = real_env();
  if (!env.exists(path)) return not_found("{}: no such model", path);
  try {
    if (is_dir(path)) {
      const std::string config_path = join_path(path, "config.json");
      if (!env.exists(config_path)) return not_found("{} has no config.json: is it a model's folder?", path);
      BGL_ASSIGN(const std::string config_text, env.read_file(config_path));
      BGL_ASSIGN(const ModelConfig config, ModelConfig::parse(config_text, config_path));
      BGL_ASSIGN(const auto files, open_weights(path));
      out.model = make_model(config, Init::kNone);
      BGL_TRY(load_weights(*out.model, files, path, out.style));
      out.lineage = read_lineage(path);
    } else {
      BGL_ASSIGN(out.model, load_llama2c(path));
    }
    std::string from = tokenizer_path;
    if (from.empty() && is_dir(path) && env.exists(join_path(path, "tokenizer.json"))) from = join_path(path, "tokenizer.json");
    if (!from.empty()) {
      BGL_ASSIGN(auto tokenizer, text::load_tokenizer(from));
      if (tokenizer->vocab_size() > out.model->config().vocab) {
        return invalid_argument("{} has {} tokens, the model {} only {}: they do not belong together", from, tokenizer->vocab_size(), path,
                                out.model->config().vocab);
      }
      BGL_ASSIGN(out.tokenizer_json, tokenizer->to_json());
      out.tokenizer = std::move(tokenizer);
    }
  } catch (const Error& e) {
    return e.status();
  }
  return out;
}

Result<std::string> save_model(const std::string& dir, Model& model, const FileStyle& style, const std::string& tokenizer_json, Lineage lineage) {
  Env& env = real_env();
  BGL_TRY(env.make_dirs(dir));
  const ModelConfig& c = model.config();
  try {
    model.for_each_module([](framework::Module& m) {
      if (auto* l = dynamic_cast<framework::Linear*>(&m)) l->merge_low_rank();
    });
    std::vector<std::vector<std::byte>> held;
    std::vector<text::TensorView> tensors;
    for (const auto& p : model.named_parameters()) {
      if (p.name.ends_with(".lora_A") || p.name.ends_with(".lora_B")) continue;
      if (p.name == "lm_head.weight" && c.tied && !style.has_head) continue;
      const std::string name = file_name(c, style, p.name);
      const auto it = style.dtypes.find(name);
      const std::string dtype = it == style.dtypes.end() ? "F32" : it->second;
      const bool turned = stored_transposed(c, p.name);
      held.push_back(stored_bytes(p.tensor, turned, dtype));
      ops::Shape shape = p.tensor.shape();
      if (turned) std::swap(shape[0], shape[1]);
      tensors.push_back({name, dtype, shape, {}});
    }
    for (size_t i = 0; i < tensors.size(); ++i) tensors[i].bytes = held[i];
    model.for_each_module([](framework::Module& m) {
      if (auto* l = dynamic_cast<framework::Linear*>(&m)) l->unmerge_low_rank();
    });
    BGL_TRY(text::write_safetensors(join_path(dir, "model.safetensors"), tensors, {{"format", "pt"}}));
  } catch (const Error& e) {
    return e.status();
  }
  BGL_ASSIGN(const auto view, env.map(join_path(dir, "model.safetensors")));
  lineage.weights = hash128_hex(view->bytes());
  BGL_TRY(env.write_file_atomic(join_path(dir, "config.json"), c.to_json()));
  if (!tokenizer_json.empty()) BGL_TRY(env.write_file_atomic(join_path(dir, "tokenizer.json"), tokenizer_json));
  const json j = {{"name", lineage.name},     {"weights", lineage.weights}, {"parent", lineage.parent}, {"parent_name", lineage.parent_name},
                  {"data", lineage.data},     {"config", lineage.config}};
  BGL_TRY(env.write_file_atomic(join_path(dir, "lineage.json"), j.dump(2) + "\n"));
  return lineage.weights;
}

Status save_adapter(const std::string& dir, Model& model, int64_t rank, double alpha) {
  Env& env = real_env();
  BGL_TRY(env.make_dirs(dir));
  std::vector<std::vector<std::byte>> held;
  std::vector<text::TensorView> tensors;
  std::set<std::string> targets;
  try {
    for (const auto& [name, linear] : model.adaptable()) {
      const auto& low = linear->low_rank();
      if (!low.a.defined()) continue;
      targets.insert(name.substr(name.rfind('.') + 1));
      for (const auto& [part, t] : {std::pair{"lora_A", low.a}, std::pair{"lora_B", low.b}}) {
        held.push_back(stored_bytes(t, false, "F32"));
        tensors.push_back({fmt::format("base_model.model.{}.{}.weight", name, part), "F32", t.shape(), {}});
      }
    }
  } catch (const Error& e) {
    return e.status();
  }
  for (size_t i = 0; i < tensors.size(); ++i) tensors[i].bytes = held[i];
  BGL_TRY(text::write_safetensors(join_path(dir, "adapter_model.safetensors"), tensors, {{"format", "pt"}}));
  const json j = {{"peft_type", "LORA"}, {"task_type", "CAUSAL_LM"}, {"r", rank}, {"lora_alpha", alpha}, {"target_modules", targets}};
  return env.write_file_atomic(join_path(dir, "adapter_config.json"), j.dump(2) + "\n");
}

}  // namespace bgl::models
