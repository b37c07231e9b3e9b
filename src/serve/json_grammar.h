// The JSON texts that a response_format allows, as a grammar. Of JSON Schema these keywords are followed:
//
//   type (one or a list), enum, const, anyOf, allOf of one, $ref to "#" and "#/...", properties, required, additionalProperties,
//   items, minItems and maxItems (to 1000), minLength and maxLength (to 4000);
//   at most 200 properties an object, 1000 values an enum and 4000 in all
//
// and these do not matter: title, description, default, examples, deprecated, $schema, $id, $comment, $defs, definitions. Any other is an
// error: an answer that only looks like the schema's is worse than none.
//
// What is written is inside the schema and narrower: properties come in the schema's order, none but the named ones where any are
// named; numbers have at most 15 digits before and after the point and an exponent of two; strings are UTF-8; white space comes in runs
// of at most 16 bytes.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>

#include "base/status.h"
#include "serve/grammar.h"

namespace bgl::serve {

// Any object.
std::shared_ptr<const Grammar> json_object_grammar();
// Errors say where in the schema ("$.properties.age: ..."); one that nothing finite holds to is an error too. The schema's order of
// properties is kept, hence the type.
Result<std::shared_ptr<const Grammar>> json_schema_grammar(const nlohmann::ordered_json& schema);

}  // namespace bgl::serve
