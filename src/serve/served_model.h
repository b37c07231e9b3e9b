// A model as requests meet it: its name, its engine, its adapter there, and what reading requests needs of its tokenizer.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "serve/chat_prompt.h"
#include "serve/engine.h"
#include "serve/grammar.h"

namespace bgl::serve {

class ServedModel {
 public:
  // Model, engine and base must outlive this. An adapter of the engine's model has the name of its own, and its base is the model without it.
  ServedModel(std::string name, const models::LoadedModel& model, Engine& engine, int64_t adapter = 0, const ServedModel* base = nullptr)
      : name_(std::move(name)), model_(model), engine_(engine), adapter_(adapter), base_(base) {
    if (model.tokenizer) chat_.emplace(model);
  }
  const std::string& name() const { return name_; }
  const models::LoadedModel& model() const { return model_; }
  Engine& engine() const { return engine_; }
  int64_t adapter() const { return adapter_; }
  const ServedModel* base() const { return base_; }  // null: it is one itself
  const ChatPrompt& chat() const { return *chat_; }  // of a model with a tokenizer
  // Made at the first call. Any thread.
  std::shared_ptr<const ByteVocabulary> vocabulary() const {
    if (base_) return base_->vocabulary();
    std::call_once(vocabulary_made_, [this] { vocabulary_ = std::make_shared<const ByteVocabulary>(*model_.tokenizer); });
    return vocabulary_;
  }

 private:
  std::string name_;
  const models::LoadedModel& model_;
  Engine& engine_;
  const int64_t adapter_;
  const ServedModel* const base_;
  std::optional<ChatPrompt> chat_;
  mutable std::once_flag vocabulary_made_;
  mutable std::shared_ptr<const ByteVocabulary> vocabulary_;
};

}  // namespace bgl::serve
