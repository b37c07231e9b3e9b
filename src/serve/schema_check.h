// Holds a request's body against the schema of its endpoint (api_schema.h): the same text that /openapi.json shows.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

namespace bgl::serve {

// What is wrong with a request: becomes 400 {"error": {"message", "type": "invalid_request_error", "param", "code"}}.
struct ApiError {
  std::string message, param, code = {};
};

// The first thing that is wrong. Keywords followed: type, minimum, maximum, minLength, minItems, maxItems, enum, items, properties,
// required, additionalProperties (false, or a schema), anyOf. A property that is null and not required is absent. In anyOf and enum, the
// message is made of the schema's description: "'stop' must be DESCRIPTION". A schema with "x-unsupported" allows only what changes
// nothing.
std::optional<ApiError> check_schema(const nlohmann::json& value, const nlohmann::json& schema, const std::string& name = "");

// The body as JSON. Errors: not JSON, nested deeper than 64 levels (before that can exhaust the stack), not an object.
std::optional<ApiError> parse_body(const std::string& body, nlohmann::json& out);

}  // namespace bgl::serve
