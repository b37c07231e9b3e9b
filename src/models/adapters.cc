#include "models/adapters.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/env.h"
#include "text/files/safetensors.h"
#include "text/files/sidecar.h"

namespace bgl::models {
namespace {

using framework::Tensor;
using nlohmann::json;
using text::TensorView;

constexpr const char* kConfigFile = "adapter_config.json";
constexpr const char* kWeightsFile = "adapter_model.safetensors";

struct OpenAdapter {
  std::string file;
  text::SafeTensors tensors;
  int64_t rank = 0;
  double scale = 1;
  int64_t used = 0;  // tensors that belong to a matrix of the model
};

// alpha / rank, or alpha / sqrt(rank): what adapter_config.json asks for.
Result<double> read_scale(const std::string& path, int64_t rank) {
  BGL_ASSIGN(const std::string text, real_env().read_file(path));
  const json config = json::parse(text, nullptr, false);
  const bool lora = config.is_object() && config.value("peft_type", json()) == "LORA" && config.value("lora_alpha", json()).is_number();
  if (!lora) return data_loss("{}: peft_type LORA and lora_alpha are expected", path);
  if (config.value("use_dora", json(false)) == json(true)) return make_status(Code::kUnimplemented, "{}: use_dora is not supported", path);
  for (const char* key : {"alpha_pattern", "rank_pattern"}) {
    const json pattern = config.value(key, json());
    if (pattern.is_object() && !pattern.empty()) return make_status(Code::kUnimplemented, "{}: {} is not supported: all matrices have one rank and one alpha", path, key);
  }
  const auto r = static_cast<double>(rank);
  return config["lora_alpha"].get<double>() / (config.value("use_rslora", json(false)) == json(true) ? std::sqrt(r) : r);
}

// The rank of the first part; add_part() holds the others against it.
int64_t rank_of(const text::SafeTensors& tensors) {
  for (const TensorView& t : tensors.tensors()) {
    if (t.name.ends_with(".lora_A.weight") && t.shape.size() == 2) return t.shape[0];
  }
  return 0;
}

Result<OpenAdapter> open_adapter(const std::string& dir) {
  BGL_ASSIGN(const auto sidecar, text::Sidecar::open(real_env(), dir));
  BGL_TRY(sidecar.check_all());
  OpenAdapter out;
  out.file = join_path(dir, kWeightsFile);
  BGL_ASSIGN(out.tensors, text::SafeTensors::open(out.file));
  out.rank = rank_of(out.tensors);
  if (out.rank < 1) return data_loss("{}: it holds no lora_A", out.file);
  BGL_ASSIGN(out.scale, read_scale(join_path(dir, kConfigFile), out.rank));
  return out;
}

// Widened; an error for numbers that are not finite, which would reach the tokens of others.
Result<std::vector<float>> values_of(const OpenAdapter& adapter, const TensorView& view) {
  const std::map<std::string, ops::DType> known = {{"F32", ops::DType::kF32}, {"BF16", ops::DType::kBF16}, {"F16", ops::DType::kF16}};
  const auto dtype = known.find(view.dtype);
  if (dtype == known.end()) return make_status(Code::kUnimplemented, "{}: tensor {} is {}; F32, BF16 and F16 are read", adapter.file, view.name, view.dtype);
  auto buffer = ops::Buffer::allocate(view.bytes.size());
  std::copy(view.bytes.begin(), view.bytes.end(), buffer->data());
  const Tensor stored = Tensor::from_buffer(std::move(buffer), dtype->second, view.shape);
  std::vector<float> out = Tensor(ops::cast(stored.value(), ops::DType::kF32)).to_vector();
  if (!std::all_of(out.begin(), out.end(), [](float x) { return std::isfinite(x); })) return data_loss("{}: tensor {} holds numbers that are not finite", adapter.file, view.name);
  return out;
}

// The tables of one matrix while they are filled: row 0 is zeros, then every adapter's.
struct Tables {
  int64_t in, out;
  std::vector<float> a, b;  // [rows, in], [rows, out]
};

// What `adapter` adds to the matrix `name`, into rows from `first` on.
Status add_part(OpenAdapter& adapter, const std::string& name, int64_t first, Tables& tables) {
  const std::string prefix = "base_model.model." + name + ".lora_";
  const TensorView *a = adapter.tensors.find(prefix + "A.weight"), *b = adapter.tensors.find(prefix + "B.weight");
  if (!a && !b) return Status();
  if (!a || !b) return data_loss("{}: {}{}.weight is missing", adapter.file, prefix, a ? "B" : "A");
  const ops::Shape in_file_a = a->shape, in_file_b = b->shape;
  if (in_file_a != ops::Shape{adapter.rank, tables.in} || in_file_b != ops::Shape{tables.out, adapter.rank}) {
    return data_loss("{}: {}A {} and B {} do not fit a matrix of [{}, {}] and the rank {} (A [rank, in], B [out, rank])", adapter.file, prefix, ops::shape_text(in_file_a),
                     ops::shape_text(in_file_b), tables.out, tables.in, adapter.rank);
  }
  BGL_ASSIGN(const std::vector<float> down, values_of(adapter, *a));
  BGL_ASSIGN(const std::vector<float> up, values_of(adapter, *b));
  std::copy(down.begin(), down.end(), tables.a.begin() + first * tables.in);
  for (int64_t o = 0; o < tables.out; ++o) {
    for (int64_t r = 0; r < adapter.rank; ++r) {
      tables.b[static_cast<size_t>((first + r) * tables.out + o)] = up[static_cast<size_t>(o * adapter.rank + r)];
    }
  }
  adapter.used += 2;
  return Status();
}

// Sizes are rounded up so that few different graphs are met.
int64_t rounded(int64_t ranks) {
  int64_t n = 8;
  while (n < ranks) n *= 2;
  return n;
}

}  // namespace

Status load_adapters(Model& model, const std::string& base, std::span<const std::string> dirs) {
  std::vector<OpenAdapter> open;
  std::vector<AdapterPlace> places;
  int64_t rows = 1;
  for (const std::string& dir : dirs) {
    BGL_ASSIGN(OpenAdapter adapter, open_adapter(dir));
    places.push_back({rows, adapter.rank, adapter.scale});
    rows += adapter.rank;
    open.push_back(std::move(adapter));
  }
  try {
    for (const auto& [name, linear] : model.adaptable()) {
      Tables t{linear->in_features(), linear->out_features(), {}, {}};
      t.a.resize(static_cast<size_t>(rows * t.in));
      t.b.resize(static_cast<size_t>(rows * t.out));
      int64_t used = 0;
      for (size_t i = 0; i < open.size(); ++i) {
        const int64_t before = open[i].used;
        BGL_TRY(add_part(open[i], name, places[i].first, t));
        used += open[i].used - before;
      }
      // A matrix that no adapter changes has no tables.
      if (used > 0) linear->set_adapters({Tensor::from_vector(t.a, {rows, t.in}), Tensor::from_vector(t.b, {rows, t.out})});
    }
  } catch (const Error& e) {
    return e.status().with_context(base);
  }
  for (const OpenAdapter& adapter : open) {
    const auto all = static_cast<int64_t>(adapter.tensors.tensors().size());
    if (adapter.used != all) return data_loss("{}: {} of its {} tensors belong to no matrix of {}", adapter.file, all - adapter.used, all, base);
  }
  model.set_adapters(std::move(places));
  return Status();
}

Result<int64_t> adapters_bytes(std::span<const std::string> dirs) {
  int64_t bytes = 0;
  for (const std::string& dir : dirs) {
    BGL_ASSIGN(const auto tensors, text::SafeTensors::open(join_path(dir, kWeightsFile)));
    for (const TensorView& t : tensors.tensors()) bytes += 4 * ops::numel(t.shape);
  }
  return bytes;
}

std::optional<framework::AdapterRows> adapter_rows(const Model& model, std::span<const int64_t> adapter_N) {
  const std::vector<AdapterPlace>& places = model.adapters();
  std::vector<int64_t> column(places.size() + 1, -1), ranks;  // of an adapter's first rank among those that take part
  for (const int64_t adapter : adapter_N) {
    if (adapter == 0 || column[static_cast<size_t>(adapter)] >= 0) continue;
    column[static_cast<size_t>(adapter)] = 0;
  }
  // In the order of the adapters, whatever the order of the tokens.
  for (size_t i = 1; i < column.size(); ++i) {
    if (column[i] < 0) continue;
    column[i] = static_cast<int64_t>(ranks.size());
    for (int64_t r = 0; r < places[i - 1].rank; ++r) ranks.push_back(places[i - 1].first + r);
  }
  if (ranks.empty()) return {};
  const auto n = static_cast<int64_t>(adapter_N.size()), width = rounded(static_cast<int64_t>(ranks.size()));
  ranks.resize(static_cast<size_t>(width), 0);
  std::vector<float> scales(static_cast<size_t>(n * width), 0);
  for (int64_t row = 0; row < n; ++row) {
    const int64_t adapter = adapter_N[static_cast<size_t>(row)];
    if (adapter == 0) continue;
    const AdapterPlace& place = places[static_cast<size_t>(adapter) - 1];
    std::fill_n(scales.begin() + row * width + column[static_cast<size_t>(adapter)], place.rank, static_cast<float>(place.scale));
  }
  return framework::AdapterRows{Tensor::from_vector(ranks, {width}), Tensor::from_vector(scales, {n, width})};
}

}  // namespace bgl::models
