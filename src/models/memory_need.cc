#include "models/memory_need.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/process_memory.h"
#include "base/progress.h"
#include "models/internal/weight_names.h"
#include "models/llama2c.h"

namespace bgl::models {
namespace {

using ops::WeightType;

// What PackedWeight::bytes() will be of a matrix [rows, width] (ops/packed.h).
int64_t packed_bytes(int64_t rows, int64_t width, WeightType type) {
  const int64_t outputs = (rows + ops::kPanelWidth - 1) / ops::kPanelWidth * ops::kPanelWidth, groups = ops::scale_groups(width);
  switch (type) {
    case WeightType::kF32:
      return outputs * width * 4;
    case WeightType::kBF16:
      return outputs * width * 2;
    case WeightType::kInt8:
      return outputs * (width + 4 * groups);
    case WeightType::kW8A8:
      return outputs * groups * (ops::kScaleGroup + 2 * 4);
    case WeightType::kW16A16:
      return outputs * ((width + ops::kPair - 1) / ops::kPair) * ops::kPair * 2;
  }
  return 0;
}

// A parameter of the model: how large it will lie, and how large it lies before it is packed, if it is not mapped then.
struct Held {
  bool matrix = false;
  int64_t rows = 0, width = 0;
  int64_t plain_bytes = 0;   // unpacked
  int64_t copied_bytes = 0;  // of plain_bytes, in memory of our own
  bool bf16 = false;
};

int64_t laid_out_bytes(const std::vector<Held>& all, std::optional<WeightType> type) {
  int64_t total = 0;
  for (const Held& h : all) {
    total += h.matrix ? packed_bytes(h.rows, h.width, type.value_or(h.bf16 ? WeightType::kBF16 : WeightType::kF32)) : h.plain_bytes;
  }
  return total;
}

// Every tensor once. `dtypes` of the file, by its names; a name that is not there is F32.
std::vector<Held> parameters_held(Model& model, const FileStyle& style) {
  std::set<const void*> matrices, seen;
  model.for_each_module([&](framework::Module& m) {
    if (const auto* l = dynamic_cast<const framework::Linear*>(&m)) matrices.insert(l->weight.impl().get());
  });
  std::vector<Held> out;
  for (const auto& p : model.named_parameters()) {
    if (!seen.insert(p.tensor.impl().get()).second) continue;
    const auto dtype = style.dtypes.find(file_name(model.config(), style, p.name));
    const std::string stored = dtype == style.dtypes.end() ? "F32" : dtype->second;
    Held h;
    h.matrix = matrices.count(p.tensor.impl().get()) > 0;
    h.bf16 = stored == "BF16" && p.tensor.shape().size() == 2;
    h.plain_bytes = p.tensor.numel() * (h.bf16 ? 2 : 4);
    if ((stored != "F32" && !h.bf16) || stored_transposed(model.config(), p.name)) h.copied_bytes = h.plain_bytes;
    if (h.matrix) h.rows = p.tensor.size(0), h.width = p.tensor.size(1);
    out.push_back(h);
  }
  return out;
}

// Copies lie there until their matrix is packed, one after the other.
int64_t most_while_loading(const std::vector<Held>& all, std::optional<WeightType> type) {
  int64_t now = 0, most = 0;
  for (const Held& h : all) now += h.matrix ? h.copied_bytes : h.plain_bytes;
  for (const Held& h : all) {
    if (!h.matrix) continue;
    most = std::max(most, now += laid_out_bytes({h}, type));
    now -= h.copied_bytes;
  }
  return std::max(most, now);
}

std::string amount(int64_t bytes) { return human_bytes(static_cast<double>(bytes)); }

}  // namespace

Result<InferenceNeed> inference_need(const std::string& path, std::optional<WeightType> weights) {
  InferenceNeed out;
  out.path = path;
  std::unique_ptr<Model> model;
  FileStyle style;
  if (!real_env().exists(path)) return not_found("{}: no such model", path);
  BGL_ASSIGN(const FileStat info, real_env().stat(path));
  try {
    if (info.is_dir) {
      BGL_ASSIGN(const std::string text, read_config_file(path));
      BGL_ASSIGN(const ModelConfig config, ModelConfig::parse(text, join_path(path, "config.json")));
      model = make_model(config, Init::kNone);
      BGL_ASSIGN(style, stored_style(path, config));
    } else {
      BGL_ASSIGN(model, load_llama2c(path));
    }
    out.config = model->config();
    const std::vector<Held> held = parameters_held(*model, style);
    out.weights_bytes = laid_out_bytes(held, weights);
    out.loading_bytes = most_while_loading(held, weights);
    out.int8_bytes = laid_out_bytes(held, WeightType::kInt8);
    const bool bf16 = std::any_of(held.begin(), held.end(), [](const Held& h) { return h.matrix && h.bf16; });
    out.matrices = ops::name_of(weights.value_or(bf16 ? WeightType::kBF16 : WeightType::kF32));
  } catch (const Error& e) {
    return e.status();
  }
  return out;
}

Status check_fits(const std::string& who, std::span<const MemoryItem> items, const std::string& advice, int64_t held_bytes) {
  int64_t total = 0;
  std::string sum;
  for (const MemoryItem& i : items) {
    total += i.bytes;
    sum += fmt::format("{}{} {}", sum.empty() ? "" : " + ", amount(i.bytes), i.what);
  }
  const AvailableMemory available = available_memory();
  if (total - held_bytes <= available.bytes) return Status();
  return make_status(Code::kResourceExhausted, "{} does not fit in memory: {} = {}, and {} are available ({}): {}", who, sum, amount(total),
                     amount(available.bytes + held_bytes), available.says, advice);
}

Status check_fits(std::span<const InferenceNeed> models, std::vector<MemoryItem> more, const std::string& more_advice) {
  if (models.empty()) return Status();
  std::vector<MemoryItem> items;
  std::string who;
  int64_t loading = 0, int8_bytes = 0, now = 0;
  for (const InferenceNeed& m : models) {
    who += (who.empty() ? "" : " with ") + m.path;
    items.push_back({fmt::format("of weights (matrices in {})", m.matrices), m.weights_bytes});
    loading = m.loading_bytes - m.weights_bytes;
    int8_bytes += m.int8_bytes;
    now += m.weights_bytes;
  }
  if (loading > 0) items.push_back({"more while they are loaded", loading});
  items.insert(items.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
  std::string advice = int8_bytes < now ? fmt::format("--weights int8 takes {} for the weights", amount(int8_bytes)) : "take a smaller model or a larger machine";
  if (!more_advice.empty()) advice += "; " + more_advice;
  return check_fits(who, items, advice);
}

}  // namespace bgl::models
