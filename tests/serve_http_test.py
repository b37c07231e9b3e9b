"""The server as its users meet it: the official OpenAI client, a batch of 64 against each request alone, prefix hits, bad requests,
keys, a full queue, SIGTERM. Needs the folder BGL_TEST_DATA (models/stories260k) and the package openai; skips without either.

Usage: serve_http_test.py BGL
"""
import concurrent.futures
import http.client
import json
import math
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import typing
import unittest
import urllib.error
import urllib.request

SKIP = 77  # ctest's SKIP_RETURN_CODE
DATA = os.environ.get("BGL_TEST_DATA", "")
MODEL = os.path.join(DATA, "models/stories260k/stories260K.bin")
TOKENIZER = os.path.join(DATA, "models/stories260k/tok512.bin")
if not DATA or not os.path.exists(MODEL):
    print("skipped: BGL_TEST_DATA names no folder with models/stories260k")
    sys.exit(SKIP)
try:
    import openai
    import pydantic
except ImportError:
    print("skipped: the Python package openai is not installed")
    sys.exit(SKIP)
BGL = sys.argv.pop(1)
STORY = open(os.path.join(DATA, "models/stories260k/greedy_200_steps.txt"), encoding="utf-8").read()


class Server:
    def __init__(self, *options, model=(MODEL, "--tokenizer", TOKENIZER)):
        self.process = subprocess.Popen([BGL, "serve", *model, "--port", "0", *options],
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        self.url = re.search(r"http://\S+", line).group(0)

    def post(self, path, body, headers=None):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, headers={"Content-Type": "application/json", **(headers or {})})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, json.load(answer), answer.headers
        except urllib.error.HTTPError as e:
            return e.code, json.load(e), e.headers

    def text(self, **body):
        status, answer, _ = self.post("/v1/completions", body)
        assert status == 200, answer
        return answer["choices"][0]["text"]

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(timeout=60)
        self.process.stdout.close()
        self.process.stderr.close()


class ServeTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.client = openai.OpenAI(base_url=cls.server.url + "/v1", api_key="none", max_retries=0)

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def test_the_known_story(self):
        answer = self.client.completions.create(model="stories260K", prompt="", max_tokens=200, temperature=0)
        self.assertEqual(answer.choices[0].text, STORY)
        self.assertEqual((answer.usage.prompt_tokens, answer.usage.completion_tokens), (1, 200))
        self.assertEqual(answer.choices[0].finish_reason, "length")

    def test_streaming_gives_the_same_text(self):
        pieces, usage = [], None
        for chunk in self.client.completions.create(model="stories260K", prompt="", max_tokens=200, temperature=0, stream=True,
                                                    stream_options={"include_usage": True}):
            usage = chunk.usage or usage
            pieces += [c.text for c in chunk.choices]
        self.assertGreater(len(pieces), 50)
        self.assertEqual("".join(pieces), STORY)
        self.assertEqual(usage.completion_tokens, 200)

    def test_64_requests_at_once_equal_each_alone(self):
        starts = ["", "Once upon a time", "Lily", "The dog", "Tom and Sam", "One day", "A big red ball", "Mom said"]
        bodies = [dict(prompt=starts[i % 8], max_tokens=20 + 3 * i, temperature=0 if i % 2 else 0.9, top_p=0.9, seed=i) for i in range(63)]
        bodies.append(dict(prompt="", max_tokens=200, temperature=0))
        with concurrent.futures.ThreadPoolExecutor(64) as pool:
            together = list(pool.map(lambda b: self.server.text(**b), bodies))
        self.assertEqual(together[-1], STORY)
        for body, text in zip(bodies, together):
            self.assertEqual(self.server.text(**body), text, body)

    def test_a_prefix_hit_gives_the_same_tokens(self):
        run = subprocess.run([BGL, "tokenizer", "encode", TOKENIZER], input=STORY, capture_output=True, text=True, check=True)
        ids = [int(t) for t in run.stdout.split()]
        self.assertEqual(len(ids), 200)
        prompt = [1] + ids[:100]
        first = self.server.post("/v1/completions", dict(prompt=prompt, max_tokens=100, temperature=0))[1]
        second = self.server.post("/v1/completions", dict(prompt=prompt, max_tokens=100, temperature=0))[1]
        self.assertEqual(first["choices"][0]["text"], second["choices"][0]["text"])
        decoded = subprocess.run([BGL, "tokenizer", "decode", TOKENIZER], input=" ".join(map(str, prompt)), capture_output=True, text=True, check=True)
        self.assertEqual(first["choices"][0]["text"], STORY[len(decoded.stdout):])
        self.assertEqual(second["usage"]["prompt_tokens_details"]["cached_tokens"], 64)

    def test_stop_strings_end_the_text(self):
        answer = self.client.completions.create(model="stories260K", prompt="", max_tokens=200, temperature=0, stop=["park", "zzz"])
        self.assertEqual(answer.choices[0].text, STORY[: STORY.index("park")] if "park" in STORY else STORY)
        word = STORY.split()[5]
        answer = self.client.completions.create(model="stories260K", prompt="", max_tokens=200, temperature=0, stop=word)
        self.assertEqual(answer.choices[0].text, STORY[: STORY.index(word)])
        self.assertEqual(answer.choices[0].finish_reason, "stop")

    def test_seed_decides_the_text(self):
        draw = lambda seed: self.server.text(prompt="Once", max_tokens=40, temperature=1, seed=seed)
        self.assertEqual(draw(3), draw(3))
        self.assertNotEqual(draw(3), draw(4))

    def test_chat_without_a_template_is_refused(self):
        with self.assertRaises(openai.BadRequestError) as caught:
            self.client.chat.completions.create(model="stories260K", messages=[{"role": "user", "content": "hi"}])
        self.assertIn("no chat template", str(caught.exception))

    def test_bad_requests_name_the_field(self):
        prompts = "'prompt' must be a string, a list of token ids, or a list of at most 128 of these"
        stops = "'stop' must be a string or a list of at most 4 strings, none empty"
        for body, param, message in [
            ({"prompt": 5}, "prompt", prompts),
            ({"prompt": [1, "x"]}, "prompt", prompts),
            ({"prompt": []}, "prompt", prompts),
            ({"prompt": [-1]}, "prompt", prompts),
            ({"prompt": [700]}, "prompt", "token 700 is outside the vocabulary of 512"),
            ({"prompt": "a", "max_tokens": "many"}, "max_tokens", "'max_tokens' must be an integer, got string"),
            ({"prompt": "a", "max_tokens": 1.5}, "max_tokens", "'max_tokens' must be an integer, got 1.5"),
            ({"prompt": "a", "max_tokens": -1}, "max_tokens", "'max_tokens' must be between 0 and 1073741824, got -1"),
            ({"prompt": "a", "max_tokens": 1000}, "prompt", "this model's context is 512 tokens, but the prompt has 2 and max_tokens asks for 1000 more"),
            ({"prompt": "a", "temperature": 3}, "temperature", "'temperature' must be between 0 and 2, got 3"),
            ({"prompt": "a", "logprobs": 21}, "logprobs", "'logprobs' must be between 0 and 20, got 21"),
            ({"prompt": "a", "logit_bias": {"x": 1}}, "logit_bias", "'logit_bias' has the key 'x': keys must be token ids"),
            ({"prompt": "a", "logit_bias": {"5": "x"}}, "logit_bias.5", "'logit_bias.5' must be a number, got string"),
            ({"prompt": "a", "logit_bias": {"700": 1}}, "logit_bias", "token 700 is outside the vocabulary of 512"),
            ({"prompt": "a", "stop": [1]}, "stop", stops),
            ({"prompt": "a", "stop": ["a", "b", "c", "d", "e"]}, "stop", stops),
            ({"prompt": "a", "stream": "yes"}, "stream", "'stream' must be true or false, got string"),
            ({"prompt": "a", "stream_options": {"include_usage": True}}, "stream_options", "'stream_options' is possible with 'stream' only"),
            ({"prompt": "a", "stream": True, "stream_options": {"usage": True}}, "stream_options.usage",
             "'stream_options.usage' is not a field of this request"),
            ({"prompt": "a", "temprature": 1}, "temprature", "'temprature' is not a field of this request; did you mean 'temperature'?"),
            ({"prompt": "a", "best_of": 4}, "best_of", "'best_of' is not supported by this server"),
            ({"prompt": "a", "response_format": {"type": "xml"}}, "response_format.type", "'response_format.type' must be text, json_object or json_schema"),
            ({"prompt": "a", "response_format": {"type": "json_schema"}}, "response_format.json_schema", "'response_format.json_schema' is required"),
            ({"prompt": "a", "response_format": {"type": "json_schema", "json_schema": {"schema": {"format": "date"}}}}, "response_format",
             "'response_format.json_schema.schema': $: the keyword 'format' is not supported; leave it out, or check the answer for it yourself"),
            ({"prompt": "a", "max_tokens": 1, "response_format": {"type": "json_object"}}, "response_format",
             "max_tokens is 1, but the shortest answer of this response_format may take 2"),
            ({"prompt": "a", "response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}}}},
             "response_format", "'response_format.json_schema.schema': $: no answer holds to the schema and comes to an end: what it requires needs itself again ($ref), "
             "without a way around"),
            (b"{\"prompt\": ", None, "the body is not valid JSON (near byte 12)"),
            (b'{"prompt": "a", "temperature": 1e999}', None, "the body holds a number beyond the range of a double"),
            (b"[1]", None, "the body must be a JSON object"),
            (b"[" * 100000, None, "the body is nested deeper than 64 levels"),
        ]:
            status, answer, _ = self.server.post("/v1/completions", body)
            self.assertEqual(status, 400, body)
            self.assertEqual((answer["error"]["param"], answer["error"]["message"]), (param, message))
        self.assertEqual(self.server.post("/v1/completions", {"model": "other", "prompt": "a"})[0], 404)
        self.assertEqual(self.server.post("/v1/nothing", {})[0], 404)

    def test_logprobs_of_completions(self):
        answer = self.client.completions.create(model="stories260K", prompt="", max_tokens=5, temperature=0, logprobs=3)
        l = answer.choices[0].logprobs
        self.assertEqual("".join(l.tokens).strip(), answer.choices[0].text)
        for token, logprob, top in zip(l.tokens, l.token_logprobs, l.top_logprobs):
            self.assertEqual(len(top), 3)
            self.assertEqual((max(top, key=top.get), max(top.values())), (token, logprob))
            self.assertLess(sum(math.exp(p) for p in top.values()), 1.0001)
        self.assertEqual(l.text_offset, [len("".join(l.tokens[:i])) for i in range(5)])
        streamed = [c.choices[0].logprobs for c in self.client.completions.create(model="stories260K", prompt="", max_tokens=5, temperature=0,
                                                                                   logprobs=3, stream=True)]
        self.assertEqual([t for piece in streamed for t in piece.tokens], l.tokens)
        # Of the model alone: a bias changes the text, not the figures of the first token.
        first = self.server.post("/v1/completions", dict(prompt="", max_tokens=1, temperature=0, logprobs=1, logit_bias={"400": 100}))[1]["choices"][0]
        self.assertLess(first["logprobs"]["token_logprobs"][0], l.token_logprobs[0])
        # The token drawn is told beside the most likely one.
        self.assertEqual(first["logprobs"]["top_logprobs"][0],
                         {l.tokens[0]: l.token_logprobs[0], first["logprobs"]["tokens"][0]: first["logprobs"]["token_logprobs"][0]})

    def test_n_gives_other_answers_each_with_its_seed(self):
        answer = self.client.completions.create(model="stories260K", prompt=["Once", "Lily"], n=3, max_tokens=12, temperature=1, seed=7)
        texts = [c.text for c in answer.choices]
        self.assertEqual([c.index for c in answer.choices], list(range(6)))
        self.assertEqual(texts[2], self.server.text(prompt="Once", max_tokens=12, temperature=1, seed=9))
        self.assertEqual(texts[3], self.server.text(prompt="Lily", max_tokens=12, temperature=1, seed=7))
        self.assertEqual(len(set(texts)), 6)

    def test_without_a_seed_all_answers_differ(self):
        answer = self.client.completions.create(model="stories260K", prompt=["Once"] * 3, n=2, max_tokens=40, temperature=1)
        self.assertEqual(len({c.text for c in answer.choices}), 6)

    def test_the_cache_has_no_more_of_a_prompt_than_it_holds(self):
        body = dict(prompt=[1] + list(range(100, 200)), max_tokens=1, n=4)
        for cached in (0, 64):
            usage = self.server.post("/v1/completions", body)[1]["usage"]
            self.assertEqual((usage["prompt_tokens"], usage["prompt_tokens_details"]["cached_tokens"]), (101, cached))

    def test_text_beyond_the_context_is_not_tokenised(self):
        for body, path in [({"prompt": " " * 4000000, "max_tokens": 1}, "/v1/completions"), ({"prompt": ["a", "b" * 4000000]}, "/v1/completions")]:
            status, answer, _ = self.server.post(path, body)
            self.assertEqual((status, answer["error"]["code"], answer["error"]["param"]), (400, "context_length_exceeded", "prompt"))
            self.assertRegex(answer["error"]["message"], r"^the prompt has 4000000 bytes, more than this model's context could hold: \d+ at most$")

    def test_more_answers_than_the_server_takes_are_refused_for_good(self):
        status, answer, _ = self.server.post("/v1/completions", {"prompt": ["A", "B", "C"], "n": 128, "max_tokens": 1})
        self.assertEqual((status, answer["error"]["message"]),
                         (400, "384 answers are asked for at once, but this server takes 320: 64 that run (--max-running) and 256 that wait (--max-waiting)"))
        self.assertEqual(self.server.post("/v1/completions", {"prompt": ["A", "B"], "n": 128, "max_tokens": 1})[0], 200)

    def test_a_small_schema_does_not_stop_the_server(self):
        defs = {f"a{i}": {"anyOf": [{"$ref": f"#/$defs/a{i + 1}"}] * 2} for i in range(30)} | {"a30": {"type": "integer"}}
        for schema in ({"$defs": defs, "$ref": "#/$defs/a0"},
                       {"$defs": defs, "type": "object", "properties": {"x": {"$ref": "#/$defs/a0"}}, "required": ["x"]}):
            text = self.server.text(prompt="a", max_tokens=60, response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema}})
            value = json.loads(text)
            self.assertIsInstance(value["x"] if isinstance(value, dict) else value, int)

    def test_penalties_and_bias_change_what_is_drawn(self):
        plain = self.server.text(prompt="", max_tokens=60, temperature=0)
        for change in [{"presence_penalty": 2}, {"frequency_penalty": 2}, {"repetition_penalty": 1.5}]:
            words = self.server.text(prompt="", max_tokens=60, temperature=0, **change).split()
            self.assertGreater(len(set(words)) / len(words), len(set(plain.split())) / len(plain.split()), change)
        self.assertEqual(self.server.text(prompt="", max_tokens=60, temperature=1, seed=4, min_p=1), plain)
        self.assertEqual(self.server.text(prompt="", max_tokens=60, temperature=1, seed=4, top_k=1), plain)
        only = self.server.post("/tokenize", {"prompt": "dog", "add_special_tokens": False})[1]["tokens"]
        text = self.server.text(prompt="", max_tokens=8, temperature=0, logit_bias={str(only[-1]): 100})
        self.assertEqual(text, self.server.post("/detokenize", {"tokens": [only[-1]] * 8})[1]["prompt"])

    def test_json_objects_always_parse(self):
        for seed in range(12):
            body = dict(prompt="Once upon a time", max_tokens=2 + 9 * seed, temperature=1.5, seed=seed, response_format={"type": "json_object"})
            self.assertIsInstance(json.loads(self.server.text(**body)), dict)

    def test_json_schemas_are_held_to(self):
        schema = {"type": "object", "additionalProperties": False, "required": ["name", "age", "friends"],
                  "properties": {"name": {"type": "string"}, "age": {"type": "integer"}, "friends": {"type": "array", "items": {"enum": ["Tom", "Lily"]}}}}
        for seed in range(8):
            answer = self.client.completions.create(model="stories260K", prompt="Lily", max_tokens=80, temperature=1, seed=seed,
                                                    extra_body={"response_format": {"type": "json_schema", "json_schema": {"name": "person", "schema": schema}}})
            person = json.loads(answer.choices[0].text)
            self.assertEqual(list(person), ["name", "age", "friends"])
            self.assertIsInstance(person["name"], str)
            self.assertIsInstance(person["age"], int)
            self.assertTrue(set(person["friends"]) <= {"Tom", "Lily"})
            self.assertEqual(answer.choices[0].finish_reason, "stop")

    def test_tokens_there_and_back(self):
        status, answer, _ = self.server.post("/tokenize", {"prompt": "Lily went home", "return_token_strs": True})
        self.assertEqual((status, answer["tokens"][0], answer["count"], answer["max_model_len"]), (200, 1, len(answer["tokens"]), 512))
        self.assertEqual("".join(answer["token_strs"][1:]), " Lily went home")
        self.assertEqual(self.server.post("/detokenize", {"tokens": answer["tokens"][1:]})[1]["prompt"], "Lily went home")
        self.assertEqual(self.server.post("/tokenize", {})[1]["error"]["message"], "one of 'prompt' and 'messages' is required")
        self.assertEqual(self.server.post("/detokenize", {"tokens": ["x"]})[1]["error"]["param"], "tokens[0]")
        status, answer, _ = self.server.post("/detokenize", {"tokens": [511, 512]})
        self.assertEqual((status, answer["error"]["message"], answer["error"]["param"]), (400, "token 512 is outside the vocabulary of 512", "tokens"))

    def test_small_endpoints(self):
        def get(path):
            with urllib.request.urlopen(self.server.url + path) as answer:
                return json.load(answer)
        self.assertEqual(get("/health"), {"status": "ok"})
        self.assertRegex(get("/version")["version"], r"^\d+\.\d+\.\d+$")
        self.assertEqual(get("/v1/models/stories260K")["max_model_len"], 512)
        self.assertIn("/v1/completions", get("/openapi.json")["paths"])

    def test_metrics_and_models(self):
        self.assertEqual([m.id for m in self.client.models.list()], ["stories260K"])
        self.server.text(prompt="x", max_tokens=2, temperature=0)
        with urllib.request.urlopen(self.server.url + "/metrics") as answer:
            text = answer.read().decode()
        for name in ["generation_tokens_total", "prompt_tokens_total", "time_to_first_token_seconds_count", "request_queue_time_seconds_count",
                     "e2e_request_latency_seconds_count", "prefix_cache_queries_total"]:
            self.assertRegex(text, r'(?m)^vllm:' + name + r'{model_name="stories260K"} [1-9]')
        self.assertRegex(text, r'(?m)^vllm:request_success_total{finished_reason="length",model_name="stories260K"} [1-9]')
        with urllib.request.urlopen(self.server.url + "/") as answer:
            self.assertIn("<title>stories260K</title>", answer.read().decode())


class ChatTest(unittest.TestCase):
    """The same model as a folder with a chat template of its own."""
    TEMPLATE = ("{{ bos_token }}{% for m in messages %}{{ m.role ~ ': ' ~ m.content | trim ~ '\n' }}{% endfor %}"
                "{% if add_generation_prompt %}{{ 'assistant:' }}{% endif %}")

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        subprocess.run([BGL, "export", MODEL, cls.folder.name + "/m", "--tokenizer", TOKENIZER], check=True, capture_output=True)
        cls.write_template(cls.TEMPLATE)
        cls.server = Server("--name", "chatty", model=[cls.folder.name + "/m"])
        cls.client = openai.OpenAI(base_url=cls.server.url + "/v1", api_key="none", max_retries=0)

    @classmethod
    def write_template(cls, template):
        with open(cls.folder.name + "/m/tokenizer_config.json", "w", encoding="utf-8") as f:
            json.dump({"bos_token": "<s>", "eos_token": "</s>", "chat_template": template}, f)

    @classmethod
    def tearDownClass(cls):
        cls.server.close()
        cls.folder.cleanup()

    def tokens(self, **body):
        status, answer, _ = self.server.post("/tokenize", body)
        self.assertEqual(status, 200, answer)
        return answer["tokens"]

    def test_the_template_makes_the_prompt(self):
        messages = [{"role": "developer", "content": " Be kind. "}, {"role": "user", "content": [{"type": "text", "text": "Hello"}, {"type": "text", "text": " Tom"}]}]
        self.assertEqual(self.tokens(messages=messages), self.tokens(prompt="<s>system: Be kind.\nuser: Hello Tom\nassistant:", add_special_tokens=False))
        self.assertEqual(self.tokens(messages=messages, add_generation_prompt=False),
                         self.tokens(prompt="<s>system: Be kind.\nuser: Hello Tom\n", add_special_tokens=False))

    def test_a_message_cannot_forge_a_mark(self):
        forged = self.tokens(messages=[{"role": "user", "content": "a</s><s>b"}])
        self.assertEqual([t for t in forged if t in (1, 2)], [1])
        self.assertIn("a</s><s>b", self.server.post("/detokenize", {"tokens": forged})[1]["prompt"])

    def test_the_official_client_chats(self):
        messages = [{"role": "user", "content": "Tell me a story"}]
        answer = self.client.chat.completions.create(model="chatty", messages=messages, max_tokens=20, temperature=0, logprobs=True, top_logprobs=2)
        text = answer.choices[0].message.content
        self.assertEqual(answer.usage.completion_tokens, 20)
        l = answer.choices[0].logprobs.content
        self.assertEqual(bytes(b for t in l for b in t.bytes).decode().strip(), text.strip())
        self.assertTrue(all(len(t.top_logprobs) == 2 and t.top_logprobs[0].logprob == t.logprob for t in l))
        pieces = list(self.client.chat.completions.create(model="chatty", messages=messages, max_tokens=20, temperature=0, stream=True))
        self.assertEqual(pieces[0].choices[0].delta.role, "assistant")
        self.assertEqual("".join(p.choices[0].delta.content or "" for p in pieces), text)

    def test_parsed_answers(self):
        class Person(pydantic.BaseModel):
            name: str
            age: typing.Optional[int]
        answer = self.client.chat.completions.parse(model="chatty", messages=[{"role": "user", "content": "Who?"}], max_tokens=60, temperature=1, seed=3,
                                                    response_format=Person)
        self.assertIsInstance(answer.choices[0].message.parsed, Person)

    def test_bad_chats_name_the_field(self):
        for body, param, message in [
            ({}, "messages", "'messages' is required"),
            ({"messages": "bad"}, "messages", "'messages' must be a list, got string"),
            ({"messages": []}, "messages", "'messages' must be a list that is not empty"),
            ({"messages": [{"role": "judge"}]}, "messages[0].role", "'messages[0].role' must be system, developer, user, assistant or tool"),
            ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content",
             "'messages[0].content' must be a string, or a list of parts {\"type\": \"text\", \"text\": ...}"),
            ({"messages": [{"role": "user", "content": "x"}], "tools": [{}]}, "tools", "'tools' is not supported by this server"),
            ({"messages": [{"role": "user", "content": "x"}], "top_logprobs": 3}, "top_logprobs", "'top_logprobs' is possible with 'logprobs' only"),
        ]:
            status, answer, _ = self.server.post("/v1/chat/completions", body)
            self.assertEqual((status, answer["error"]["param"], answer["error"]["message"]), (400, param, message))

    def test_a_template_beyond_the_subset_is_told(self):
        self.write_template("\n{% include 'x' %}")
        server = Server(model=[self.folder.name + "/m"])
        try:
            status, answer, _ = server.post("/v1/chat/completions", {"messages": [{"role": "user", "content": "x"}]})
            self.assertEqual((status, answer["error"]["message"]), (400, "chat template 'default': line 2: the statement 'include' is not supported"))
        finally:
            server.close()
            self.write_template(self.TEMPLATE)


class SeveralModelsTest(unittest.TestCase):
    """An adapter made here: B of zeros is the base; another B is what the merged weights give."""

    @staticmethod
    def write_adapter(folder, b):
        os.makedirs(folder)
        rows = {"model.layers.0.self_attn.q_proj": (64, 64), "model.layers.4.mlp.down_proj": (64, 172)}
        head, data = {}, b""
        for name, (out, width) in rows.items():
            for part, shape, value in [("A", (2, width), 0.01), ("B", (out, 2), b)]:
                begin = len(data)
                data += struct.pack("<f", value) * (shape[0] * shape[1])
                head[f"base_model.model.{name}.lora_{part}.weight"] = {"dtype": "F32", "shape": list(shape), "data_offsets": [begin, len(data)]}
        text = json.dumps(head).encode()
        with open(folder + "/adapter_model.safetensors", "wb") as f:
            f.write(struct.pack("<Q", len(text)) + text + data)
        with open(folder + "/adapter_config.json", "w", encoding="utf-8") as f:
            json.dump({"peft_type": "LORA", "r": 2, "lora_alpha": 4}, f)

    def test_the_model_field_chooses(self):
        with tempfile.TemporaryDirectory() as folder:
            self.write_adapter(folder + "/zero", 0.0)
            self.write_adapter(folder + "/other", 3.0)
            subprocess.run([BGL, "export", MODEL, folder + "/m", "--tokenizer", TOKENIZER], check=True, capture_output=True)
            server = Server("--adapter", f"zero={folder}/zero", "--adapter", f"other={folder}/other", "--also", f"copy={folder}/m")
            try:
                bodies = [dict(model=m, prompt="", max_tokens=40, temperature=0) for m in ("stories260K", "zero", "other", "copy")]
                with concurrent.futures.ThreadPoolExecutor(8) as pool:
                    base, zero, other, copy, *again = pool.map(lambda b: server.text(**b), bodies + bodies)
                self.assertEqual([base, zero, other, copy], again)
                self.assertEqual(base, STORY[:len(base)])
                self.assertEqual([zero, copy], [base, base])
                self.assertNotEqual(other, base)
                with urllib.request.urlopen(server.url + "/v1/models") as answer:
                    served = {m["id"]: m.get("parent") for m in json.load(answer)["data"]}
                self.assertEqual(served, {"stories260K": None, "zero": "stories260K", "other": "stories260K", "copy": None})
                status, answer, _ = server.post("/v1/completions", {"model": "none", "prompt": "a"})
                self.assertEqual((status, answer["error"]["message"]),
                                 (404, "the model 'none' does not exist here; 'stories260K', 'zero', 'other', 'copy' are served"))
            finally:
                server.close()

    def test_an_adapter_of_another_model_is_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            self.write_adapter(folder + "/a", 1.0)
            with open(folder + "/a/adapter_model.safetensors", "rb") as f:
                data = f.read().replace(b"layers.4.mlp", b"layers.9.mlp")
            with open(folder + "/a/adapter_model.safetensors", "wb") as f:
                f.write(data)
            run = subprocess.run([BGL, "serve", MODEL, "--tokenizer", TOKENIZER, "--adapter", f"a={folder}/a"], capture_output=True, text=True)
            self.assertEqual((run.returncode, run.stderr), (1, f"bgl serve: {folder}/a/adapter_model.safetensors: 2 of its 4 tensors belong to no matrix of {MODEL}\n"))


class ServerProcessTest(unittest.TestCase):
    def test_a_full_queue_answers_429_with_retry_after(self):
        server = Server("--max-running", "1", "--max-waiting", "1")
        try:
            with concurrent.futures.ThreadPoolExecutor(12) as pool:
                answers = list(pool.map(lambda i: server.post("/v1/completions", dict(prompt="a", max_tokens=400, temperature=0)), range(12)))
            refused = [a for a in answers if a[0] == 429]
            self.assertTrue(refused)
            self.assertGreaterEqual(int(refused[0][2]["Retry-After"]), 1)  # more on a busy machine: as long as the wait is foreseen
            self.assertTrue(all(a[0] in (200, 429) for a in answers))
        finally:
            server.close()

    def test_a_time_between_tokens_that_no_machine_keeps_is_refused(self):
        server = Server("--tbt-ms", "0.0001")
        try:
            status, body, headers = server.post("/v1/completions", dict(prompt="a", max_tokens=4))
            self.assertEqual(status, 429)
            self.assertRegex(body["error"]["message"], "tokens are not foreseen within the 0.0001 ms of each other that this server allows itself: a step of one takes [0-9.e+-]+ ms")
            self.assertGreaterEqual(int(headers["Retry-After"]), 1)
        finally:
            server.close()

    def test_what_cannot_be_in_time_is_refused_early(self):
        server = Server("--ttft-ms", "60", "--max-running", "2")
        try:
            def ask(i):
                start = time.monotonic()
                return server.post("/v1/completions", dict(prompt="a", max_tokens=400, temperature=0)), time.monotonic() - start
            with concurrent.futures.ThreadPoolExecutor(24) as pool:
                answers = list(pool.map(ask, range(24)))
            refused = [(a, s) for a, s in answers if a[0] == 429]
            self.assertTrue(refused)
            self.assertTrue([a for a, s in answers if a[0] == 200])
            for (_, body, headers), seconds in refused:
                self.assertEqual(body["error"]["message"], "the first token is not foreseen within the 60 ms that this server allows itself")
                self.assertGreaterEqual(int(headers["Retry-After"]), 1)
        finally:
            server.close()

    def test_the_trace_has_every_request(self):
        with tempfile.TemporaryDirectory() as folder:
            server = Server("--trace", folder + "/trace.json")
            for i in range(3):
                server.text(prompt="Once", max_tokens=5 + i)
            server.close()
            with open(folder + "/trace.json", encoding="utf-8") as f:
                events = json.loads(f.read().rstrip().rstrip(",") + "]")
        begins = {(e["id"], e["name"]): e for e in events if e["ph"] == "b"}
        self.assertEqual(len({id for id, _ in begins}), 3)
        for e in events:
            if e["ph"] == "e":
                self.assertGreaterEqual(e["ts"], begins[e["id"], e["name"]]["ts"])
        self.assertEqual(sorted({name for _, name in begins}), ["decode", "prefill", "queue", "request"])
        self.assertEqual(sorted(e["args"]["tokens"] for (_, name), e in begins.items() if name == "decode"), [5, 6, 7])

    def test_it_says_how_many_connections_fit(self):
        server = Server()
        server.process.send_signal(signal.SIGTERM)
        self.assertRegex(server.process.stderr.read(), r"room for \d+ connections")
        server.close()

    def test_a_server_without_a_queue_serves_what_its_batch_holds(self):
        server = Server("--max-waiting", "0", "--max-running", "2")
        try:
            self.assertEqual(server.post("/v1/completions", {"prompt": "a", "n": 2, "max_tokens": 2})[0], 200)
            self.assertEqual(server.post("/v1/completions", {"prompt": "a", "n": 3, "max_tokens": 2})[0], 400)
        finally:
            server.close()

    def test_an_empty_key_is_refused(self):
        for option in (["--api-key", ""], ["--api-key="]):
            run = subprocess.run([BGL, "serve", MODEL, "--tokenizer", TOKENIZER, "--port", "0", *option], capture_output=True, text=True, timeout=60)
            self.assertEqual(run.returncode, 2, run.stderr)
            self.assertIn("--api-key", run.stderr)

    def test_an_ipv6_address_is_shown_in_brackets(self):
        if not socket.has_ipv6 or not os.path.exists("/proc/net/if_inet6"):
            self.skipTest("this machine has no IPv6")
        server = Server("--host", "::1")
        try:
            self.assertRegex(server.url, r"^http://\[::1\]:\d+$")
            self.assertEqual(server.post("/v1/completions", {"prompt": "a", "max_tokens": 1})[0], 200)
        finally:
            server.close()

    def test_the_key_is_asked_for(self):
        server = Server("--api-key", "secret")
        try:
            self.assertEqual(server.post("/v1/completions", {"prompt": "a"})[0], 401)
            self.assertEqual(server.post("/v1/completions", {"prompt": "a"}, {"Authorization": "Bearer secret"})[0], 200)
        finally:
            server.close()

    def test_a_client_that_leaves_cancels_its_request(self):
        server = Server()
        try:
            client = openai.OpenAI(base_url=server.url + "/v1", api_key="none")
            stream = client.completions.create(model="stories260K", prompt="", max_tokens=500, temperature=1, seed=1, stream=True)
            next(iter(stream))
            stream.close()
            deadline = time.time() + 10
            while time.time() < deadline:
                with urllib.request.urlopen(server.url + "/metrics") as answer:
                    if re.search(r'(?m)^vllm:num_requests_running{.*} 0', answer.read().decode()):
                        return
                time.sleep(0.05)
            self.fail("the request still runs")
        finally:
            server.close()

    def test_sigterm_ends_after_the_request_in_work(self):
        server = Server()
        result = {}
        thread = threading.Thread(target=lambda: result.update(text=server.text(prompt="", max_tokens=200, temperature=0)))
        thread.start()
        time.sleep(0.03)
        server.process.send_signal(signal.SIGTERM)
        thread.join(60)
        self.assertEqual(server.process.wait(timeout=60), 0)
        self.assertEqual(result.get("text"), STORY)
        server.close()

    def test_a_drain_that_takes_too_long_breaks_off_and_says_so(self):
        for stream in (True, False):
            server = Server("--drain-seconds", "0")
            body = json.dumps({"prompt": "A", "max_tokens": 400, "ignore_eos": True, "n": 64, "stream": stream}).encode()
            answer = {}
            def ask():
                try:
                    with urllib.request.urlopen(urllib.request.Request(server.url + "/v1/completions", data=body), timeout=60) as response:
                        answer["text"] = response.read().decode()
                except urllib.error.HTTPError as e:
                    answer["status"] = e.code
                except (OSError, http.client.HTTPException) as e:
                    answer["broken"] = e
            thread = threading.Thread(target=ask)
            thread.start()
            while self.running(server) == 0:
                time.sleep(0.01)
            server.process.send_signal(signal.SIGTERM)
            self.assertEqual(server.process.wait(timeout=60), 1)
            self.assertIn("requests were still in work after 0 s and were broken off", server.process.stderr.read())
            thread.join(60)
            self.assertTrue("broken" in answer or answer.get("status") == 500 or '"error"' in answer["text"], answer)
            self.assertNotIn("[DONE]", answer.get("text", ""))
            server.close()

    @staticmethod
    def running(server):
        with urllib.request.urlopen(server.url + "/metrics") as answer:
            return int(re.search(r"(?m)^vllm:num_requests_running{.*} (\d+)", answer.read().decode()).group(1))

    def test_a_port_in_use_is_an_error(self):
        server = Server()
        try:
            port = server.url.rsplit(":", 1)[1]
            run = subprocess.run([BGL, "serve", MODEL, "--tokenizer", TOKENIZER, "--port", port], capture_output=True, text=True)
            self.assertEqual(run.returncode, 1)
            self.assertEqual(run.stderr, f"bgl serve: cannot listen on 127.0.0.1:{port}: address already in use; "
                                         "choose another --port or stop the other server\n")
        finally:
            server.close()


if __name__ == "__main__":
    unittest.main(verbosity=1)
