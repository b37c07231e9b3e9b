"""A second process compiles no kernel: a training run (its evaluation too) and a generation find on the disk all that the first ones
compiled there, and compile it anew for another folder. Usage: jit_test.py BGL EXAMPLES"""
import os
import random
import re
import subprocess
import sys
import tempfile

BGL, EXAMPLES = sys.argv[1:3]
SETS = ["train.steps=4", "checkpoint.every=0", "evaluate.every=2", "evaluate.batches=1", "model.layers=1", "model.width=32", "model.heads=2",
        "model.context=32", "data.length=32", "data.batch=4"]


def kernels(cache, *words):
    """What the process logs at its end: how many kernels it compiled, and how many it found on the disk."""
    run = subprocess.run([BGL, *words], check=True, capture_output=True, text=True, env={**os.environ, "BGL_CACHE_DIR": cache, "BGL_LOG": "info"})
    return tuple(map(int, re.search(r"kernels: (\d+) compiled in [0-9.]+ s of CPU, (\d+) from disk", run.stderr).groups()))


def main():
    rng = random.Random(5)
    with tempfile.TemporaryDirectory() as base:
        text, cache, other = (os.path.join(base, name) for name in ("text.txt", "cache", "other"))
        with open(text, "w") as f:
            f.write("".join(rng.choice("abcdefgh ijkl mnop\n") for _ in range(5000)))
        sets = [x for s in SETS + ["data.text=" + text] for x in ("--set", s)]
        train = lambda out: ("train", os.path.join(EXAMPLES, "shakespeare_char.toml"), "--out", os.path.join(base, out), *sets)
        generate = ("generate", os.path.join(base, "first/model"), "--prompt", "abc", "--steps", "5")
        for what, first, again in (("train", train("first"), train("second")), ("generate", generate, generate)):
            compiled, found = kernels(cache, *first)
            assert compiled > 5, (what, compiled)
            assert kernels(cache, *again) == (0, compiled + found), f"{what}: a second process compiles"
            assert kernels(other, *(train("third") if what == "train" else generate))[0] >= compiled, f"{what}: the counter does not count"
            print(what, compiled, "kernels, none for a second process")


main()
