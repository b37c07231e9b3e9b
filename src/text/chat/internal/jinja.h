// The subset of Jinja that chat templates are written in: values, the tree of a template, and the stages that make and run it.
//
//   jinja_lex.cc      text and tags, white space control, the tokens inside tags
//   jinja_parse.cc    the tree
//   jinja_value.cc    values as Python has them: truth, equality, str, repr, JSON
//   jinja_eval.cc     expressions and statements
//   jinja_filters.cc  filters, tests, methods of strings and dicts
//
// Inside, what is wrong is thrown as bgl::Error with the line in front; ChatTemplate (chat_template.h) turns it into a Status.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"

namespace bgl::text::jinja {

struct Value;
using List = std::vector<Value>;
using Dict = std::vector<std::pair<std::string, Value>>;  // in order of insertion

// Lists and dicts are shared and never change; a namespace does.
struct Value {
  enum class Kind : uint8_t { kUndefined, kNone, kBool, kInt, kFloat, kString, kList, kDict, kNamespace };
  Kind kind = Kind::kUndefined;
  bool flag = false;
  int64_t integer = 0;
  double real = 0;
  int depth = 0;  // of lists and dicts inside each other
  std::string text;  // of a string; of an undefined value, what was looked for
  std::shared_ptr<const List> list;
  std::shared_ptr<const Dict> dict;
  std::shared_ptr<std::map<std::string, Value>> space;

  static Value undefined(std::string name);
  static Value none();
  static Value of(bool v);
  static Value of(int64_t v);
  static Value of(double v);
  static Value of(std::string v);
  static Value of(List v);  // throws when they are nested too deep, as the next
  static Value of(Dict v);
  static Value from_json(const nlohmann::ordered_json& j);

  bool is(Kind k) const { return kind == k; }
  bool is_number() const { return kind == Kind::kInt || kind == Kind::kFloat || kind == Kind::kBool; }
  bool truth() const;
  double number() const { return kind == Kind::kFloat ? real : kind == Kind::kBool ? flag : static_cast<double>(integer); }
  int64_t whole() const { return kind == Kind::kBool ? flag : integer; }  // of a bool or an int
  std::string str() const;    // as Python's str(), "" of an undefined value
  std::string repr() const;
  std::string json(int indent) const;  // as json.dumps(ensure_ascii=False); indent < 0: on one line
  const Value* find(std::string_view key) const;  // of a dict or namespace
  const char* type_name() const;
};
bool equal(const Value& a, const Value& b);
bool less(const Value& a, const Value& b);  // numbers and strings; throws for others

struct Token {
  enum class Kind : uint8_t { kText, kOutputBegin, kOutputEnd, kBlockBegin, kBlockEnd, kName, kInt, kFloat, kString, kOperator, kEnd };
  Kind kind;
  int line;
  std::string text;
};
std::vector<Token> lex(std::string_view source);

struct Node;
using NodePtr = std::unique_ptr<Node>;
struct Node {
  enum class Kind : uint8_t {
    kLiteral, kName, kAttribute, kItem, kSlice, kCall, kFilter, kTest, kUnary, kBinary, kAnd, kOr, kNot, kCompare, kIfElse, kList, kDict,
    kText, kOutput, kFor, kIf, kSet, kSetBlock, kBreak, kContinue
  };
  Kind kind;
  int line;
  std::string text = {};                              // a name, an operator, text
  Value literal = {};
  std::vector<NodePtr> parts = {};                    // operands; null where one is left out
  std::vector<std::string> names = {};                // targets of for and set; operators of a comparison
  std::vector<std::pair<std::string, NodePtr>> named = {};  // named arguments
  bool negated = false;                               // of a test
  std::vector<NodePtr> body = {}, otherwise = {};
};
// The statements of a template.
std::vector<NodePtr> parse(std::vector<Token> tokens);

// One rendering. What is made, and how long, is bounded.
class Run {
 public:
  explicit Run(std::map<std::string, Value> variables);
  std::string render(const std::vector<NodePtr>& statements);

  struct Arguments {
    int line;
    std::vector<Value> values;
    std::map<std::string, Value> named;
    // The argument in place i or of that name; null when it was not given.
    const Value* get(size_t i, const char* name) const;
  };
  // jinja_filters.cc
  Value filter(const std::string& name, const Value& v, const Arguments& arguments);
  bool test(const std::string& name, const Value& v, const Arguments& arguments);
  Value method(const Value& object, const std::string& name, const Arguments& arguments);

  // Counts a step of so many bytes.
  void spend(int line, size_t bytes);

 private:
  enum class Flow : uint8_t { kGoOn, kBreak, kContinue };
  Flow statements(const std::vector<NodePtr>& list);
  Flow statement(const Node& n);
  Flow loop(const Node& n);
  void assign(const Node& n, const Value& v);
  Value evaluate(const Node& n);
  Value name(const Node& n) const;
  Value attribute(const Node& n);
  Value item(const Node& n);
  Value slice(const Node& n);
  Value call(const Node& n);
  Value binary(const Node& n);
  Value compare(const Node& n);
  Arguments arguments(const Node& n, size_t first);
  void put(const Node& n, const std::string& text);

  std::vector<std::map<std::string, Value>> scopes_;
  std::string out_;
  int64_t steps_ = 0;
  size_t bytes_ = 0;
};

[[noreturn]] void fail(int line, const std::string& what);
// What a for loop, `list` and `in` see: items, keys, characters.
List items_of(int line, const Value& v);
// Characters of a string, each one element.
std::vector<std::string> characters_of(std::string_view text);
bool contains(int line, const Value& container, const Value& item);

}  // namespace bgl::text::jinja
