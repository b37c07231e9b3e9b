#include "serve/api_schema.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace bgl::serve {
namespace {

using nlohmann::json;

// Fields of both completion endpoints. "x-unsupported": only a value that changes nothing is possible.
constexpr const char* kCommon = R"json({
"model": {"type": "string", "description": "the name of a served model; absent: the first"},
"temperature": {"type": "number", "minimum": 0, "maximum": 2, "description": "0: always the most likely token"},
"top_p": {"type": "number", "minimum": 0, "maximum": 1, "description": "the smallest set of tokens whose probability reaches it"},
"top_k": {"type": "integer", "minimum": -1, "maximum": 1073741824, "description": "the most likely so many tokens; 0 or -1: all"},
"min_p": {"type": "number", "minimum": 0, "maximum": 1, "description": "tokens less probable than this share of the most probable one are left out"},
"presence_penalty": {"type": "number", "minimum": -2, "maximum": 2, "description": "taken from the logits of tokens that the answer holds"},
"frequency_penalty": {"type": "number", "minimum": -2, "maximum": 2, "description": "taken from the logits of tokens for every time that the answer holds them"},
"repetition_penalty": {"type": "number", "minimum": 0.01, "maximum": 100, "description": "divides positive logits of tokens that prompt or answer hold, and multiplies others"},
"logit_bias": {"type": "object", "additionalProperties": {"type": "number", "minimum": -100, "maximum": 100}, "propertyNames": {"pattern": "^[0-9]{1,9}$"},
  "description": "what is added to the logits of tokens, by id"},
"seed": {"type": "integer", "minimum": -9223372036854775808, "maximum": 9223372036854775807, "description": "the same seed gives the same answer"},
"n": {"type": "integer", "minimum": 1, "maximum": 128, "description": "answers a prompt"},
"stop": {"anyOf": [{"type": "string", "minLength": 1}, {"type": "array", "maxItems": 4, "items": {"type": "string", "minLength": 1}}],
  "description": "a string or a list of at most 4 strings, none empty"},
"stream": {"type": "boolean", "description": "server-sent events"},
"stream_options": {"type": "object", "additionalProperties": false, "properties": {
  "include_usage": {"type": "boolean", "description": "a last event holds the usage"},
  "include_obfuscation": {"type": "boolean", "description": "has no effect"}}},
"ignore_eos": {"type": "boolean", "description": "go on after the model's end of text"},
"response_format": {"type": "object", "required": ["type"], "additionalProperties": false, "properties": {
  "type": {"enum": ["text", "json_object", "json_schema"], "description": "text, json_object or json_schema"},
  "json_schema": {"type": "object", "required": ["schema"], "additionalProperties": false, "properties": {
    "name": {"type": "string"}, "description": {"type": "string"}, "strict": {"type": "boolean"}, "schema": {"type": "object"}}}},
  "description": "json_object, json_schema: what comes out parses, and holds to the schema"},
"user": {"type": "string", "description": "has no effect"},
"metadata": {"type": "object", "description": "has no effect"},
"store": {"type": "boolean", "description": "has no effect: nothing is stored"},
"service_tier": {"type": "string", "description": "has no effect"},
"safety_identifier": {"type": "string", "description": "has no effect"},
"prompt_cache_key": {"type": "string", "description": "has no effect: equal beginnings share their cache in any case"}
})json";

constexpr const char* kCompletion = R"json({
"prompt": {"anyOf": [{"type": "string"}, {"type": "array", "minItems": 1, "items": {"type": "integer", "minimum": 0, "maximum": 2147483647}},
    {"type": "array", "minItems": 1, "maxItems": 128, "items": {"anyOf": [{"type": "string"}, {"type": "array", "minItems": 1, "items": {"type": "integer", "minimum": 0, "maximum": 2147483647}}]}}],
  "description": "a string, a list of token ids, or a list of at most 128 of these"},
"max_tokens": {"type": "integer", "minimum": 0, "maximum": 1073741824, "description": "tokens of the answer at most; absent: 16"},
"logprobs": {"type": "integer", "minimum": 0, "maximum": 20, "description": "tell the logarithm of every token's probability, and of so many most likely ones beside it"},
"best_of": {"enum": [1], "x-unsupported": true, "description": "1"},
"echo": {"enum": [false], "x-unsupported": true, "description": "false"},
"suffix": {"enum": [""], "x-unsupported": true, "description": "an empty string"}
})json";

constexpr const char* kMessages = R"json({"type": "array", "minItems": 1, "maxItems": 4096, "items": {"type": "object", "required": ["role"], "properties": {
  "role": {"enum": ["system", "developer", "user", "assistant", "tool"], "description": "system, developer, user, assistant or tool"},
  "content": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "object", "required": ["type", "text"], "properties": {"type": {"enum": ["text"]}, "text": {"type": "string"}}}}],
    "description": "a string, or a list of parts {\"type\": \"text\", \"text\": ...}"},
  "name": {"type": "string"}}}})json";

constexpr const char* kChat = R"json({
"max_tokens": {"type": "integer", "minimum": 1, "maximum": 1073741824, "description": "tokens of the answer at most; absent: what the context leaves"},
"max_completion_tokens": {"type": "integer", "minimum": 1, "maximum": 1073741824, "description": "the same as max_tokens"},
"logprobs": {"type": "boolean", "description": "tell the logarithm of every token's probability"},
"top_logprobs": {"type": "integer", "minimum": 0, "maximum": 20, "description": "with logprobs: and of so many most likely ones"},
"chat_template_kwargs": {"type": "object", "description": "variables for the model's chat template"},
"add_generation_prompt": {"type": "boolean", "description": "false: the answer goes on with the last message"},
"modalities": {"type": "array", "items": {"enum": ["text"], "description": "text"}},
"tools": {"type": "array", "maxItems": 0, "x-unsupported": true, "description": "an empty list"},
"tool_choice": {"enum": ["none", "auto"], "x-unsupported": true, "description": "none or auto"},
"parallel_tool_calls": {"type": "boolean", "description": "has no effect"},
"functions": {"type": "array", "maxItems": 0, "x-unsupported": true, "description": "an empty list"},
"reasoning_effort": {"type": "string", "description": "has no effect"},
"verbosity": {"type": "string", "description": "has no effect"}
})json";

constexpr const char* kTokenize = R"json({"type": "object", "additionalProperties": false, "properties": {
"model": {"type": "string", "description": "the name of a served model; absent: the first"},
"prompt": {"type": "string", "description": "the text, or messages"},
"add_special_tokens": {"type": "boolean", "description": "begin-of-text where the model wants it; absent: true"},
"return_token_strs": {"type": "boolean", "description": "give every token's text as well"},
"add_generation_prompt": {"type": "boolean", "description": "with messages: the beginning of the answer; absent: true"},
"chat_template_kwargs": {"type": "object", "description": "variables for the model's chat template"}
}})json";

constexpr const char* kDetokenize = R"json({"type": "object", "additionalProperties": false, "required": ["tokens"], "properties": {
"model": {"type": "string", "description": "the name of a served model; absent: the first"},
"tokens": {"type": "array", "maxItems": 1048576, "items": {"type": "integer", "minimum": 0, "maximum": 2147483647}}
}})json";

json object_of(std::initializer_list<const char*> tables) {
  json properties = json::object();
  for (const char* t : tables) properties.update(json::parse(t));
  return {{"type", "object"}, {"additionalProperties", false}, {"properties", properties}};
}

// As our checks read it, a property that is not required may be null; OpenAPI has to say so.
void allow_null(json& schema) {
  if (schema.is_array()) {
    for (json& s : schema) allow_null(s);
    return;
  }
  if (!schema.is_object()) return;
  const json required = schema.value("required", json::array());
  if (schema.contains("properties")) {
    for (auto& [key, s] : schema["properties"].items()) {
      allow_null(s);
      if (std::find(required.begin(), required.end(), key) == required.end()) s = {{"anyOf", {s, {{"type", "null"}}}}};
    }
  }
  for (const char* key : {"items", "anyOf"}) {
    if (schema.contains(key)) allow_null(schema[key]);
  }
}

json reference(const char* name) { return {{"$ref", std::string("#/components/schemas/") + name}}; }
json answer(const char* description, const char* schema, const char* type = "application/json") {
  return {{"description", description}, {"content", {{type, {{"schema", schema ? reference(schema) : json{{"type", "string"}}}}}}}};
}

json operation(const char* id, const char* summary, const json& ok, const char* body, bool key) {
  json responses = {{"200", ok}, {"default", answer("refused; the body says why", "Error")}};
  json out = {{"operationId", id}, {"summary", summary}, {"responses", responses}};
  if (body) out["requestBody"] = {{"required", true}, {"content", {{"application/json", {{"schema", reference(body)}}}}}};
  if (!key) out["security"] = json::array();
  return out;
}

json response_schemas() {
  return json::parse(R"json({
"Error": {"type": "object", "required": ["error"], "properties": {"error": {"type": "object", "required": ["message", "type"], "properties": {
  "message": {"type": "string"}, "type": {"type": "string"}, "param": {"type": ["string", "null"]}, "code": {"type": ["string", "null"]}}}}},
"Usage": {"type": "object", "required": ["prompt_tokens", "completion_tokens", "total_tokens"], "properties": {"prompt_tokens": {"type": "integer"},
  "completion_tokens": {"type": "integer"}, "total_tokens": {"type": "integer"}, "prompt_tokens_details": {"type": "object"}}},
"CompletionAnswer": {"type": "object", "required": ["id", "object", "created", "model", "choices", "usage"], "properties": {"id": {"type": "string"},
  "object": {"const": "text_completion"}, "created": {"type": "integer"}, "model": {"type": "string"}, "choices": {"type": "array", "items": {"type": "object",
  "required": ["index", "text", "finish_reason"], "properties": {"index": {"type": "integer"}, "text": {"type": "string"}, "logprobs": {"type": ["object", "null"]},
  "finish_reason": {"enum": ["stop", "length"]}}}}, "usage": {"$ref": "#/components/schemas/Usage"}}},
"ChatAnswer": {"type": "object", "required": ["id", "object", "created", "model", "choices", "usage"], "properties": {"id": {"type": "string"},
  "object": {"const": "chat.completion"}, "created": {"type": "integer"}, "model": {"type": "string"}, "choices": {"type": "array", "items": {"type": "object",
  "required": ["index", "message", "finish_reason"], "properties": {"index": {"type": "integer"}, "message": {"type": "object", "required": ["role", "content"]},
  "logprobs": {"type": ["object", "null"]}, "finish_reason": {"enum": ["stop", "length"]}}}}, "usage": {"$ref": "#/components/schemas/Usage"}}},
"Model": {"type": "object", "required": ["id", "object", "created", "owned_by"], "properties": {"id": {"type": "string"}, "object": {"const": "model"},
  "created": {"type": "integer"}, "owned_by": {"type": "string"}, "max_model_len": {"type": "integer"}, "parent": {"type": "string"}}},
"Models": {"type": "object", "required": ["object", "data"], "properties": {"object": {"const": "list"}, "data": {"type": "array", "items": {"$ref": "#/components/schemas/Model"}}}},
"Tokens": {"type": "object", "required": ["tokens", "count", "max_model_len"], "properties": {"tokens": {"type": "array", "items": {"type": "integer"}},
  "count": {"type": "integer"}, "max_model_len": {"type": "integer"}, "token_strs": {"type": "array", "items": {"type": "string"}}}},
"Text": {"type": "object", "required": ["prompt"], "properties": {"prompt": {"type": "string"}}},
"Health": {"type": "object", "required": ["status"], "properties": {"status": {"type": "string"}}},
"Version": {"type": "object", "required": ["version"], "properties": {"version": {"type": "string"}}},
"Any": {"type": "object"}
})json");
}

json make_document() {
  json schemas = response_schemas();
  const std::pair<const char*, const json*> requests[] = {{"CompletionRequest", &completion_schema()}, {"ChatRequest", &chat_schema()}, {"TokenizeRequest", &tokenize_schema()},
                                                          {"DetokenizeRequest", &detokenize_schema()}};
  for (const auto& [name, schema] : requests) {
    schemas[name] = *schema;
    allow_null(schemas[name]);
  }
  json one_model = operation("get_model", "One of the models served", answer("it", "Model"), nullptr, true);
  one_model["parameters"] = {{{"name", "model"}, {"in", "path"}, {"required", true}, {"schema", {{"type", "string"}}}}};
  json streamed_completion = answer("the answer; with stream, events until [DONE]", "CompletionAnswer"), streamed_chat = answer("the answer; with stream, events until [DONE]", "ChatAnswer");
  for (json* s : {&streamed_completion, &streamed_chat}) (*s)["content"]["text/event-stream"] = json::object();
  const json paths = {
      {"/v1/completions", {{"post", operation("create_completion", "Continue a text", streamed_completion, "CompletionRequest", true)}}},
      {"/v1/chat/completions", {{"post", operation("create_chat_completion", "Answer a conversation", streamed_chat, "ChatRequest", true)}}},
      {"/v1/models", {{"get", operation("list_models", "The models served", answer("all", "Models"), nullptr, true)}}},
      {"/v1/models/{model}", {{"get", one_model}}},
      {"/tokenize", {{"post", operation("tokenize", "The tokens of a text or a conversation", answer("them", "Tokens"), "TokenizeRequest", true)}}},
      {"/detokenize", {{"post", operation("detokenize", "The text of tokens", answer("it", "Text"), "DetokenizeRequest", true)}}},
      {"/health", {{"get", operation("health", "Whether requests are taken", answer("they are", "Health"), nullptr, false)}}},
      {"/version", {{"get", operation("version", "The server's version", answer("it", "Version"), nullptr, true)}}},
      {"/metrics", {{"get", operation("metrics", "Figures for Prometheus", answer("them", nullptr, "text/plain"), nullptr, true)}}},
      {"/openapi.json", {{"get", operation("openapi", "This document", answer("it", "Any"), nullptr, true)}}}};
  return {{"openapi", "3.1.0"},
          {"info", {{"title", "BaGuaLu"}, {"version", BGL_VERSION}, {"description", "OpenAI's completion API over models served here"}}},
          {"components", {{"schemas", schemas}, {"securitySchemes", {{"key", {{"type", "http"}, {"scheme", "bearer"}}}}}}},
          {"security", {{{"key", json::array()}}}},
          {"paths", paths}};
}

}  // namespace

const json& completion_schema() {
  static const json schema = object_of({kCommon, kCompletion});
  return schema;
}
const json& chat_schema() {
  static const json schema = [] {
    json s = object_of({kCommon, kChat});
    s["properties"]["messages"] = json::parse(kMessages);
    s["required"] = {"messages"};
    return s;
  }();
  return schema;
}
const json& tokenize_schema() {
  static const json schema = [] {
    json s = json::parse(kTokenize);
    s["properties"]["messages"] = json::parse(kMessages);
    return s;
  }();
  return schema;
}
const json& detokenize_schema() {
  static const json schema = json::parse(kDetokenize);
  return schema;
}

const std::string& openapi_document() {
  static const std::string text = make_document().dump(1);
  return text;
}

}  // namespace bgl::serve
