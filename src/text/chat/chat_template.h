// The text that a chat model continues, made of messages by the model's own template: the subset of Jinja that the templates of
// Llama, Qwen, Mistral, Gemma and ChatML are written in, set up as Hugging Face transformers does.
//
//   statements   for (with if and else), if/elif/else, set (also blocks and namespaces), break, continue, generation
//   expressions  literals, lists, dicts, operators, comparisons, a if b else c, slices, attributes, filters, tests
//   filters      trim length upper lower capitalize title string int float abs tojson replace indent items dictsort list first last
//                reverse join sort map select reject selectattr rejectattr unique min max default safe
//   methods      of strings (strip, split, startswith, replace ...) and dicts (items, keys, values, get)
//   functions    raise_exception, namespace, range, dict, strftime_now
//
// Everything else (macro, include, ...) is an error that names its line. A rendering is bounded in steps and bytes.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace bgl::text {

class ChatTemplate {
 public:
  // kInvalidArgument: "line 3: the statement 'macro' is not supported".
  static Result<ChatTemplate> parse(std::string_view source);

  // `variables_json`: an object with what the template asks for, usually messages, add_generation_prompt, bos_token, eos_token, tools.
  // kInvalidArgument: what raise_exception() said, or "line 3: 'x' is undefined ...". Thread-safe.
  Result<std::string> render(const std::string& variables_json) const;

 private:
  struct Tree;
  std::shared_ptr<const Tree> tree_;
};

// The templates of a model by name, "default" first in use: of chat_template.jinja where it is not empty, else of tokenizer_config.json's
// chat_template, a string or a list of {"name", "template"}. Empty: the model has none. Errors name the template.
Result<std::map<std::string, ChatTemplate>> chat_templates(const std::string& tokenizer_config_json, const std::string& chat_template_jinja);

}  // namespace bgl::text
