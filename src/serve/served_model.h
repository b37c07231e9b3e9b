// A model as requests meet it: its name, its engine, its adapter there, and what reading requests needs of its tokenizer.
#pragma once

#include <algorithm>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "serve/automaton.h"
#include "serve/chat_prompt.h"
#include "serve/engine.h"

namespace bgl::serve {

class ServedModel {
 public:
  // Model, engine and base must outlive this. An adapter of the engine's model has the name of its own, and its base is the model without it.
  ServedModel(std::string name, const models::LoadedModel& model, Engine& engine, int64_t adapter = 0, const ServedModel* base = nullptr)
      : name_(std::move(name)), model_(model), engine_(engine), adapter_(adapter), base_(base) {
    if (!model.tokenizer) return;
    chat_.emplace(model);
    size_t longest = 1;
    for (int32_t t = 0; t < model.tokenizer->vocab_size(); ++t) longest = std::max(longest, model.tokenizer->token_bytes(t).size());
    for (const text::AddedToken& t : model.tokenizer->added_tokens()) longest = std::max(longest, t.text.size());
    most_prompt_bytes_ = static_cast<size_t>(engine.context()) * longest;
  }
  const std::string& name() const { return name_; }
  const models::LoadedModel& model() const { return model_; }
  Engine& engine() const { return engine_; }
  int64_t adapter() const { return adapter_; }
  const ServedModel* base() const { return base_; }  // null: it is one itself
  const ChatPrompt& chat() const { return *chat_; }  // of a model with a tokenizer
  // As many tokens as the context holds, each the longest there is: more text is not worth tokenising.
  size_t most_prompt_bytes() const { return most_prompt_bytes_; }
  // What may be written under a grammar; `key` is equal for equal ones. The last four are kept. Any thread.
  std::shared_ptr<Automaton> automaton(const std::string& key, const std::shared_ptr<const Grammar>& grammar) const {
    if (base_) return base_->automaton(key, grammar);
    const std::lock_guard lock(automata_mutex_);
    if (!vocabulary_) vocabulary_ = std::make_shared<const ByteVocabulary>(*model_.tokenizer);
    auto at = std::find_if(automata_.begin(), automata_.end(), [&](const auto& kept) { return kept.first == key; });
    auto automaton = at != automata_.end() && !at->second->full() ? at->second : std::make_shared<Automaton>(grammar, vocabulary_);
    if (at != automata_.end()) automata_.erase(at);
    automata_.emplace_back(key, automaton);
    if (automata_.size() > 4) automata_.erase(automata_.begin());
    return automaton;
  }

 private:
  std::string name_;
  const models::LoadedModel& model_;
  Engine& engine_;
  const int64_t adapter_;
  const ServedModel* const base_;
  std::optional<ChatPrompt> chat_;
  size_t most_prompt_bytes_ = 0;
  mutable std::mutex automata_mutex_;
  mutable std::shared_ptr<const ByteVocabulary> vocabulary_;  // made when it is needed first
  mutable std::vector<std::pair<std::string, std::shared_ptr<Automaton>>> automata_;
};

}  // namespace bgl::serve
