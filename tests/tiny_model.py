"""A model for tests of the server that look at everything but what it says: two layers of random weights over single characters."""
import os
import random
import subprocess


def make(bgl, folder):
    """Makes it in `folder` and returns its path: a Hugging Face folder."""
    text = os.path.join(folder, "text.txt")
    rng = random.Random(3)
    with open(text, "w", encoding="utf-8") as f:
        f.write("".join(chr(rng.randrange(32, 127)) for _ in range(20000)) + "\n")
    sets = ["data.text=" + text, "train.steps=1", "model.layers=2", "model.width=64", "model.heads=2", "model.context=512", "data.length=32", "data.batch=2"]
    run = os.path.join(folder, "run")
    config = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../examples/shakespeare_char.toml")
    subprocess.run([bgl, "train", config, "--out", run] + [x for s in sets for x in ("--set", s)], check=True, capture_output=True)
    return os.path.join(run, "model")
