// What comes out parses, and holds to its schema, whatever the model would have liked to say.
#include "serve/json_grammar.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "ops/random.h"
#include "serve/automaton.h"
#include "serve/sampler.h"

namespace bgl::serve {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

// Every byte, some longer pieces, and a mark (the last one).
class Bytes final : public text::Tokenizer {
 public:
  Bytes() {
    for (int b = 0; b < 256; ++b) pieces_.push_back(std::string(1, static_cast<char>(b)));
    for (const char* p : {"{\"", "\":", "\", \"", "true", "}}", "]]", "[[[[[[[[", "\\u", "\"}", "12", "e9", "  ", "name", "a\"", "{\"a\":{\"a\":", "\xe5\xa5", "\xbd\"", ""}) pieces_.emplace_back(p);
    pieces_.emplace_back("<end>");
    set_added_tokens({{"<end>", static_cast<int32_t>(pieces_.size()) - 1}});
  }
  std::string token_bytes(int32_t id) const override { return pieces_[static_cast<size_t>(id)]; }
  int32_t vocab_size() const override { return static_cast<int32_t>(pieces_.size()); }
  Result<std::string> to_json() const override { return std::string(); }
  int32_t end() const { return vocab_size() - 1; }

 private:
  void encode_piece(std::string_view, bool, std::vector<int32_t>&) const override {}
  std::vector<std::string> pieces_;
};

struct Drawn {
  std::string text;
  bool ended = false;
};
// What a model of random opinions writes in at most `most` tokens.
Drawn draw(const std::shared_ptr<const Grammar>& grammar, uint64_t seed, int64_t most, std::shared_ptr<Automaton> shared = nullptr) {
  static const Bytes tokenizer;
  static const auto vocabulary = std::make_shared<const ByteVocabulary>(tokenizer);
  Pushdown p(shared ? shared : std::make_shared<Automaton>(grammar, vocabulary));
  EXPECT_LE(p.tokens_to_end(), most);
  ops::Generator g;
  g.manual_seed(seed);
  Drawn out;
  const std::vector<int32_t> ends = {tokenizer.end()};
  std::vector<float> taste(static_cast<size_t>(tokenizer.vocab_size()));
  for (float& t : taste) t = static_cast<float>(6 * g.uniform_double());
  for (int64_t i = 0; i < most; ++i) {
    std::vector<float> logits = taste;
    p.mask(logits, most - i, ends);
    const int32_t token = sample(logits, {}, g);
    EXPECT_GE(token, 0) << "nothing may follow " << out.text;
    if (token < 0 || token == tokenizer.end()) {
      out.ended = token >= 0;
      return out;
    }
    EXPECT_TRUE(p.take(token));
    out.text += tokenizer.token_bytes(token);
    if (p.must_end()) break;
  }
  out.ended = p.may_end();
  return out;
}

// The states that other texts have met change nothing.
TEST(Automaton, TextsThatShareItAreWhatTheyAreAlone) {
  static const Bytes tokenizer;
  const auto grammar = json_object_grammar();
  const auto shared = std::make_shared<Automaton>(grammar, std::make_shared<const ByteVocabulary>(tokenizer));
  for (uint64_t seed = 0; seed < 60; ++seed) {
    const int64_t most = 4 + static_cast<int64_t>(seed % 50);
    EXPECT_EQ(draw(grammar, seed, most, shared).text, draw(grammar, seed, most).text) << "seed " << seed;
  }
  EXPECT_FALSE(shared->full());
}

// A mask lets through the tokens that can be taken with room for an end, tried one by one.
TEST(Automaton, AMaskIsWhatTakingSays) {
  static const Bytes tokenizer;
  const auto automaton = std::make_shared<Automaton>(json_object_grammar(), std::make_shared<const ByteVocabulary>(tokenizer));
  Pushdown p(automaton);
  const std::vector<int32_t> ends = {tokenizer.end()};
  const size_t row = static_cast<size_t>(tokenizer.vocab_size()) + 70;  // a model's rows may be more than its tokens
  for (const char c : std::string(R"({"a": [1, {"b": "c\n"}, -2.5e3], "d": null})")) {
    for (const int64_t left : {int64_t{2}, int64_t{5}, int64_t{1000}}) {
      std::vector<float> logits(row, 1);
      p.mask(logits, left, ends);
      for (size_t t = 0; t < row; ++t) {
        Pushdown q = p;
        const bool fits = q.take(static_cast<int32_t>(t)) && q.tokens_to_end() < left;
        ASSERT_EQ(logits[t] == 1, fits || (static_cast<int32_t>(t) == ends[0] && p.may_end())) << "token " << t << " with " << left << " left";
      }
    }
    ASSERT_TRUE(p.take(static_cast<unsigned char>(c)));
  }
  EXPECT_TRUE(p.may_end());
}

// Deeper and deeper lists are new states all the time.
TEST(Automaton, ManyStatesMakeItFull) {
  static const Bytes tokenizer;
  const auto automaton = std::make_shared<Automaton>(json_object_grammar(), std::make_shared<const ByteVocabulary>(tokenizer));
  Pushdown p(automaton);
  for (const char c : std::string("{\"a\":")) ASSERT_TRUE(p.take(c));
  for (int i = 0; i < 8200; ++i) ASSERT_TRUE(p.take('['));
  EXPECT_TRUE(automaton->full());
}

std::shared_ptr<const Grammar> of(const char* schema) {
  auto g = json_schema_grammar(ordered_json::parse(schema));
  EXPECT_TRUE(g.ok()) << g.status().message();
  return std::move(g).value();
}

TEST(JsonGrammar, AnyObjectParsesAndEndsInTime) {
  const auto grammar = json_object_grammar();
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    const Drawn d = draw(grammar, seed, 2 + static_cast<int64_t>(seed) % 60);
    EXPECT_TRUE(d.ended) << d.text;
    const json j = json::parse(d.text, nullptr, false);
    EXPECT_TRUE(j.is_object()) << "seed " << seed << ": " << d.text;
  }
}

TEST(JsonGrammar, AnswersHoldToTheSchema) {
  const auto grammar = of(R"({"type": "object", "additionalProperties": false, "required": ["name", "tags", "kind", "next"], "properties": {
      "name": {"type": "string", "minLength": 1, "maxLength": 3}, "age": {"type": "integer"}, "tags": {"type": "array", "items": {"type": "number"}, "minItems": 1, "maxItems": 2},
      "kind": {"enum": ["cat", "dog", 7]}, "next": {"anyOf": [{"$ref": "#/$defs/leaf"}, {"type": "null"}]}, "ok": {"type": ["boolean", "null"]}},
      "$defs": {"leaf": {"type": "object", "properties": {"x": {"const": 1}, "more": {"$ref": "#/$defs/leaf"}}, "required": ["x"]}}})");
  int with_age = 0, with_leaf = 0;
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    const Drawn d = draw(grammar, seed, 60 + static_cast<int64_t>(seed));
    EXPECT_TRUE(d.ended);
    const json j = json::parse(d.text, nullptr, false);
    ASSERT_TRUE(j.is_object()) << "seed " << seed << ": " << d.text;
    EXPECT_TRUE(j["name"].is_string() && !j["name"].get<std::string>().empty()) << d.text;
    EXPECT_TRUE(j["tags"].size() >= 1 && j["tags"].size() <= 2 && j["tags"][0].is_number()) << d.text;
    EXPECT_TRUE(j["kind"] == "cat" || j["kind"] == "dog" || j["kind"] == 7) << d.text;
    EXPECT_TRUE(j["next"].is_null() || j["next"]["x"] == 1) << d.text;
    for (const auto& [key, v] : j.items()) EXPECT_TRUE((std::set<std::string>{"name", "age", "tags", "kind", "next", "ok"}).count(key)) << d.text;
    EXPECT_TRUE(!j.contains("age") || j["age"].is_number_integer()) << d.text;
    with_age += j.contains("age");
    with_leaf += !j["next"].is_null();
  }
  EXPECT_GT(with_age, 20);
  EXPECT_GT(with_leaf, 20);
}

TEST(JsonGrammar, OtherTopsAndMaps) {
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    EXPECT_TRUE(json::parse(draw(of(R"({"type": "number"})"), seed, 9).text).is_number());
    const json map = json::parse(draw(of(R"({"type": "object", "additionalProperties": {"type": "boolean"}})"), seed, 40).text);
    for (const auto& [key, v] : map.items()) EXPECT_TRUE(v.is_boolean());
    EXPECT_EQ(json::parse(draw(of(R"({"allOf": [{"const": {"a": [1, "b"]}}]})"), seed, 40).text), json::parse(R"({"a": [1, "b"]})"));
    EXPECT_TRUE(json::parse(draw(of("{}"), seed, 40).text, nullptr, false) != json::value_t::discarded);
  }
}

TEST(JsonGrammar, WhatIsNotFollowedIsRefusedWithItsPlace) {
  const auto error = [](const char* schema) { return json_schema_grammar(ordered_json::parse(schema)).status().message(); };
  EXPECT_EQ(error(R"({"type": "object", "properties": {"age": {"type": "integer", "minimum": 0}}})"),
            "$.properties.age: the keyword 'minimum' is not supported; leave it out, or check the answer for it yourself");
  EXPECT_EQ(error(R"({"type": "text"})"), "$.type: 'text' is not a type of JSON Schema");
  EXPECT_EQ(error(R"({"$ref": "#/$defs/x"})"), "$.$ref: there is no '#/$defs/x' in the schema");
  EXPECT_EQ(error(R"({"$ref": "http://x"})"), "$.$ref: only references inside the schema (\"#/$defs/NAME\") are supported");
  EXPECT_EQ(error(R"({"$ref": "#"})"), "$: a $ref leads back to itself with nothing written between");
  EXPECT_EQ(error(R"({"$defs": {"a": {"anyOf": [{"$ref": "#/$defs/b"}]}, "b": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/a"}]}}, "$ref": "#/$defs/a"})"),
            "$: a $ref leads back to itself with nothing written between");
  EXPECT_EQ(error(R"({"type": "array", "minItems": 3, "maxItems": 2})"), "$.maxItems: is less than minItems");
  EXPECT_EQ(error(R"({"type": "string", "maxLength": 5000})"), "$.maxLength: must be an integer between 0 and 4000");
  EXPECT_EQ(error(R"({"enum": []})"), "$.enum: must be a list of 1 to 1000 values");
}

TEST(JsonGrammar, ASchemaWithoutAnEndIsSeenBeforeADraw) {
  const auto error = [](const char* schema) { return json_schema_grammar(ordered_json::parse(schema)).status().message(); };
  const std::string endless = "$: no answer holds to the schema and comes to an end: what it requires needs itself again ($ref), without a way around";
  EXPECT_EQ(error(R"({"type": "object", "required": ["a"], "properties": {"a": {"$ref": "#"}}})"), endless);
  EXPECT_EQ(error(R"({"type": "array", "minItems": 1, "items": {"anyOf": [{"$ref": "#"}, {"$ref": "#"}]}})"), endless);
  EXPECT_EQ(error(R"({"type": "array", "minItems": 1, "items": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}})"), "");
  EXPECT_EQ(error(R"({"type": "object", "properties": {"a": {"$ref": "#"}}})"), "");
}

TEST(JsonGrammar, APropertyRequiredTwiceIsWrittenOnce) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const std::string text = draw(of(R"({"type": "object", "required": ["x", "x"], "additionalProperties": false, "properties": {"y": {"type": "null"}}})"), seed, 40).text;
    EXPECT_EQ(text.find("\"x\""), text.rfind("\"x\"")) << text;
  }
}

// a0 = anyOf two of `of` a1, and so on: 2^count ways to read the same text.
std::shared_ptr<const Grammar> doubling(int count, const char* first, const char* second) {
  ordered_json defs = {{fmt::format("a{}", count), {{"type", "integer"}}}};
  for (int i = 0; i < count; ++i) {
    const auto one = [&](const char* text) { return ordered_json::parse(fmt::format(fmt::runtime(text), i + 1)); };
    defs[fmt::format("a{}", i)] = {{"anyOf", {one(first), one(second)}}};
  }
  const ordered_json a0 = {{"$ref", "#/$defs/a0"}};
  return of(ordered_json{{"$defs", defs}, {"type", "object"}, {"properties", {{"a", a0}}}, {"required", {"a"}}}.dump().c_str());
}

TEST(Automaton, AlternativesThatAreTheSameAreLookedAtOnce) {
  static const Bytes tokenizer;
  const char* next = R"({{"$ref": "#/$defs/a{}"}})";
  const auto automaton = std::make_shared<Automaton>(doubling(30, next, next), std::make_shared<const ByteVocabulary>(tokenizer));
  Pushdown p(automaton);
  for (const char c : std::string("{\"a\":")) ASSERT_TRUE(p.take(c));
  EXPECT_LT(automaton->looked_at(), 3000);
  EXPECT_TRUE(json::parse(draw(nullptr, 1, 40, automaton).text)["a"].is_number_integer());
}

// Lists in lists: each of them can be either, so that stacks would double with every bracket.
TEST(Automaton, OfTooManyStacksTheSoonestAreFollowed) {
  static const Bytes tokenizer;
  const auto grammar = doubling(18, R"({{"type": "array", "minItems": 1, "maxItems": 2, "items": {{"$ref": "#/$defs/a{}"}}}})",
                                R"({{"type": "array", "minItems": 1, "maxItems": 3, "items": {{"$ref": "#/$defs/a{}"}}}})");
  const auto automaton = std::make_shared<Automaton>(grammar, std::make_shared<const ByteVocabulary>(tokenizer));
  Pushdown p(automaton);
  for (const char c : "{\"a\":" + std::string(18, '[') + "1" + std::string(18, ']') + "}") ASSERT_TRUE(p.take(c)) << c;
  EXPECT_TRUE(p.may_end());
  EXPECT_LT(automaton->looked_at(), 8000000);
  const Drawn d = draw(grammar, 1, 60, automaton);
  EXPECT_TRUE(d.ended) << d.text;
  EXPECT_TRUE(json::parse(d.text, nullptr, false).is_object()) << d.text;
}

TEST(JsonGrammar, WhatASchemaMayCostIsBounded) {
  const auto error = [](const ordered_json& schema) { return json_schema_grammar(schema).status().message(); };
  ordered_json many = ordered_json::array(), names = ordered_json::array();
  for (int i = 0; i < 900; ++i) many.push_back(i), names.push_back(fmt::format("n{}", i));
  const ordered_json one = {{"enum", many}};
  EXPECT_EQ(error({{"anyOf", {one, one, one, one}}}), "");
  EXPECT_EQ(error({{"anyOf", {one, one, one, one, one}}}), "$.anyOf[4].enum: more than 4000 values in all are not supported");
  EXPECT_EQ(error({{"type", "object"}, {"required", names}}), "$.properties: at most 200 are supported");
  EXPECT_EQ(error({{"const", std::string(500000, 'x')}}), "$.const: the schema is too large: 400000 bytes of names, values and items are possible");
}

}  // namespace
}  // namespace bgl::serve
