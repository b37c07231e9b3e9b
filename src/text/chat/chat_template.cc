#include "text/chat/chat_template.h"

#include <nlohmann/json.hpp>

#include "text/chat/internal/jinja.h"

namespace bgl::text {

struct ChatTemplate::Tree {
  std::vector<jinja::NodePtr> statements;
};

Result<ChatTemplate> ChatTemplate::parse(std::string_view source) {
  try {
    auto tree = std::make_shared<Tree>();
    tree->statements = jinja::parse(jinja::lex(source));
    ChatTemplate out;
    out.tree_ = std::move(tree);
    return out;
  } catch (const Error& e) {
    return e.status();
  }
}

Result<std::string> ChatTemplate::render(const std::string& variables_json) const {
  const auto j = nlohmann::ordered_json::parse(variables_json, nullptr, false);
  if (!j.is_object()) return invalid_argument("a chat template's variables must be a JSON object");
  try {
    std::map<std::string, jinja::Value> variables;
    for (const auto& [key, v] : j.items()) variables[key] = jinja::Value::from_json(v);
    return jinja::Run(std::move(variables)).render(tree_->statements);
  } catch (const Error& e) {
    return e.status();
  }
}

Result<std::map<std::string, ChatTemplate>> chat_templates(const std::string& config, const std::string& jinja_file) {
  std::map<std::string, std::string> sources;
  if (!jinja_file.empty()) sources["default"] = jinja_file;
  const auto j = nlohmann::json::parse(config, nullptr, false);
  if (sources.empty() && j.is_object() && j.contains("chat_template")) {
    const auto& t = j["chat_template"];
    if (t.is_string()) sources["default"] = t.get<std::string>();
    if (t.is_array()) {
      for (const auto& one : t) {
        if (!one.is_object() || !one.value("name", nlohmann::json()).is_string() || !one.value("template", nlohmann::json()).is_string()) {
          return data_loss("tokenizer_config.json: chat_template must be a string or a list of {{\"name\", \"template\"}}");
        }
        sources[one["name"].get<std::string>()] = one["template"].get<std::string>();
      }
    } else if (!t.is_string() && !t.is_null()) {
      return data_loss("tokenizer_config.json: chat_template must be a string or a list of {{\"name\", \"template\"}}");
    }
  }
  std::map<std::string, ChatTemplate> out;
  for (const auto& [name, source] : sources) {
    auto one = ChatTemplate::parse(source);
    if (!one.ok()) return one.status().with_context("chat template '" + name + "'");
    out.emplace(name, std::move(one).value());
  }
  return out;
}

}  // namespace bgl::text
