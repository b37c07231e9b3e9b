// torch.nn: modules own parameters and other modules under names. A module's parameters are drawn with torch's default
// initialisations from the default generator when it is made, in the order its members are made, unless Init::kNone says that
// they will be loaded.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "framework/tensor.h"
#include "ops/packed.h"

namespace bgl::framework {

enum class Init : uint8_t {
  kTorch,  // as torch draws them
  kNone,   // zeros, not yet in memory
};

struct NamedTensor {
  std::string name;  // "blocks.3.attention.weight"
  Tensor tensor;
};

class Module {
 public:
  Module() = default;
  virtual ~Module() = default;
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  // Own parameters first, then those of the children, in the order of registration. A tied parameter appears under each name.
  std::vector<NamedTensor> named_parameters(const std::string& prefix = "") const;
  // Each parameter once.
  std::vector<Tensor> parameters() const;
  int64_t parameter_count() const;
  // This module, then its children, depth first: torch's Module.modules().
  void for_each_module(const std::function<void(Module&)>& fn);
  void train(bool on = true);
  void eval() { train(false); }
  bool training() const { return training_; }
  void requires_grad_(bool on);
  void zero_grad();

 protected:
  void register_parameter(const std::string& name, Tensor& parameter);
  void register_module(const std::string& name, Module& child);

 private:
  struct Parameter {
    std::string name;
    Tensor* tensor;
  };
  struct Child {
    std::string name;
    Module* module;
  };
  std::vector<Parameter> parameters_;
  std::vector<Child> children_;
  bool training_ = true;
};

// Low-rank additions of several adapters to one Linear, their rows one below the other: a[T, in], b[T, out]. Row 0 is zeros.
struct AdapterTables {
  Tensor a, b;
};
// Whose additions the N rows of one call get: y[n] += sum over r of scales[n, r] (x[n] . a[ranks[r]]) b[ranks[r]]. A row has the same bits
// whatever adapters its neighbours have, as what is not its own is added as zero.
struct AdapterRows {
  Tensor ranks;   // [R] int64: rows of the tables
  Tensor scales;  // [N, R] float32: 0 where rank r is not of row n's adapter
};

// x[..., in] -> [..., out].
class Linear : public Module {
 public:
  Linear(int64_t in, int64_t out, bool bias = true, Init init = Init::kTorch);
  Tensor forward(const Tensor& x) const;
  // x[N, in] -> [N, out], with the adapters' additions; null, or a layer without adapters: forward(x).
  Tensor forward(const Tensor& x, const AdapterRows* rows) const;
  int64_t in_features() const { return packed_ ? packed_.width : weight.size(1); }
  int64_t out_features() const { return packed_ ? packed_.rows : weight.size(0); }
  void set_adapters(AdapterTables tables) { adapters_ = std::move(tables); }
  const AdapterTables& adapters() const { return adapters_; }
  Tensor weight;  // [out, in]
  Tensor bias;    // [out], undefined without

  // A low-rank addition (LoRA): y += x A^T B^T * scale, A[rank, in], B[out, rank]. Ref: arXiv:2106.09685.
  struct LowRank {
    Tensor a, b;
    double scale = 1;
  };
  // Freezes weight and bias and adds a low-rank part: A drawn as torch draws a Linear, B zero.
  void add_low_rank(int64_t rank, double alpha);
  // weight += scale * B A, or takes that away again. The low-rank part stays and is not used while merged.
  void merge_low_rank();
  void unmerge_low_rank();
  const LowRank& low_rank() const { return low_rank_; }

  // Packs the weight (ops/packed.h) as `type`, or as what it is, and lets go of the tensor, which is undefined from then on: the layer
  // can be neither trained nor saved. forward() keeps its bits where the type stays. Does nothing the second time.
  void lay_out_for_inference(std::optional<ops::WeightType> type = {});
  const ops::PackedWeight& packed() const { return packed_; }

 private:
  LowRank low_rank_;
  AdapterTables adapters_;
  ops::PackedWeight packed_;
  bool merged_ = false;
};

class Embedding : public Module {
 public:
  Embedding(int64_t rows, int64_t width, Init init = Init::kTorch);
  Tensor forward(const Tensor& ids) const;  // float32, whatever the weight is
  Tensor weight;                            // [rows, width]
  // Looks rows up in the packed weight of a tied output matrix from now on, and lets go of its own.
  void share_packed(const ops::PackedWeight& packed);

 private:
  ops::PackedWeight packed_;
};

class LayerNorm : public Module {
 public:
  LayerNorm(int64_t width, bool bias = true, double eps = 1e-5);
  Tensor forward(const Tensor& x) const;
  Tensor weight, bias;  // [width]; bias undefined without

 private:
  double eps_;
};

class RMSNorm : public Module {
 public:
  explicit RMSNorm(int64_t width, double eps = 1e-5);
  Tensor forward(const Tensor& x) const;
  Tensor weight;  // [width]

 private:
  double eps_;
};

}  // namespace bgl::framework
