// Golden strings of the formats that models are trained on, made by templates of our own that use what the published ones use; and the same
// texts as jinja2 gives, where BGL_PEER_PYTHON names a Python that has it. BGL_TEMPLATES may name a folder of *.jinja files that are
// compared too.
#include "text/chat/chat_template.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

namespace bgl::text {
namespace {

using nlohmann::ordered_json;

constexpr const char* kChatML = R"j({% for m in messages %}
{% if loop.first and m.role != 'system' %}
{{ '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n' }}{% endif %}
{{ '<|im_start|>' + m['role'] + '\n' + m.content + '<|im_end|>' + '\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '\n<|im_start|>assistant\n' }}{%- endif %})j";
constexpr const char* kLlama3 = R"j({%- set all = messages %}
{%- for m in all %}
    {%- set piece = '<|start_header_id|>' + m['role'] + '<|end_header_id|>\n\n' + m['content'] | trim + '<|eot_id|>' %}
    {%- if loop.index0 == 0 %}
        {%- set piece = bos_token + piece %}
    {%- endif %}
    {{- piece }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}
{%- endif %})j";
constexpr const char* kMistral = R"j({%- if messages[0].role == 'system' %}{% set system = messages[0].content %}{% set rest = messages[1:] %}{% else %}{% set rest = messages %}{% endif %}
{{- bos_token }}{% set ns = namespace(turn=0) %}
{%- for m in rest %}
    {%- if (m['role'] == 'user') != (ns.turn % 2 == 0) %}{{ raise_exception('user and assistant must take turns') }}{% endif %}
    {%- set ns.turn = ns.turn + 1 %}
    {%- if m.role == 'user' %}
        {%- if loop.last and system is defined %}
            {{- '[INST] ' ~ system ~ '\n\n' ~ m.content ~ '[/INST]' }}
        {%- else %}
            {{- '[INST] ' ~ m.content ~ '[/INST]' }}
        {%- endif %}
    {%- else %}
        {{- ' ' + m.content|trim + eos_token }}
    {%- endif %}
{%- endfor %})j";
constexpr const char* kGemma = R"j({{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('there is no system role') }}{% endif %}{% for m in messages %}{% if (m['role'] == 'assistant') %}{% set role = 'model' %}{% else %}{% set role = m['role'] %}{% endif %}{{ '<start_of_turn>' + role + '\n' + m['content'] | trim + '<end_of_turn>\n' }}{% endfor %}{% if add_generation_prompt %}{{'<start_of_turn>model\n'}}{% endif %})j";
constexpr const char* kTools = R"j({%- if tools %}
    {{- '# Tools\n' }}
    {%- for tool in tools %}
        {{- "\n" }}{{- tool | tojson }}
    {%- endfor %}
    {{- '\n' + tools[0]|tojson(indent=2) + '\n' }}
{%- endif %}
{%- for m in messages %}
    {%- if (m.role == "user") or (m.role == "assistant" and not m.tool_calls) %}
        {{- m.role ~ ': ' ~ (m.content if m.content is string else m.content|map(attribute='text')|join('|')) ~ '\n' }}
    {%- elif m.role == "assistant" %}
        {%- for call in m.tool_calls %}
            {%- if call.function is defined %}{%- set call = call.function %}{%- endif %}
            {{- '{"name": "' + call.name + '", "arguments": ' + (call.arguments | tojson) + '}' }}
            {%- for k, v in call.arguments.items() %}{{ k ~ '=' ~ v ~ ('' if loop.last else ',') }}{% else %}none{% endfor %}
        {%- endfor %}
    {%- elif m.role == "tool" %}
        {%- if loop.index0 == 0 or (messages[loop.index0 - 1].role != "tool") %}{{- '[' }}{%- endif %}
        {{- m.content }}
        {%- if loop.last or (messages[loop.index0 + 1].role != "tool") %}{{- ']\n' }}{%- endif %}
    {%- endif %}
{%- endfor %})j";

ordered_json talk(bool system = true) {
  ordered_json messages = ordered_json::array();
  if (system) messages.push_back({{"role", "system"}, {"content", "Be kind."}});
  messages.push_back({{"role", "user"}, {"content", " Hi \"there\"\n"}});
  messages.push_back({{"role", "assistant"}, {"content", "Hello! \xe4\xbd\xa0\xe5\xa5\xbd "}});
  messages.push_back({{"role", "user"}, {"content", "Who?"}});
  return {{"messages", messages}, {"add_generation_prompt", true}, {"bos_token", "<s>"}, {"eos_token", "</s>"}};
}
ordered_json with_tools() {
  auto v = ordered_json::parse(R"({"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
    {"role": "assistant", "content": null, "tool_calls": [{"type": "function", "function": {"name": "f", "arguments": {"x": 1, "y": [true, null, 2.5, "é\n"]}}}]},
    {"role": "tool", "content": "1"}, {"role": "tool", "content": "2"}, {"role": "assistant", "content": "ok"}],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}, "required": []}}}]})");
  return v;
}

std::string rendered(const char* source, const ordered_json& variables) {
  const auto t = ChatTemplate::parse(source);
  if (!t.ok()) return "error: " + t.status().message();
  const auto text = t->render(variables.dump());
  return text.ok() ? *text : "error: " + text.status().message();
}

TEST(ChatTemplate, FormatsThatModelsAreTrainedOn) {
  EXPECT_EQ(rendered(kLlama3, talk()),
            "<s><|start_header_id|>system<|end_header_id|>\n\nBe kind.<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nHi \"there\"<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\nHello! \xe4\xbd\xa0\xe5\xa5\xbd<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nWho?<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\n");
  EXPECT_EQ(rendered(kMistral, talk()), "<s>[INST]  Hi \"there\"\n[/INST] Hello! \xe4\xbd\xa0\xe5\xa5\xbd</s>[INST] Be kind.\n\nWho?[/INST]");
  EXPECT_EQ(rendered(kGemma, talk(false)),
            "<s><start_of_turn>user\nHi \"there\"<end_of_turn>\n<start_of_turn>model\nHello! \xe4\xbd\xa0\xe5\xa5\xbd<end_of_turn>\n<start_of_turn>user\nWho?<end_of_turn>\n"
            "<start_of_turn>model\n");
  EXPECT_EQ(rendered(kGemma, talk()), "error: there is no system role");
  ordered_json one = talk(false);
  one["messages"] = ordered_json::array({{{"role", "user"}, {"content", "Hi"}}});
  EXPECT_EQ(rendered(kChatML, one), "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n\n<|im_start|>assistant\n");
}

struct Small {
  const char *source, *text;
};
const std::vector<Small> kSmall = {
    {"a\n{% if true %}\nb\n{% endif %}\nc\n", "a\nb\nc"},
    {"  {% if true %}  x{%- endif %}  y", "  x  y"},
    {"{%+ if true %}x{% endif %}\n\ny", "x\ny"},
    {"x  {{- 'a' -}}  \n y", "xay"},
    {"a {# note #} b {#- n -#} c", "a  bc"},
    {"{{ [1, 2.0, 'a\\'b', none, true, {'k': [1]}] }}", "[1, 2.0, \"a'b\", None, True, {'k': [1]}]"},
    {"{{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 / 2 }} {{ 2 ** 10 }} {{ 2 + 3 * 4 - 1 }} {{ 1e3 }} {{ 'a' * 3 }}", "3 -4 2 3.5 1024 13 1000.0 aaa"},
    {"{{ 1 < 2 < 3 }} {{ 1 < 3 < 2 }} {{ 'a' in 'cab' }} {{ 3 not in [1, 2] }} {{ not 1 == 2 }} {{ 1 == 1.0 }} {{ 'k' in {'k': 1} }}", "True False True True True True True"},
    {"{{ 'abcdef'[1:4] }} {{ 'abc'[::-1] }} {{ [1,2,3,4][-2:] }} {{ [1,2,3][::2] }} {{ 'abc'[-1] }} {{ [1,2,3][5:] }} {{ 'abcdef'[4:1:-2] }}", "bcd cba [3, 4] [1, 3] c [] ec"},
    {"{% set ns = namespace(x=1) %}{% for i in range(4) %}{% if i is odd %}{% continue %}{% endif %}{% set ns.x = ns.x + i %}{{ loop.index }}{{ loop.last }}{% endfor %}{{ ns.x }}",
     "1False3False3"},
    {"{% for i in [3,1,2] if i > 1 %}{{ loop.index0 }}:{{ i }}/{{ loop.length }} {% else %}none{% endfor %}{% for i in [] %}{% else %}none{% endfor %}", "0:3/2 1:2/2 none"},
    {"{% for k, v in {'a': 1, 'b': 2}.items() %}{{ k }}{{ v }}{% endfor %}{% for k in {'z': 1} %}{{ k }}{% endfor %}", "a1b2z"},
    {"{% set x = 1 %}{% for i in [1] %}{% set x = 2 %}{{ x }}{% endfor %}{{ x }}{% if true %}{% set x = 3 %}{% endif %}{{ x }}", "213"},
    {"{% set t %}a{{ 1 }}{% endset %}{{ t|upper }}", "A1"},
    {"{{ x is defined }} {{ x is undefined }} {{ x }} {{ x | default('d') }} {{ none | default('d') }} {{ '' | default('e', true) }} {{ x | length }}", "False True  d None e 0"},
    {"{{ ' a b '|trim }}|{{ 'xxaxx'.strip('x') }}|{{ 'a,b,c'.split(',')|join('-') }}|{{ ' a  b '.split() }}|{{ 'a,b,c'.split(',', 1) }}|{{ 'hello'|capitalize }}|{{ 'hi there'|title }}",
     "a b|a|a-b-c|['a', 'b']|['a', 'b,c']|Hello|Hi There"},
    {"{{ 'abc'.startswith('ab') }} {{ 'abc'.endswith('x') }} {{ 'aXbX'.replace('X', '-') }} {{ 'aXbX' | replace('X', '') }} {{ '12' | int + 1 }} {{ 'abc'.find('c') }}", "True False a-b- ab 13 2"},
    {"{{ {'b': [1, {'c': none}], 'a': 'é\"\\n'} | tojson }} {{ [] | tojson(indent=2) }} {{ {'a': [1]} | tojson(indent=2) }}",
     "{\"b\": [1, {\"c\": null}], \"a\": \"é\\\"\\n\"} [] {\n  \"a\": [\n    1\n  ]\n}"},
    {"{{ [{'r': 'u', 'n': 1}, {'r': 'a', 'n': 2}, {'r': 'u', 'n': 3}] | selectattr('r', 'equalto', 'u') | map(attribute='n') | list }}", "[1, 3]"},
    {"{{ ['b', 'A', 'c'] | sort }} {{ [3, 1] | sort(reverse=true) }} {{ [1, 2, 1] | unique | list }} {{ ['a', 'b'] | map('upper') | list }} {{ [1, 0, 2] | select | list }} {{ ['x','y'] | reject('equalto', 'x') | join(', ') }}",
     "['A', 'b', 'c'] [3, 1] [1, 2] ['A', 'B'] [1, 2] y"},
    {"{{ 'y' if 0 else 'n' }}{{ 'y' if 1 }}{{ 'y' if 0 }} {{ (1, 2)[0] }} {{ [1, 2]|first }} {{ 'a' ~ 1 ~ none }} {{ 'a' 'b' }} {{ '\\u4f60\\x41\\t|' }}", "ny 1 1 a1None ab 你A\t|"},
    {"{{ 5 is number }} {{ {} is mapping }} {{ 'a' is string }} {{ [] is iterable }} {{ 5 is not none }} {{ 4 is divisibleby 2 }} {{ 1 is in [1] }}", "True True True True True True True"},
    {"{{ [1,2,3]|last }} {{ 'abc'|reverse }} {{ [1,2]|reverse|list }} {{ -3|abs }} {{ {'a': 1}.get('b', 7) }} {{ {'a': 1}['a'] }} {{ {'a': {'b': 2}}.a.b }}", "3 cba [2, 1] 3 7 1 2"},
    {"{% for x in 'ab' %}{{ loop.previtem is defined }}{{ loop.nextitem }}{{ loop.revindex }};{% endfor %}", "Falseb2;True1;"},
    {"{{ raise_exception is defined }} {{ range is undefined }} {{ nothing is defined }}", "True False False"},
    {"{{ 'a\nb\n\nc' | indent(2) }}", "a\n  b\n\n  c"},
};

TEST(ChatTemplate, TheLanguagePieceByPiece) {
  for (const Small& s : kSmall) EXPECT_EQ(rendered(s.source, ordered_json::object()), s.text) << s.source;
}

TEST(ChatTemplate, WhatIsWrongIsToldWithItsLine) {
  const auto error = [](const char* source) { return rendered(source, ordered_json::object()); };
  EXPECT_EQ(error("\n{% macro f() %}{% endmacro %}"), "error: line 2: the statement 'macro' is not supported");
  EXPECT_EQ(error("{% for x in y %}"), "error: line 1: 'endfor' is missing");
  EXPECT_EQ(error("{{ a b }}"), "error: line 1: '}}' is expected, got 'b'");
  EXPECT_EQ(error("{{ 'a }}"), "error: line 1: a string is not closed");
  EXPECT_EQ(error("{{ a"), "error: line 1: {{ is not closed");
  EXPECT_EQ(error("\n\n{{ x.y }}"), "error: line 3: 'x' is undefined: it has no 'y'");
  EXPECT_EQ(error("{{ 'a' + 1 }}"), "error: line 1: '+' does not go with a string and an integer");
  EXPECT_EQ(error("{{ 'a' | nothing }}"), "error: line 1: the filter 'nothing' is not supported for a string");
  EXPECT_EQ(error("{{ 1 is nothing }}"), "error: line 1: the test 'nothing' is not supported");
  EXPECT_EQ(error("{{ f(1) }}"), "error: line 1: there is no function 'f'");
  EXPECT_EQ(error("{% break %}"), "error: line 1: 'break' outside of a loop");
  EXPECT_EQ(error("{{ raise_exception('no') }}"), "error: no");
  EXPECT_EQ(error("{{ 1 // 0 }}"), "error: line 1: division by zero");
  EXPECT_EQ(error("{% for i in range(90000) %}{% for j in range(90000) %}{% endfor %}{% endfor %}"), "error: line 1: the template takes more than 2000000 steps");
  EXPECT_EQ(error("{{ 'aaaaaaaaaaaaaaaa' * 100000000 }}"), "error: line 1: the template makes more than 268435456 bytes");
  EXPECT_EQ(error(("{{ " + std::string(10000, '(') + "1" + std::string(10000, ')') + " }}").c_str()), "error: line 1: the template is nested too deep");
  EXPECT_EQ(error("{% set n = namespace(x=[]) %}{% for i in range(200) %}{% set n.x = [n.x] %}{% endfor %}"), "error: lists are nested deeper than 100 levels");
}

TEST(ChatTemplate, IsFoundInAConfiguration) {
  auto t = chat_templates(R"({"chat_template": "{{ 1 }}"})", "");
  ASSERT_TRUE(t.ok());
  EXPECT_EQ(*t->at("default").render("{}"), "1");
  t = chat_templates(R"({"chat_template": [{"name": "default", "template": "a"}, {"name": "tool_use", "template": "b"}]})", "");
  EXPECT_EQ(*t->at("tool_use").render("{}"), "b");
  t = chat_templates(R"({"chat_template": "old"})", "new");
  EXPECT_EQ(*t->at("default").render("{}"), "new");
  EXPECT_TRUE(chat_templates("{}", "")->empty());
  EXPECT_EQ(chat_templates(R"({"chat_template": "{% x %}"})", "").status().message(), "chat template 'default': line 1: 'x' is not expected here");
  EXPECT_EQ(chat_templates(R"({"chat_template": 5})", "").status().message(), "tokenizer_config.json: chat_template must be a string or a list of {\"name\", \"template\"}");
}

TEST(ChatTemplate, RendersAsJinja2Does) {
  const char* python = std::getenv("BGL_PEER_PYTHON");
  if (!python) GTEST_SKIP() << "BGL_PEER_PYTHON names no Python with jinja2";
  std::vector<ordered_json> cases;
  std::vector<std::string> sources = {kChatML, kLlama3, kMistral, kGemma, kTools};
  if (const char* folder = std::getenv("BGL_TEMPLATES")) {
    for (const auto& f : std::filesystem::directory_iterator(folder)) {
      std::ifstream in(f.path());
      if (f.path().extension() == ".jinja") sources.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
    }
  }
  for (const std::string& source : sources) {
    for (ordered_json v : {talk(), talk(false), with_tools()}) {
      for (const bool generate : {true, false}) {
        v["add_generation_prompt"] = generate;
        v["date_string"] = "26 Jul 2024";
        v["bos_token"] = "<s>";
        v["eos_token"] = "</s>";
        cases.push_back({{"template", source}, {"variables", v}});
      }
    }
  }
  for (const Small& s : kSmall) cases.push_back({{"template", s.source}, {"variables", ordered_json::object()}});
  const std::string file = ::testing::TempDir() + "/bgl_chat_templates.jsonl";
  std::ofstream(file) << [&] {
    std::string all;
    for (const auto& c : cases) all += c.dump() + "\n";
    return all;
  }();
  FILE* pipe = popen((std::string(python) + " " BGL_SOURCE_DIR "/src/text/chat/jinja_peer.py " + file).c_str(), "r");
  ASSERT_TRUE(pipe);
  std::string line;
  size_t at = 0, same = 0;
  for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe)) {
    if (c != '\n') {
      line += static_cast<char>(c);
      continue;
    }
    ASSERT_LT(at, cases.size());
    const auto theirs = ordered_json::parse(line);
    const std::string ours = rendered(cases[at]["template"].get<std::string>().c_str(), cases[at]["variables"]);
    if (theirs.contains("text")) {
      EXPECT_EQ(ours, theirs["text"].get<std::string>()) << cases[at]["template"].get<std::string>().substr(0, 300) << cases[at]["variables"];
    } else {
      EXPECT_TRUE(ours.starts_with("error: ")) << theirs << "\n" << ours << cases[at]["template"].get<std::string>().substr(0, 300);
    }
    same += theirs.contains("text") && ours == theirs["text"].get<std::string>();
    ++at;
    line.clear();
  }
  if (pclose(pipe) != 0) GTEST_SKIP() << "the peer has no jinja2";
  EXPECT_EQ(at, cases.size());
  std::printf("%zu of %zu texts are jinja2's, the others errors of both\n", same, at);
}

}  // namespace
}  // namespace bgl::text
