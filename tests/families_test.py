"""A Qwen2 folder as another program writes it, in files of several dtypes, through bgl: generate, serve, tune, export. The weights are random, the
vocabulary is the 256 bytes and two marks. Usage: families_test.py BGL
"""
import json
import os
import random
import re
import signal
import struct
import subprocess
import sys
import tempfile
import unittest
import urllib.request

BGL = sys.argv.pop(1)
WIDTH, HIDDEN, LAYERS, HEADS, GROUPS, HEAD, VOCAB = 16, 24, 2, 4, 2, 4, 258
CONFIG = {
    "model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"], "vocab_size": VOCAB, "hidden_size": WIDTH, "intermediate_size": HIDDEN,
    "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "num_key_value_heads": GROUPS, "max_position_embeddings": 128, "hidden_act": "silu",
    "rms_norm_eps": 1e-6, "rope_theta": 1e6, "use_sliding_window": False, "sliding_window": 32, "max_window_layers": 2, "tie_word_embeddings": True,
    "torch_dtype": "bfloat16",
}


def shapes():
    yield "model.embed_tokens.weight", [VOCAB, WIDTH]
    for i in range(LAYERS):
        at = f"model.layers.{i}."
        for name, rows in (("q", HEADS * HEAD), ("k", GROUPS * HEAD), ("v", GROUPS * HEAD)):
            yield f"{at}self_attn.{name}_proj.weight", [rows, WIDTH]
            yield f"{at}self_attn.{name}_proj.bias", [rows]
        yield at + "self_attn.o_proj.weight", [WIDTH, HEADS * HEAD]
        yield at + "mlp.gate_proj.weight", [HIDDEN, WIDTH]
        yield at + "mlp.up_proj.weight", [HIDDEN, WIDTH]
        yield at + "mlp.down_proj.weight", [WIDTH, HIDDEN]
        yield at + "input_layernorm.weight", [WIDTH]
        yield at + "post_attention_layernorm.weight", [WIDTH]
    yield "model.norm.weight", [WIDTH]


def encode(value, dtype):
    if dtype == "BF16":
        return struct.pack("<f", value)[2:]
    return struct.pack("<e" if dtype == "F16" else "<f", value)


def write_safetensors(path, tensors):
    header, data = {}, b""
    for name, dtype, shape, blob in tensors:
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(blob)]}
        data += blob
    text = json.dumps(header).encode()
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


def read_tensors(directory):
    """{name: (dtype, shape, bytes)} of all files."""
    out = {}
    for name in os.listdir(directory):
        if not name.endswith(".safetensors"):
            continue
        with open(os.path.join(directory, name), "rb") as f:
            blob = f.read()
        size = struct.unpack("<Q", blob[:8])[0]
        for tensor, entry in json.loads(blob[8 : 8 + size]).items():
            if tensor != "__metadata__":
                begin, end = entry["data_offsets"]
                out[tensor] = entry["dtype"], entry["shape"], blob[8 + size + begin : 8 + size + end]
    return out


def byte_alphabet():
    """GPT-2's printable character for each byte."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in plain]
    return {**{b: chr(b) for b in plain}, **{b: chr(256 + i) for i, b in enumerate(others)}}


def write_folder(directory):
    rng = random.Random(7)
    files = {"model-00001-of-00002.safetensors": [], "model-00002-of-00002.safetensors": []}
    weight_map = {}
    for i, (name, shape) in enumerate(shapes()):
        dtype = ("BF16", "F16", "F32")[i % 3]
        count = shape[0] * (shape[1] if len(shape) > 1 else 1)
        norm = "norm" in name
        blob = b"".join(encode(1 + rng.uniform(-0.3, 0.3) if norm else rng.gauss(0, 0.5), dtype) for _ in range(count))
        file = sorted(files)[i % 2]
        files[file].append((name, dtype, shape, blob))
        weight_map[name] = file
    for file, tensors in files.items():
        write_safetensors(os.path.join(directory, file), tensors)
    marks = [{"id": 256 + i, "content": text, "special": True} for i, text in enumerate(("<|endoftext|>", "<|im_end|>"))]
    tokenizer = {"version": "1.0", "added_tokens": marks, "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True},
                 "decoder": {"type": "ByteLevel"}, "model": {"type": "BPE", "vocab": {c: b for b, c in byte_alphabet().items()}, "merges": []}}
    texts = {
        "config.json": json.dumps(CONFIG, indent=1), "tokenizer.json": json.dumps(tokenizer), "generation_config.json": json.dumps({"eos_token_id": [256, 257]}),
        "tokenizer_config.json": json.dumps({"eos_token": "<|im_end|>", "add_bos_token": False, "chat_template": "{{ messages }}"}, indent=3),
        "model.safetensors.index.json": json.dumps({"metadata": {}, "weight_map": weight_map}),
    }
    for name, text in texts.items():
        with open(os.path.join(directory, name), "w", encoding="utf-8") as f:
            f.write(text)


# What is generated; stderr tells what the weights take, and as what matrices are held.
def generate(directory, *options, matrices="bf16 and f32"):
    run = subprocess.run([BGL, "generate", directory, "--prompt", "Hello", "--steps", "40", *options], capture_output=True, check=False)
    assert run.returncode == 0 and re.fullmatch(f"weights: [0-9.]+ KiB in memory, matrices in {matrices}\n", run.stderr.decode()), run.stderr
    return run.stdout[len("Hello"):].decode()


class FamiliesTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.model = os.path.join(self.folder.name, "model")
        os.mkdir(self.model)
        write_folder(self.model)

    def tearDown(self):
        self.folder.cleanup()

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def set_generation(self, **keys):
        with open(os.path.join(self.model, "generation_config.json"), "w", encoding="utf-8") as f:
            json.dump(keys, f)

    def end_in_the_middle(self):
        """Chooses an end token that the greedy text comes to, and says what is to be left of the text."""
        text = generate(self.model, "--temperature", "0")
        self.assertGreater(len(text), 10)
        ascii_at = [i for i, c in enumerate(text) if i > 2 and ord(c) < 128 and c not in text[:i]]
        self.assertTrue(ascii_at, text)
        self.set_generation(eos_token_id=[256, ord(text[ascii_at[0]])], do_sample=False)
        return text[: ascii_at[0]]

    def test_generate_ends_at_any_end_token_and_follows_the_folder(self):
        self.set_generation(top_k=1)
        greedy = generate(self.model)
        self.assertEqual(greedy, generate(self.model, "--temperature", "0"))
        self.set_generation(temperature=2)
        self.assertNotEqual(greedy, generate(self.model))
        self.assertEqual(greedy, generate(self.model, "--top-k", "1"))
        left = self.end_in_the_middle()
        self.assertEqual(generate(self.model), left)

    def test_serve_ends_at_any_end_token_and_follows_the_folder(self):
        left = self.end_in_the_middle()
        server = subprocess.Popen([BGL, "serve", self.model, "--port", "0", "--context", "64"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                  text=True)
        try:
            url = re.search(r"http://\S+", server.stdout.readline()).group(0)
            body = json.dumps({"prompt": "Hello", "max_tokens": 40}).encode()
            with urllib.request.urlopen(urllib.request.Request(url + "/v1/completions", data=body), timeout=60) as answer:
                choice = json.load(answer)["choices"][0]
            with urllib.request.urlopen(url + "/v1/models", timeout=60) as answer:
                self.assertEqual(json.load(answer)["data"][0]["max_model_len"], 64)
            self.assertEqual((choice["text"], choice["finish_reason"]), (left, "stop"))
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(timeout=60)
            server.stdout.close()

    def test_tuning_reaches_every_tensor_and_keeps_how_it_is_stored(self):
        with open(self.path("text"), "w", encoding="utf-8") as f:
            f.write("the quick brown fox jumps over the lazy dog. " * 50)
        with open(self.path("tune.toml"), "w", encoding="utf-8") as f:
            f.write(f'[data]\ntext = "{self.path("text")}"\nlength = 32\nbatch = 2\n[train]\nsteps = 2\n[evaluate]\nbatches = 1\n[schedule]\nlr = 0.01\n')
        subprocess.run([BGL, "tune", self.path("tune.toml"), "--base", self.model, "--out", self.path("run")], check=True, capture_output=True)
        before, after = read_tensors(self.model), read_tensors(self.path("run/model"))
        self.assertEqual({name: tensor[:2] for name, tensor in before.items()}, {name: tensor[:2] for name, tensor in after.items()})
        self.assertEqual([name for name in before if before[name][2] == after[name][2]], [])

    def test_matrices_are_held_as_asked(self):
        stored = generate(self.model, "--temperature", "0")
        self.assertEqual(generate(self.model, "--temperature", "0", "--weights", "f32", matrices="f32"), stored)
        for weights in ("bf16", "int8"):
            once, again = (generate(self.model, "--temperature", "1", "--seed", "3", "--weights", weights, matrices=weights) for _ in range(2))
            self.assertEqual(once, again)

    def test_a_new_model_of_the_family_is_trained_from_its_sizes(self):
        with open(self.path("new.toml"), "w", encoding="utf-8") as f:
            f.write(f'[model]\nfamily = "qwen2"\nlayers = 1\nheads = 4\nkv_heads = 2\nwidth = 32\nhidden = 48\ncontext = 32\n[data]\ntext = "{self.path("text")}"\n'
                    'length = 16\nbatch = 2\n[train]\nsteps = 3\n[evaluate]\nbatches = 1\n[schedule]\nlr = 0.01\n')
        with open(self.path("text"), "w", encoding="utf-8") as f:
            f.write("the quick brown fox jumps over the lazy dog. " * 50)
        subprocess.run([BGL, "train", self.path("new.toml"), "--out", self.path("run")], check=True, capture_output=True)
        with open(self.path("run/model/config.json"), encoding="utf-8") as f:
            self.assertEqual(json.load(f)["model_type"], "qwen2")
        names = read_tensors(self.path("run/model"))
        biases = [n for n in names if n.endswith(".bias")]
        self.assertEqual(sorted(biases), [f"model.layers.0.self_attn.{p}_proj.bias" for p in "kqv"])
        text = subprocess.run([BGL, "generate", self.path("run/model"), "--prompt", "the", "--steps", "5"], check=True, capture_output=True).stdout
        self.assertTrue(text.startswith(b"the"))

    def test_export_keeps_every_byte(self):
        before = read_tensors(self.model)
        text = generate(self.model, "--temperature", "0")
        for source, target, options in (("model", "one", ()), ("one", "several", ("--max-shard-size", "2KB")), ("several", "several", ())):
            subprocess.run([BGL, "export", self.path(source), self.path(target), *options], check=True, capture_output=True)
            self.assertEqual(read_tensors(self.path(target)), before)
            self.assertEqual(os.path.exists(os.path.join(self.path(target), "model.safetensors.index.json")), bool(options))
            for name in ("config.json", "tokenizer.json", "generation_config.json", "tokenizer_config.json"):
                with open(os.path.join(self.model, name), "rb") as a, open(os.path.join(self.path(target), name), "rb") as b:
                    self.assertEqual(a.read(), b.read(), name)
            self.assertEqual(generate(self.path(target), "--temperature", "0"), text)


unittest.main()
