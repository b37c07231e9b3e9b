// What every model family offers: the loss side (whole sequences) and the serving side (single tokens over a paged cache). Shape
// letters: B batch, T time, C width, H heads, D head width, V vocabulary, N tokens of a serving step, P pages, M pages a request.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "framework/nn.h"
#include "models/config.h"

namespace bgl::models {

using framework::Init;
using framework::Tensor;

// Keys and values of all layers in pages of 64 tokens. Page 0 takes the writes of rows that pad a batch.
struct PagedCache {
  std::vector<Tensor> k;  // per layer [P, G, D, 64]
  std::vector<Tensor> v;  // per layer [P, G, 64, D]
};

// N tokens, each its own row: where it stands, where its key and value go, what it sees.
struct PagedStep {
  Tensor ids;        // [N] int64
  Tensor positions;  // [N] int64
  Tensor slots;      // [N] int64: page * 64 + place
  Tensor pages;      // [N, M] int64
  Tensor lengths;    // [N] int64: keys the token sees, itself included
  Tensor rows;       // [R] int64: the tokens whose logits are wanted
  std::optional<framework::AdapterRows> adapters;  // of adapter_rows() (adapters.h): whose the tokens are
  const framework::AdapterRows* adapted() const { return adapters ? &*adapters : nullptr; }
};

// An adapter's rows in the tables of the model's matrices.
struct AdapterPlace {
  int64_t first = 0, rank = 0;
  double scale = 1;
};

// Bytes of a page of the cache, all layers together.
int64_t page_bytes(const ModelConfig& config);

class Model : public framework::Module {
 public:
  explicit Model(ModelConfig config) : config_(std::move(config)) {}
  const ModelConfig& config() const { return config_; }
  // ids[B, T] -> logits[B, T, V]. T above the context throws Error.
  virtual Tensor forward(const Tensor& ids) = 0;
  // Writes the step's keys and values into the cache and returns logits[R, V]. A token's logits have the same bits as forward()'s.
  virtual Tensor step(const PagedStep& step, PagedCache& cache) = 0;
  PagedCache make_cache(int64_t pages) const;
  // nanoGPT's initialisation, drawn over the torch one: N(0, 0.02) for Linear and Embedding, 0.02 / sqrt(2 layers) for those that
  // write into the residual stream.
  virtual void draw_weights() = 0;
  // The Linear layers that LoRA adapts: all but the output matrix. Names as in named_parameters(), without ".weight".
  virtual std::vector<std::pair<std::string, framework::Linear*>> adaptable() = 0;
  // Those that load_adapters() (adapters.h) put beside the matrices: adapter i is adapters()[i - 1].
  const std::vector<AdapterPlace>& adapters() const { return adapters_; }
  void set_adapters(std::vector<AdapterPlace> adapters) { adapters_ = std::move(adapters); }
  // Bytes of the parameters as they are held, each once, packed ones and adapters among them; and of a cache page of all layers.
  int64_t parameter_bytes();
  int64_t page_bytes() const { return models::page_bytes(config_); }

 protected:
  ModelConfig config_;

 private:
  std::vector<AdapterPlace> adapters_;
};

// Init::kNone leaves the parameters to a loader.
std::unique_ptr<Model> make_model(const ModelConfig& config, Init init);

}  // namespace bgl::models
