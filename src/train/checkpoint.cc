#include "train/checkpoint.h"

#include <nlohmann/json.hpp>

#include "base/log.h"
#include "resilience/box_checkpoint.h"

namespace bgl::train {
namespace {

using framework::Batch;
using framework::Tensor;
using nlohmann::json;
using resilience::Box;

struct Named {
  std::string name;
  Tensor tensor;
};

std::vector<Named> state_tensors(models::Model& model, framework::Optimizer& optimizer) {
  std::vector<Named> out;
  for (auto& p : model.named_parameters()) {
    if (p.name == "lm_head.weight" && model.config().tied) continue;
    out.push_back({"model." + p.name, p.tensor});
  }
  for (auto& s : optimizer.state()) out.push_back({"optimizer." + s.name, s.tensor});
  return out;
}

Box box_of(const std::string& name, const Tensor& t, std::vector<std::shared_ptr<ops::Buffer>>& held) {
  held.push_back(t.buffer());
  const auto bytes = static_cast<size_t>(t.numel() * ops::dtype_size(t.dtype()));
  return resilience::whole_box(name, t.dtype() == ops::DType::kI64 ? "I64" : "F32", t.shape(), {held.back()->data(), bytes});
}

Result<Tensor> load_tensor(const resilience::StepReader& reader, const std::string& name, ops::DType dtype, const ops::Shape& shape) {
  auto buffer = ops::Buffer::allocate(static_cast<size_t>(ops::numel(shape) * ops::dtype_size(dtype)));
  const Box wanted = resilience::whole_box(name, dtype == ops::DType::kI64 ? "I64" : "F32", shape, {});
  BGL_TRY(reader.read(wanted, {buffer->data(), buffer->bytes()}));
  return Tensor::from_buffer(std::move(buffer), dtype, shape);
}

struct Described {
  RunState state;
  int64_t batches = 0, optimizer_steps = 0;
};

Result<Described> describe(const resilience::StepReader& reader, const std::string& dir) {
  const json j = json::parse(reader.state_json(), nullptr, false);
  Described out;
  out.state.step = reader.step();
  try {
    out.state.source = j.at("source");
    out.state.generator = j.at("generator");
    out.state.data = j.value("data", "");
    out.state.tokenizer = j.value("tokenizer", "");
    out.batches = j.at("batches");
    out.optimizer_steps = j.at("optimizer_steps");
  } catch (const json::exception&) {
    return data_loss("{}/index.json holds no state of a training run", dir);
  }
  return out;
}

Result<RunState> read_state(const std::string& dir) {
  BGL_ASSIGN(const auto reader, resilience::StepReader::open(real_env(), dir));
  BGL_ASSIGN(Described d, describe(reader, dir));
  return std::move(d.state);
}

// The folder of the newest complete step; empty when there is none.
Result<std::string> newest_step(const std::string& dir) {
  Env& env = real_env();
  BGL_ASSIGN(const auto steps, resilience::list_steps(env, dir));
  for (const std::string& step : steps) {
    if (env.exists(join_path(step, "index.json"))) return step;
    log_warn("{} has no index: it was being removed when its process ended; left out", step);
  }
  return std::string();
}

Status with_way_on(const Status& status, const std::string& step) {
  return Status(status.code(), status.message() + "; remove " + step + " to go on from the step before it");
}

Result<std::optional<Resumed>> load_step(const std::string& dir, models::Model& model, framework::Optimizer& optimizer) {
  BGL_ASSIGN(const auto reader, resilience::StepReader::open(real_env(), dir));
  BGL_ASSIGN(const Described described, describe(reader, dir));
  Resumed out;
  out.state = described.state;
  for (const Named& n : state_tensors(model, optimizer)) {
    BGL_ASSIGN(const Tensor t, load_tensor(reader, n.name, n.tensor.dtype(), n.tensor.shape()));
    Tensor target = n.tensor;
    target.set_value(ops::make_leaf(t.value().meta(), t.buffer(), n.tensor.requires_grad()));
  }
  optimizer.set_steps(described.optimizer_steps);
  for (int64_t i = 0; i < described.batches; ++i) {
    const std::string at = fmt::format("batch.{}.", i);
    Batch b;
    for (const Box& box : reader.boxes()) {
      if (box.name != at + "x" && box.name != at + "y") continue;
      BGL_ASSIGN(Tensor t, load_tensor(reader, box.name, ops::DType::kI64, box.shape));
      (box.name.back() == 'x' ? b.x : b.y) = std::move(t);
    }
    if (!b.x.defined() || !b.y.defined()) return data_loss("{} lacks the batch of its step", dir);
    for (const int64_t y : b.y.to_int_vector()) b.counted += y != Batch::kIgnore;
    out.next.push_back(std::move(b));
  }
  return std::optional(std::move(out));
}

}  // namespace

Status write_checkpoint(const std::string& dir, models::Model& model, framework::Optimizer& optimizer, const std::vector<Batch>& next,
                        const RunState& state, int64_t keep) {
  try {
    std::vector<std::shared_ptr<ops::Buffer>> held;
    std::vector<Box> boxes;
    for (const Named& n : state_tensors(model, optimizer)) boxes.push_back(box_of(n.name, n.tensor, held));
    for (size_t i = 0; i < next.size(); ++i) {
      boxes.push_back(box_of(fmt::format("batch.{}.x", i), next[i].x, held));
      boxes.push_back(box_of(fmt::format("batch.{}.y", i), next[i].y, held));
    }
    const json j = {{"source", state.source}, {"generator", state.generator}, {"batches", next.size()}, {"optimizer_steps", optimizer.steps()},
                    {"data", state.data}, {"tokenizer", state.tokenizer}};
    return resilience::write_step(real_env(), dir, state.step, boxes, j.dump(), keep);
  } catch (const Error& e) {
    return e.status();
  }
}

Result<std::optional<RunState>> newest_state(const std::string& dir) {
  BGL_ASSIGN(const std::string step, newest_step(dir));
  if (step.empty()) return std::optional<RunState>();
  auto state = read_state(step);
  if (!state.ok()) return with_way_on(state.status(), step);
  return std::optional(std::move(state).value());
}

Result<std::optional<Resumed>> read_checkpoint(const std::string& dir, models::Model& model, framework::Optimizer& optimizer) {
  BGL_ASSIGN(const std::string step, newest_step(dir));
  if (step.empty()) return std::optional<Resumed>();
  try {
    auto loaded = load_step(step, model, optimizer);
    if (!loaded.ok()) return with_way_on(loaded.status(), step);
    return loaded;
  } catch (const Error& e) {
    return e.status();
  }
}

}  // namespace bgl::train
