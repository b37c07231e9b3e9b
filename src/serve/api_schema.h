// What a request may hold: the schemas that check it (schema_check.h), and the OpenAPI document at /openapi.json, made from them. A field
// that is not here is refused by name.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace bgl::serve {

const nlohmann::json& completion_schema();
const nlohmann::json& chat_schema();
const nlohmann::json& tokenize_schema();
const nlohmann::json& detokenize_schema();

// OpenAPI 3.1 of every endpoint.
const std::string& openapi_document();

}  // namespace bgl::serve
