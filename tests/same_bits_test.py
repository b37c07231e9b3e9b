"""A fixed tiny training run and what its model writes have the same bits for any number of threads and any vector width that has fused
multiply-add: weights, losses and text. Without fused multiply-add (sse2) the losses are the same within a tolerance.
Usage: same_bits_test.py BGL EXAMPLES"""
import json
import os
import random
import subprocess
import sys
import tempfile

BGL, EXAMPLES = sys.argv[1:3]
MACHINES = [{"BGL_THREADS": "1"}, {"BGL_THREADS": "2"}, {"BGL_THREADS": "2", "BGL_CPU": "avx2"}, {"BGL_THREADS": "3", "BGL_CPU": "avx2"},
            {"BGL_THREADS": "8"}]  # so many that the gradient of attention takes its other way
UNCAPPED = {name: value for name, value in os.environ.items() if name not in ("BGL_CPU", "BGL_THREADS")}
WITHOUT_FMA = {"BGL_THREADS": "2", "BGL_CPU": "sse2"}
SETS = ["train.steps=6", "checkpoint.every=0", "evaluate.every=3", "evaluate.batches=1", "model.layers=2", "model.width=48", "model.heads=3",
        "model.context=40", "data.length=40", "data.batch=5", "train.accumulate=2", "model.dropout=0.1"]


def outcome(folder, text, machine):
    env = {**UNCAPPED, **machine}
    sets = [x for s in SETS + ["data.text=" + text] for x in ("--set", s)]
    subprocess.run([BGL, "train", os.path.join(EXAMPLES, "shakespeare_char.toml"), "--out", folder] + sets, check=True, capture_output=True, env=env)
    with open(os.path.join(folder, "model/model.safetensors"), "rb") as f:
        weights = f.read()
    with open(os.path.join(folder, "log.jsonl")) as f:
        losses = [(j["step"], j["loss"]) for j in map(json.loads, f) if "loss" in j]
    generate = [BGL, "generate", os.path.join(folder, "model"), "--prompt", "a", "--steps", "30", "--temperature", "1", "--seed", "5", "--weights"]
    written = [subprocess.run(generate + [w], check=True, capture_output=True, env=env).stdout for w in ("f32", "bf16", "int8")]
    return weights, losses, written


def main():
    rng = random.Random(12)
    with tempfile.TemporaryDirectory() as base:
        text = os.path.join(base, "text.txt")
        with open(text, "w") as f:
            f.write("".join(rng.choice("abcdefgh ijkl mnop\n") for _ in range(5000)))
        first = None
        for i, machine in enumerate(MACHINES):
            got = outcome(os.path.join(base, f"run{i}"), text, machine)
            assert len(got[1]) >= 6 and min(map(len, got[2])) > 10, "the run did nothing"
            first = first or got
            for what, a, b in zip(("weights", "losses", "text"), first, got):
                assert a == b, f"{what} differ between {MACHINES[0]} and {machine}"
        other = outcome(os.path.join(base, "sse2"), text, WITHOUT_FMA)[1]
        assert [step for step, _ in other] == [step for step, _ in first[1]], "another number of steps"
        for (step, a), (_, b) in zip(first[1], other):
            assert abs(a - b) <= 1e-4 * abs(a), f"step {step}: the loss is {a}, and {b} on {WITHOUT_FMA}"
    print("the same bits on", len(MACHINES), "machines")


main()
