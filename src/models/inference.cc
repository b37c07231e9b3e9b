#include "models/inference.h"

#include <map>
#include <set>

#include "memory/caching.h"

namespace bgl::models {
namespace {

using framework::Embedding;
using framework::Linear;

template <typename M, typename F>
void for_each(Model& model, F fn) {
  model.for_each_module([&](framework::Module& m) {
    if (auto* one = dynamic_cast<M*>(&m)) fn(*one);
  });
}

}  // namespace

Status lay_out_for_inference(Model& model, std::optional<ops::WeightType> type) {
  model.eval();
  model.requires_grad_(false);
  try {
    // A tensor that an embedding holds too is freed only when both have let go of it.
    std::map<const void*, std::vector<Embedding*>> tied;
    for_each<Embedding>(model, [&](Embedding& e) { tied[e.weight.impl().get()].push_back(&e); });
    for_each<Linear>(model, [&](Linear& l) {
      const void* held = l.weight.impl().get();
      if (!held) return;
      l.lay_out_for_inference(type);
      const auto sharing = tied.find(held);
      if (sharing == tied.end()) return;
      for (Embedding* e : sharing->second) e->share_packed(l.packed());
    });
  } catch (const Error& e) {
    return e.status();
  }
  return Status();
}

std::string weights_text(Model& model) {
  std::set<std::string> types;
  for_each<Linear>(model, [&](const Linear& l) {
    if (l.packed()) types.insert(ops::name_of(l.packed().type));
  });
  std::string names;
  for (const std::string& t : types) names += (names.empty() ? "" : " and ") + t;
  return fmt::format("weights: {} in memory, matrices in {}", memory::bytes_text(static_cast<uint64_t>(model.parameter_bytes())),
                     names.empty() ? "f32" : names);
}

}  // namespace bgl::models
