#include <nlohmann/json.hpp>
#include <set>

#include "base/env.h"
#include "models/internal/weight_names.h"
#include "text/files/safetensors.h"

namespace bgl::models {
namespace {

using nlohmann::json;
using ops::DType;

// Every tensor of the folder by its name, and the file it lies in.
struct StoredTensor {
  const text::TensorView* view;
  std::shared_ptr<const text::SafeTensors> file;
};
using StoredTensors = std::map<std::string, StoredTensor>;

Status add_file(const std::string& path, StoredTensors& out) {
  BGL_ASSIGN(auto opened, text::SafeTensors::open(path));
  const auto file = std::make_shared<const text::SafeTensors>(std::move(opened));
  for (const text::TensorView& t : file->tensors()) {
    const auto [at, added] = out.emplace(t.name, StoredTensor{&t, file});
    if (!added)
      return data_loss("{}: tensor {} is in {} too; only one of the files can hold it", path, t.name,
                       base_name(at->second.file->path()));
  }
  return Status();
}

Result<std::map<std::string, std::string>> read_index(const std::string& path) {
  BGL_ASSIGN(const std::string text, real_env().read_file(path));
  const json j = json::parse(text, nullptr, false);
  if (!j.is_object() || !j.contains("weight_map") || !j["weight_map"].is_object())
    return data_loss("{} has no \"weight_map\"", path);
  std::map<std::string, std::string> out;
  for (const auto& [tensor, file] : j["weight_map"].items()) {
    if (!file.is_string() || file.get<std::string>().find('/') != std::string::npos) {
      return data_loss("{}: tensor {} names no file of this folder", path, tensor);
    }
    out[tensor] = file.get<std::string>();
  }
  return out;
}

Result<StoredTensors> open_indexed(const std::string& dir) {
  const std::string index_path = join_path(dir, kIndexFile);
  BGL_ASSIGN(const auto index, read_index(index_path));
  StoredTensors out;
  std::set<std::string> opened;
  for (const auto& [tensor, file] : index) {
    if (!opened.insert(file).second) continue;
    const std::string path = join_path(dir, file);
    if (!real_env().exists(path))
      return not_found("{}: tensor {} lies in {}, which is not in the folder", index_path, tensor, file);
    BGL_TRY(add_file(path, out));
  }
  for (const auto& [tensor, file] : index) {
    const auto it = out.find(tensor);
    if (it == out.end() || base_name(it->second.file->path()) != file) {
      return data_loss("{}: there is no tensor {}, which {} says is here", join_path(dir, file), tensor, kIndexFile);
    }
  }
  return out;
}

Result<StoredTensors> open_weights(const std::string& dir) {
  StoredTensors out;
  if (const std::string one = join_path(dir, kOneFile); real_env().exists(one)) {
    BGL_TRY(add_file(one, out));
    return out;
  }
  if (real_env().exists(join_path(dir, kIndexFile))) return open_indexed(dir);
  return not_found("{} has no model.safetensors: is it a model's folder?", dir);
}

// The tensor as float32, mapped when it is that already; or, on demand, a matrix of bfloat16 mapped as it is.
Result<Tensor> to_tensor(const StoredTensor& stored, bool keep_bf16) {
  const text::TensorView& view = *stored.view;
  if (view.dtype == "F32") {
    return Tensor::from_buffer(ops::Buffer::borrow(view.bytes.data(), view.bytes.size(), stored.file), DType::kF32, view.shape);
  }
  if (view.dtype != "BF16" && view.dtype != "F16") {
    return make_status(Code::kUnimplemented, "{}: tensor {} is {}; F32, BF16 and F16 weights are read", stored.file->path(),
                       view.name, view.dtype);
  }
  const DType from = view.dtype == "BF16" ? DType::kBF16 : DType::kF16;
  const Tensor narrow = Tensor::from_buffer(ops::Buffer::borrow(view.bytes.data(), view.bytes.size(), stored.file), from, view.shape);
  if (keep_bf16 && from == DType::kBF16 && view.shape.size() == 2) return narrow;
  return Tensor(ops::cast(narrow.value(), DType::kF32));
}

// Buffers of the reference implementation that are no weights.
bool is_mask_buffer(const std::string& name) {
  return name.ends_with(".attn.bias") || name.ends_with(".attn.masked_bias") || name.ends_with("rotary_emb.inv_freq");
}

Status load_one(const StoredTensor& stored, bool turned, bool keep_bf16, Tensor& parameter) {
  const text::TensorView& view = *stored.view;
  ops::Shape expected = parameter.shape();
  if (turned) std::swap(expected[0], expected[1]);
  if (view.shape != expected) {
    return data_loss("{}: tensor {} is {}, config.json's sizes make it {}", stored.file->path(), view.name,
                     ops::shape_text(view.shape), ops::shape_text(expected));
  }
  BGL_ASSIGN(Tensor t, to_tensor(stored, keep_bf16));
  if (turned) t = t.transpose(0, 1).clone();
  parameter.set_value(ops::make_leaf(t.value().meta(), t.buffer(), parameter.requires_grad()));
  return Status();
}

FileStyle style_of(const StoredTensors& have, const ModelConfig& c) {
  FileStyle style;
  if (c.family == Family::kGpt2 && have.count("transformer.wte.weight")) style.prefix = "transformer.";
  style.has_head = have.count("lm_head.weight") > 0;
  return style;
}

}  // namespace

Result<FileStyle> stored_style(const std::string& dir, const ModelConfig& config) {
  BGL_ASSIGN(const StoredTensors have, open_weights(dir));
  FileStyle style = style_of(have, config);
  for (const auto& [name, stored] : have) style.dtypes[name] = stored.view->dtype;
  return style;
}

Result<FileStyle> load_weights(const std::string& dir, Model& model, bool keep_bf16) {
  BGL_ASSIGN(const StoredTensors have, open_weights(dir));
  const ModelConfig& c = model.config();
  FileStyle style = style_of(have, c);
  std::set<std::string> used;
  for (auto& p : model.named_parameters()) {
    const std::string name = file_name(c, style, p.name);
    const auto it = have.find(name);
    if (it != have.end()) style.dtypes[name] = it->second.view->dtype;
    used.insert(name);
    if (p.name == "lm_head.weight" && c.tied) continue;
    if (it == have.end()) return data_loss("{}: there is no tensor {}, which config.json's sizes ask for", dir, name);
    BGL_TRY(load_one(it->second, stored_transposed(c, p.name), keep_bf16, p.tensor));
  }
  for (const auto& [name, stored] : have) {
    if (!used.count(name) && !is_mask_buffer(name)) {
      return data_loss("{}: tensor {} belongs to no part of a {} model", stored.file->path(), name, family_name(c.family));
    }
  }
  return style;
}

}  // namespace bgl::models
