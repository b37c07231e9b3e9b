#include "models/folder.h"

#include <sys/stat.h>

#include <nlohmann/json.hpp>
#include <set>
#include <span>

#include "base/env.h"
#include "models/inference.h"
#include "models/internal/weight_names.h"
#include "models/llama2c.h"
#include "models/memory_need.h"
#include "text/files/safetensors.h"
#include "text/files/sidecar.h"
#include "text/files/staged_files.h"

namespace bgl::models {
namespace {

using nlohmann::json;

bool is_dir(const std::string& path) {
  struct stat s{};
  return ::stat(path.c_str(), &s) == 0 && S_ISDIR(s.st_mode);
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

// Files beside the weights and beside the tokenizer that are kept as they are.
constexpr const char* kModelCompanions[] = {"generation_config.json"};
constexpr const char* kTokenizerCompanions[] = {"tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "chat_template.jinja",
                                                "tokenizer.model",       "vocab.json",              "merges.txt"};

Status keep_files(const std::string& dir, std::span<const char* const> names, std::map<std::string, std::string>& kept) {
  for (const char* name : names) {
    const std::string path = join_path(dir, name);
    if (!real_env().exists(path)) continue;
    BGL_ASSIGN(kept[name], real_env().read_file(path));
  }
  return Status();
}

Status load_tokenizer_into(const std::string& from, const std::string& model_path, LoadedModel& out) {
  BGL_ASSIGN(auto tokenizer, text::load_tokenizer(from));
  if (tokenizer->vocab_size() > out.model->config().vocab) {
    return invalid_argument("{} has {} tokens, the model {} only {}: they do not belong together", from, tokenizer->vocab_size(), model_path,
                            out.model->config().vocab);
  }
  const std::string dir = is_dir(from) ? from : parent_path(from);
  const std::string file = is_dir(from) ? join_path(from, "tokenizer.json") : from;
  if (file.ends_with(".json") && real_env().exists(file)) {
    BGL_ASSIGN(out.tokenizer_json, real_env().read_file(file));
    BGL_TRY(keep_files(dir, kTokenizerCompanions, out.kept));
  } else {
    BGL_ASSIGN(out.tokenizer_json, tokenizer->to_json());
  }
  out.tokenizer = std::move(tokenizer);
  return Status();
}

Status load_folder(const std::string& dir, bool keep_bf16, LoadedModel& out) {
  Env& env = real_env();
  const std::string config_path = join_path(dir, "config.json");
  BGL_ASSIGN(const std::string config_text, read_config_file(dir));
  BGL_ASSIGN(const auto sidecar, text::Sidecar::open(env, dir));
  BGL_TRY(sidecar.check_all());
  BGL_ASSIGN(const ModelConfig config, ModelConfig::parse(config_text, config_path));
  out.model = make_model(config, Init::kNone);
  BGL_ASSIGN(out.style, load_weights(dir, *out.model, keep_bf16));
  BGL_TRY(keep_files(dir, kModelCompanions, out.kept));
  const auto generation = out.kept.find("generation_config.json");
  const bool given = generation != out.kept.end();
  BGL_ASSIGN(out.generation, GenerationDefaults::parse(given ? generation->second : config_text,
                                                       given ? join_path(dir, "generation_config.json") : config_path));
  out.lineage = read_lineage(dir);
  return Status();
}

Result<LoadedModel> load(const std::string& path, const std::string& tokenizer_path, bool keep_bf16) {
  LoadedModel out;
  if (!real_env().exists(path)) return not_found("{}: no such model", path);
  try {
    if (is_dir(path)) {
      BGL_TRY(load_folder(path, keep_bf16, out));
    } else {
      BGL_TRY(text::check_recorded(real_env(), path));
      BGL_ASSIGN(out.model, load_llama2c(path));
    }
    std::string from = tokenizer_path;
    if (from.empty() && is_dir(path) && real_env().exists(join_path(path, "tokenizer.json"))) from = join_path(path, "tokenizer.json");
    if (!from.empty()) BGL_TRY(load_tokenizer_into(from, path, out));
  } catch (const Error& e) {
    return e.status();
  }
  return out;
}

}  // namespace

Result<LoadedModel> load_model(const std::string& path, const std::string& tokenizer_path) { return load(path, tokenizer_path, false); }

Result<LoadedModel> load_for_inference(const std::string& path, const std::string& tokenizer_path, std::optional<ops::WeightType> weights) {
  BGL_ASSIGN(const InferenceNeed need, inference_need(path, weights));
  BGL_TRY(check_fits(std::span(&need, 1)));
  BGL_ASSIGN(LoadedModel out, load(path, tokenizer_path, true));
  BGL_TRY(lay_out_for_inference(*out.model, weights));
  return out;
}

namespace {

// The weights with their low-rank parts merged, into `dir`. Returns their hash.
Result<std::string> save_merged(const std::string& dir, const LoadedModel& loaded, int64_t max_file_bytes) {
  Model& model = *loaded.model;
  try {
    model.for_each_module([](framework::Module& m) {
      if (auto* l = dynamic_cast<framework::Linear*>(&m)) l->merge_low_rank();
    });
    auto weights = save_weights(dir, model, loaded.style, max_file_bytes);
    model.for_each_module([](framework::Module& m) {
      if (auto* l = dynamic_cast<framework::Linear*>(&m)) l->unmerge_low_rank();
    });
    return weights;
  } catch (const Error& e) {
    return e.status();
  }
}

}  // namespace

Result<std::string> save_model(const std::string& dir, const LoadedModel& loaded, int64_t max_file_bytes) {
  Env& env = real_env();
  BGL_ASSIGN(auto staged, text::StagedFiles::begin(env, dir));
  const auto in = [&](const std::string& name) { return join_path(staged.path(), name); };
  BGL_ASSIGN(const std::string weights, save_merged(staged.path(), loaded, max_file_bytes));
  BGL_TRY(env.write_file_atomic(in("config.json"), loaded.model->config().to_json()));
  if (!loaded.tokenizer_json.empty()) BGL_TRY(env.write_file_atomic(in("tokenizer.json"), loaded.tokenizer_json));
  for (const auto& [name, bytes] : loaded.kept) BGL_TRY(env.write_file_atomic(in(name), bytes));
  const Lineage& l = loaded.lineage;
  const json j = {{"name", l.name}, {"weights", weights}, {"parent", l.parent}, {"parent_name", l.parent_name}, {"data", l.data}, {"config", l.config}};
  BGL_TRY(env.write_file_atomic(in("lineage.json"), j.dump(2) + "\n"));
  BGL_ASSIGN(auto earlier, weight_files(dir));
  staged.replaces(std::move(earlier));
  BGL_TRY(staged.publish());
  return weights;
}

Status save_adapter(const std::string& dir, Model& model, int64_t rank, double alpha) {
  Env& env = real_env();
  BGL_ASSIGN(auto staged, text::StagedFiles::begin(env, dir));
  std::vector<std::shared_ptr<ops::Buffer>> held;
  std::vector<text::TensorView> tensors;
  std::set<std::string> targets;
  try {
    for (const auto& [name, linear] : model.adaptable()) {
      const auto& low = linear->low_rank();
      if (!low.a.defined()) continue;
      targets.insert(name.substr(name.rfind('.') + 1));
      for (const auto& [part, t] : {std::pair{"lora_A", low.a}, std::pair{"lora_B", low.b}}) {
        held.push_back(t.buffer());
        tensors.push_back({fmt::format("base_model.model.{}.{}.weight", name, part), "F32", t.shape(),
                           {held.back()->data(), static_cast<size_t>(t.numel()) * sizeof(float)}});
      }
    }
  } catch (const Error& e) {
    return e.status();
  }
  BGL_TRY(text::write_safetensors(join_path(staged.path(), "adapter_model.safetensors"), tensors, {{"format", "pt"}}));
  const json j = {{"peft_type", "LORA"}, {"task_type", "CAUSAL_LM"}, {"r", rank}, {"lora_alpha", alpha}, {"target_modules", targets}};
  BGL_TRY(env.write_file_atomic(join_path(staged.path(), "adapter_config.json"), j.dump(2) + "\n"));
  return staged.publish();
}

}  // namespace bgl::models
