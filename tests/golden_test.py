"""Figures that are known to the last digit: the 260 K model's story, also after export to a Hugging Face folder and with one thread, and
PyTorch's losses on nanoGPT's character model. Needs BGL_TEST_DATA; skips without it. Usage: golden_test.py BGL EXAMPLES"""
import filecmp
import json
import os
import subprocess
import sys
import tempfile

DATA = os.environ.get("BGL_TEST_DATA", "")
if not os.path.exists(os.path.join(DATA, "models/stories260k/stories260K.bin")):
    print("skipped: BGL_TEST_DATA names no folder with models/stories260k and text/tinyshakespeare.txt")
    sys.exit(77)
BGL, EXAMPLES = sys.argv[1:3]
STORIES = os.path.join(DATA, "models/stories260k")
# PyTorch 1.13 and 2.15 agree on these.
LOSSES = {0: 4.1828, 1: 4.1373, 2: 4.1347, 3: 4.0995, 10: 3.7366, 20: 3.5233}


def generate(*model, **env):
    run = subprocess.run([BGL, "generate", *model, "--steps", "200", "--temperature", "0"], capture_output=True, check=True,
                         env={**os.environ, **env})
    return run.stdout


def main():
    story = open(os.path.join(STORIES, "greedy_200_steps.txt"), "rb").read()
    model = [os.path.join(STORIES, "stories260K.bin"), "--tokenizer", os.path.join(STORIES, "tok512.bin")]
    with tempfile.TemporaryDirectory() as base:
        for env in ({}, {"BGL_THREADS": "1"}, {"BGL_EAGER": "1"}, {"BGL_CPU": "sse2"}):
            assert generate(*model, **env) == story, env
        first, second = os.path.join(base, "first"), os.path.join(base, "second")
        subprocess.run([BGL, "export", model[0], first, "--tokenizer", model[2]], check=True, capture_output=True)
        assert generate(first) == story
        subprocess.run([BGL, "export", first, second], check=True, capture_output=True)
        assert filecmp.cmp(first + "/model.safetensors", second + "/model.safetensors", shallow=False)
        assert generate(second) == story

        weights = []
        for threads in ("1", "2"):
            out = os.path.join(base, "run" + threads)
            subprocess.run([BGL, "train", os.path.join(EXAMPLES, "shakespeare_char.toml"), "--set", "data.text=" + os.path.join(DATA, "text/tinyshakespeare.txt"),
                            "--set", "train.steps=21", "--set", "checkpoint.every=0", "--out", out], check=True, capture_output=True,
                           env={**os.environ, "BGL_THREADS": threads})
            with open(os.path.join(out, "log.jsonl")) as f:
                losses = {j["step"]: j["loss"] for j in map(json.loads, f) if "loss" in j}
            for step, want in LOSSES.items():
                assert abs(losses[step] - want) < 3e-4, (threads, step, losses[step], want)
            with open(os.path.join(out, "model/model.safetensors"), "rb") as f:
                weights.append(f.read())
        assert weights[0] == weights[1], "one thread and two give different bits"
    print("all figures as expected")


main()
