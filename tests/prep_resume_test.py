"""Preparation killed with SIGKILL at random moments and started again ends with the files of an undisturbed run: clean documents, drops,
vocabulary, shards. Usage: prep_resume_test.py BGL"""
import filecmp
import os
import random
import subprocess
import sys
import tempfile
import time

BGL = sys.argv[1]
CONFIG = """[[source]]
name = "made"
domain = "made"
licence = "none"
match = ["**/*.html"]
skip = ["gopher_stop_words"]
"""


def make_documents(folder, rng):
    words = ["".join(rng.choice("bcdfglmnprst") + rng.choice("aeiou") for _ in range(rng.randint(1, 4))) for _ in range(3000)]
    os.makedirs(folder)
    for i in range(60):
        body = "".join("<p>The " + " ".join(words[int(3000 ** rng.random()) - 1] for _ in range(120)) + ".</p>\n" for _ in range(15))
        with open(os.path.join(folder, f"page{i:02}.html"), "w") as f:
            f.write(f"<html><body><nav><a href='/'>Home</a></nav><article>{body}</article></body></html>")


def files_below(folder):
    found = {}
    for where, dirs, names in os.walk(folder):
        dirs[:] = [d for d in dirs if d != "units"]
        for name in names:
            if "lock" not in name.lower():
                path = os.path.join(where, name)
                found[os.path.relpath(path, folder)] = path
    return found


def run_to_end(command, kills, rng, whole):
    while True:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            _, err = process.communicate(timeout=rng.uniform(0.1, 0.9) * whole if kills else None)
            assert process.returncode == 0, err.decode()
            return
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            kills -= 1


def stages(base, out):
    at = lambda name: os.path.join(out, name)
    yield "clean", [BGL, "prep", os.path.join(base, "prep.toml"), "--in", os.path.join(base, "in"), "--out", at("clean")]
    yield "tokenizer", [BGL, "tokenizer", "train", at("clean"), "--vocab", "600", "--out", at("tokenizer")]
    yield "shards", [BGL, "prep", "tokenize", at("clean"), "--tokenizer", at("tokenizer"), "--out", at("shards")]


def main():
    seed = 5
    print("seed", seed)
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as base:
        make_documents(os.path.join(base, "in"), rng)
        with open(os.path.join(base, "prep.toml"), "w") as f:
            f.write(CONFIG)
        calm, killed = os.path.join(base, "calm"), os.path.join(base, "killed")
        for (name, quiet), (_, hard) in zip(stages(base, calm), stages(base, killed)):
            start = time.time()
            subprocess.run(quiet, check=True, capture_output=True)
            run_to_end(hard, 3, rng, time.time() - start)
            a, b = files_below(os.path.join(calm, name)), files_below(os.path.join(killed, name))
            assert a.keys() == b.keys() and a, (name, sorted(a.keys() ^ b.keys()))
            for path in a:
                assert filecmp.cmp(a[path], b[path], shallow=False), f"{name}/{path} differs"
            again = subprocess.run(hard, check=True, capture_output=True, text=True)
            assert "nothing to do" in again.stdout + again.stderr, again
    print("three stages, three kills each, equal files")


main()
