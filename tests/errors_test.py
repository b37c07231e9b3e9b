"""Bad input is told what, where and what to do: every case of tests/errors/cases.txt, word for word, and that nothing else was left
behind. Usage: errors_test.py BGL EXAMPLES"""
import fcntl
import json
import math
import os
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile

BGL, EXAMPLES = sys.argv[1:3]
CASES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "errors/cases.txt")


# A file of one tensor, zeros of four bytes each.
def safetensors(name, dtype, *shape):
    size = 4 * math.prod(shape)
    header = json.dumps({name: {"dtype": dtype, "shape": shape, "data_offsets": [0, size]}}).encode()
    return struct.pack("<Q", len(header)) + header + bytes(size)


# Folders of a Qwen2 model, each with one fault.
def model_folders():
    config = {"model_type": "qwen2", "vocab_size": 9, "num_hidden_layers": 1, "num_attention_heads": 2, "hidden_size": 8, "intermediate_size": 8,
              "max_position_embeddings": 8}
    norm = lambda: safetensors("model.norm.weight", "F32", 8)
    index = lambda file, **others: json.dumps({"weight_map": {"model.norm.weight": file, **others}}).encode()
    folders = {
        "yarn": ({**config, "rope_scaling": {"type": "yarn", "factor": 4.0}}, {}),
        "window": ({**config, "use_sliding_window": True}, {}),
        "missing_file": (config, {"model.safetensors.index.json": index("model-00002-of-00002.safetensors")}),
        "missing_tensor": (config, {"model.safetensors.index.json": index("model-00001-of-00001.safetensors"),
                                    "model-00001-of-00001.safetensors": safetensors("other", "F32", 1)}),
        "twice": (config, {"model.safetensors.index.json": index("b.safetensors", other="a.safetensors"), "a.safetensors": norm(),
                           "b.safetensors": norm()}),
        "integers": (config, {"model.safetensors": safetensors("model.embed_tokens.weight", "I32", 9, 8)}),
    }
    return {f"{name}/{file}": data for name, (c, files) in folders.items() for file, data in {"config.json": json.dumps(c).encode(), **files}.items()}


def make_files(tmp):
    dim, hidden, layers, heads, vocab, length = 16, 32, 1, 2, 40, 64
    header = struct.pack("<7i", dim, hidden, layers, heads, heads, vocab, length)
    floats = vocab * dim + layers * (2 * dim + 4 * dim * dim + 3 * hidden * dim) + dim + length * dim // heads
    files = {
        "good.bin": header + b"\0" * 4 * floats,
        "truncated.bin": header + b"\0" * 4000,
        "short.bin": header[:10],
        "noise.bin": b"x" * 5000,
        "broken.json": b"{",
        "broken.toml": b"x = [\n"[:5] + b" ",
        "short.txt": b"abcdefghij",
        "other_family/config.json": b'{"model_type": "bert"}',
        "other_family/model.safetensors": b"",
        "no_heads/config.json": b'{"model_type": "gpt2", "vocab_size": 9, "n_layer": 1, "n_embd": 8, "n_positions": 8}',
        "broken_profile/profile.json": b'{"format": ',
        "other_profile/profile.json": b'{"format": "bgl profile 0"}',
        "empty_model/config.json": b'{"model_type": "gpt2", "vocab_size": 9, "n_layer": 1, "n_head": 2, "n_embd": 8, "n_positions": 8}',
    }
    for name, data in {**files, **model_folders()}.items():
        path = os.path.join(tmp, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(data)
    # A character vocabulary, as a run saves it.
    with open(os.path.join(tmp, "text.txt"), "w") as f:
        f.write("abcdefghijklmnopqrstuvwxyz " * 40)
    run = os.path.join(tmp, "tiny")
    sets = ["data.text=" + os.path.join(tmp, "text.txt"), "train.steps=0", "model.layers=1", "model.width=8", "model.heads=1", "evaluate.batches=1"]
    subprocess.run([BGL, "train", os.path.join(EXAMPLES, "shakespeare_char.toml"), "--out", run] + [x for s in sets for x in ("--set", s)],
                   check=True, capture_output=True)
    os.rename(os.path.join(run, "model/tokenizer.json"), os.path.join(tmp, "chars.json"))


def flip(path, offset):
    with open(path, "r+b") as f:
        f.seek(offset, os.SEEK_SET if offset >= 0 else os.SEEK_END)
        byte = f.read(1)[0]
        f.seek(-1, os.SEEK_CUR)
        f.write(bytes([byte ^ 1]))


# Clean documents, and shards damaged in one way each.
def make_shards(tmp):
    at = lambda name: os.path.join(tmp, name)
    rng = random.Random(1)
    words = ["".join(rng.choice("bcdfglmnprst") + rng.choice("aeiou") for _ in range(rng.randint(1, 4))) for _ in range(500)]
    os.makedirs(at("raw"))
    for i in range(12):
        with open(at(f"raw/{i}.txt"), "w") as f:
            f.write("\n".join("The " + " ".join(rng.choice(words) for _ in range(12)) + "." for _ in range(40)))
    with open(at("prep.toml"), "w") as f:
        f.write('[[source]]\nname="made"\ndomain="made"\nlicence="none"\nmatch=["**/*.txt"]\nskip=["gopher_stop_words"]\n')
    for command in (["prep", at("prep.toml"), "--in", at("raw"), "--out", at("clean")], ["tokenizer", "train", at("clean"), "--vocab", "400", "--out", at("vocabulary")],
                    ["prep", "tokenize", at("clean"), "--tokenizer", at("vocabulary"), "--out", at("shards")]):
        subprocess.run([BGL] + command, check=True, capture_output=True)
    with open(at("shards.toml"), "w") as f:
        f.write('[model]\nlayers=1\nheads=1\nwidth=8\ncontext=16\n[data]\nshards="?"\nlength=16\nbatch=2\n[train]\nsteps=1\n')
    for name in ("flipped", "cut", "gone", "broken"):
        shutil.copytree(at("shards"), at("shards_" + name))
    flip(at("shards_flipped/made/train.bin"), 50)
    os.truncate(at("shards_cut/made/train.idx"), 30)
    os.remove(at("shards_gone/made/heldout.bin"))
    os.truncate(at("shards_broken/manifest.json"), 20)


# Runs whose data is another by the time they go on: a text of the same characters, one of more, and shards.
def make_changed(tmp):
    at = lambda name: os.path.join(tmp, name)
    small = ["--set", "evaluate.batches=1", "--set", "model.layers=1", "--set", "model.width=8", "--set", "model.heads=1", "--set", "train.steps=1"]
    for name, more in (("same", "cab"), ("other", "\u03a9")):
        shutil.copy(at("text.txt"), at(name + ".txt"))
        subprocess.run([BGL, "train", os.path.join(EXAMPLES, "shakespeare_char.toml"), "--set", f"data.text={at(name)}.txt", "--out", at("changed_" + name), *small],
                       check=True, capture_output=True)
        with open(at(name + ".txt"), "a") as f:
            f.write(more)
    shutil.copytree(at("shards"), at("shards_changed"))
    subprocess.run([BGL, "train", at("shards.toml"), "--set", "data.shards=" + at("shards_changed"), "--out", at("changed_shards")], check=True, capture_output=True)
    shutil.rmtree(at("shards_changed"))
    for command in (["tokenizer", "train", at("clean"), "--vocab", "390", "--out", at("smaller")],
                    ["prep", "tokenize", at("clean"), "--tokenizer", at("smaller"), "--out", at("shards_changed")]):
        subprocess.run([BGL, *command], check=True, capture_output=True)


# What needs a program of ours to make it: a damaged checkpoint, a damaged lake, a run and a lake that another process holds.
def make_states(tmp):
    train = [BGL, "train", os.path.join(EXAMPLES, "shakespeare_char.toml"), "--set", "data.text=" + os.path.join(tmp, "text.txt"), "--set", "checkpoint.every=1"]
    for name in ("damaged", "held"):
        subprocess.run(train + ["--set", "train.steps=2", "--set", "evaluate.batches=1", "--set", "model.layers=1", "--set", "model.width=8", "--set",
                                "model.heads=1", "--out", os.path.join(tmp, name)], check=True, capture_output=True)
    flip(os.path.join(tmp, "damaged/checkpoints/step-00000002/boxes-0.safetensors"), -3)
    for name in ("lake", "held_lake"):
        subprocess.run([BGL, "lake", "put", os.path.join(tmp, name), os.path.join(tmp, "text.txt")], check=True, capture_output=True)
    flip(os.path.join(tmp, "lake/log-1.bgl"), 200)
    make_shards(tmp)
    make_changed(tmp)
    held = []
    for path in ("held/lock", "held_lake/LOCK", "clean/LOCK"):
        f = open(os.path.join(tmp, path), "r+")
        fcntl.flock(f, fcntl.LOCK_EX)
        f.truncate(0)
        f.write("pid 123 (since 2024-05-01 10:00:00)")
        f.flush()
        held.append(f)
    return held


def cases():
    name = command = None
    expected = []
    for line in open(CASES, encoding="utf-8").read().splitlines() + ["[end]"]:
        if re.match(r"\[.*\]$", line):
            if name:
                yield name, command, expected
            name, command, expected = line[1:-1], None, []
        elif line.startswith("> "):
            expected.append(line[2:])
        elif line and not line.startswith("#"):
            command = line


def main():
    failed = total = 0
    with tempfile.TemporaryDirectory() as tmp:
        make_files(tmp)
        held = make_states(tmp)
        fill = lambda text: text.replace("{tmp}", tmp).replace("{examples}", EXAMPLES)
        for name, command, expected in cases():
            total += 1
            words = [fill(word) for word in command.split()]
            own = dict(word.split("=", 1) for word in words if re.match("BGL_[A-Z_]+=", word))
            run = subprocess.run([BGL] + [w for w in words if not w.startswith("BGL_")], env={**os.environ, **own}, capture_output=True, text=True, timeout=60)
            want = "".join(fill(line) + "\n" for line in expected)
            status = 2 if name.endswith(": 2") else 1
            if run.stderr != want or run.returncode != status or run.stdout:
                failed += 1
                print(f"[{name}]\n  status {run.returncode}, {status} expected\n  got   {run.stderr!r}\n  want  {want!r}\n  stdout {run.stdout!r}")
        # A run that could not begin leaves no configuration that would refuse the next one.
        assert not os.path.exists(os.path.join(tmp, "run/config.toml"))
    del held
    print(f"{total - failed} of {total} cases as written")
    sys.exit(failed > 0)


main()
