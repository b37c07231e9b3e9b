#include <algorithm>
#include <nlohmann/json.hpp>
#include <span>

#include "base/env.h"
#include "base/hash.h"
#include "models/internal/weight_names.h"
#include "text/files/safetensors.h"

namespace bgl::models {
namespace {

using nlohmann::json;
using ops::DType;

// A parameter on its way into a file.
struct Outgoing {
  std::string name;
  std::string dtype;
  bool turned;
  Tensor value;
  ops::Shape shape() const {
    ops::Shape s = value.shape();
    if (turned) std::swap(s[0], s[1]);
    return s;
  }
  int64_t bytes() const { return value.numel() * text::safetensors_dtype_bytes(dtype); }
  // As the file holds it; float32 that lies the right way round is not copied.
  Tensor laid_out() const {
    const DType to = dtype == "BF16" ? DType::kBF16 : dtype == "F16" ? DType::kF16 : DType::kF32;
    const Tensor laid = turned ? value.transpose(0, 1).clone() : value;
    return Tensor(ops::cast(laid.value(), to));
  }
};

std::vector<Outgoing> outgoing(const Model& model, const FileStyle& style) {
  const ModelConfig& c = model.config();
  std::vector<Outgoing> out;
  for (const auto& p : model.named_parameters()) {
    if (p.name.ends_with(".lora_A") || p.name.ends_with(".lora_B")) continue;
    if (p.name == "lm_head.weight" && c.tied && !style.has_head) continue;
    const std::string name = file_name(c, style, p.name);
    const auto it = style.dtypes.find(name);
    out.push_back({name, it == style.dtypes.end() ? "F32" : it->second, stored_transposed(c, p.name), p.tensor});
  }
  return out;
}

// The tensors in order, cut where the next one would pass the limit.
std::vector<std::span<const Outgoing>> divide(const std::vector<Outgoing>& all, int64_t max_file_bytes) {
  std::vector<std::span<const Outgoing>> out;
  size_t begin = 0;
  int64_t bytes = 0;
  for (size_t i = 0; i < all.size(); ++i) {
    if (max_file_bytes > 0 && i > begin && bytes + all[i].bytes() > max_file_bytes) {
      out.push_back(std::span(all).subspan(begin, i - begin));
      begin = i;
      bytes = 0;
    }
    bytes += all[i].bytes();
  }
  out.push_back(std::span(all).subspan(begin));
  return out;
}

// Returns the file's hash.
Result<std::string> write_file(const std::string& path, std::span<const Outgoing> part) {
  {
    std::vector<std::shared_ptr<ops::Buffer>> held;
    std::vector<text::TensorView> tensors;
    for (const Outgoing& t : part) {
      held.push_back(t.laid_out().buffer());
      tensors.push_back({t.name, t.dtype, t.shape(), {held.back()->data(), static_cast<size_t>(t.bytes())}});
    }
    BGL_TRY(text::write_safetensors(path, tensors, {{"format", "pt"}}));
  }
  BGL_ASSIGN(const auto view, real_env().map(path));
  return hash128_hex(view->bytes());
}

// Ours or another writer's: model.safetensors, the index, model-00001-of-00002.safetensors.
bool is_weight_file(const std::string& name) {
  if (name == kOneFile || name == kIndexFile) return true;
  return name.size() == 32 && name.starts_with("model-") && name.substr(11, 4) == "-of-" && name.ends_with(".safetensors");
}

Status remove_others(const std::string& dir, const std::vector<std::string>& kept) {
  BGL_ASSIGN(const auto names, weight_files(dir));
  for (const std::string& name : names) {
    if (std::find(kept.begin(), kept.end(), name) == kept.end()) BGL_TRY(real_env().remove(join_path(dir, name)));
  }
  return Status();
}

}  // namespace

Result<std::vector<std::string>> weight_files(const std::string& dir) {
  BGL_ASSIGN(const auto entries, real_env().list_dir(dir));
  std::vector<std::string> out;
  for (const DirEntry& e : entries) {
    if (is_weight_file(e.name)) out.push_back(e.name);
  }
  return out;
}

Result<std::string> save_weights(const std::string& dir, const Model& model, const FileStyle& style, int64_t max_file_bytes) {
  const std::vector<Outgoing> all = outgoing(model, style);
  const auto parts = divide(all, max_file_bytes);
  if (parts.size() == 1) {
    BGL_ASSIGN(const std::string hash, write_file(join_path(dir, kOneFile), parts[0]));
    BGL_TRY(remove_others(dir, {kOneFile}));
    return hash;
  }
  std::vector<std::string> names;
  std::string hashes;
  int64_t total = 0;
  json map = json::object();
  for (size_t i = 0; i < parts.size(); ++i) {
    names.push_back(fmt::format("model-{:05}-of-{:05}.safetensors", i + 1, parts.size()));
    BGL_ASSIGN(const std::string hash, write_file(join_path(dir, names.back()), parts[i]));
    hashes += hash;
    for (const Outgoing& t : parts[i]) {
      map[t.name] = names.back();
      total += t.bytes();
    }
  }
  const json index = {{"metadata", {{"total_size", total}}}, {"weight_map", map}};
  BGL_TRY(real_env().write_file_atomic(join_path(dir, kIndexFile), index.dump(2) + "\n"));
  names.push_back(kIndexFile);
  BGL_TRY(remove_others(dir, names));
  return hash128_hex(hashes);
}

}  // namespace bgl::models
