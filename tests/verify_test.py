"""A flipped bit in any file of shards, a tokenizer, a checkpoint, a model, an adapter or a lake is named by `bgl verify`, of the thing itself and
of a folder that holds it, and by whatever loads it. Usage: verify_test.py BGL"""
import os
import random
import shutil
import subprocess
import sys
import tempfile

BGL = sys.argv[1]
rng = random.Random(5)


def bgl(*args, ok=True):
    done = subprocess.run([BGL, *args], capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode == 0) == ok, (args, done.stdout, done.stderr)
    return done.stdout + done.stderr


def make(tmp):
    at = lambda name: os.path.join(tmp, name)
    words = ["".join(rng.choice("bcdfglmnprst") + rng.choice("aeiou") for _ in range(rng.randint(1, 4))) for _ in range(300)]
    os.makedirs(at("raw"))
    for i in range(12):
        with open(at(f"raw/{i}.txt"), "w", encoding="utf-8") as f:
            f.write("\n".join("The " + " ".join(rng.choice(words) for _ in range(12)) + "." for _ in range(30)))
    with open(at("prep.toml"), "w", encoding="utf-8") as f:
        f.write('[prep]\nheldout_share=0.3\n[[source]]\nname="made"\ndomain="made"\nlicence="none"\nmatch=["**/*.txt"]\nskip=["gopher_stop_words"]\n')
    data = '[data]\nshards="%s"\nlength=16\nbatch=2\n[train]\nsteps=2\n[evaluate]\nbatches=1\n[schedule]\ndecay_steps=9\n' % at("shards")
    for name, model in (("train.toml", "[model]\nlayers=1\nheads=1\nwidth=8\ncontext=16\n"), ("tune.toml", "")):
        with open(at(name), "w", encoding="utf-8") as f:
            f.write(model + data)
    bgl("lake", "put", at("lake"), at("raw"))
    bgl("prep", at("prep.toml"), "--in", at("lake"), "--out", at("clean"))
    bgl("tokenizer", "train", at("clean"), "--vocab", "300", "--out", at("tok"))
    bgl("prep", "tokenize", at("clean"), "--tokenizer", at("tok"), "--out", at("shards"))
    bgl("train", at("train.toml"), "--out", at("run"), "--set", "checkpoint.every=1", "--set", "checkpoint.keep=1")
    bgl("tune", at("tune.toml"), "--base", at("run/model"), "--out", at("tuned"), "--set", "lora.rank=2", "--set", "checkpoint.every=0")


def flip(path, bit):
    with open(path, "r+b") as f:
        f.seek(bit // 8)
        byte = f.read(1)[0]
        f.seek(bit // 8)
        f.write(bytes([byte ^ 1 << bit % 8]))


# Every file below `thing`, damaged one bit at a time. `load` is a command that reads it, or None.
def damage(tmp, thing, load, skip=()):
    root, files = os.path.join(tmp, thing), 0
    for folder, _, names in os.walk(root):
        for name in sorted(names):
            path = os.path.join(folder, name)
            size = os.path.getsize(path)
            if name in skip or size == 0:
                continue
            for i, bit in enumerate([0, 8 * size - 1] + [rng.randrange(8 * size) for _ in range(2)]):
                flip(path, bit)
                said = bgl("verify", root if i % 2 else tmp, ok=False)
                assert path in said, (path, bit, said)
                if load:
                    said = bgl(*load, ok=False)
                    assert path in said, (path, bit, said)
                flip(path, bit)
            files += 1
    return files


def main():
    with tempfile.TemporaryDirectory() as tmp:
        make(tmp)
        at = lambda name: os.path.join(tmp, name)
        said = bgl("verify", tmp)
        for thing in ("lake", "shards", "tok", "run/model", "tuned/adapter", "tuned/model"):
            assert at(thing) + ":" in said, said
        assert "checkpoints/step-00000002: checkpoint, 2 files" in said, said
        generate = ("generate", at("run/model"), "--prompt", "The", "--steps", "1")
        train = ("train", at("train.toml"), "--out", at("other"))
        resume = ("train", at("train.toml"), "--out", at("run"), "--set", "checkpoint.every=1", "--set", "checkpoint.keep=1", "--set", "train.steps=3")
        serve = ("serve", at("run/model"), "--port", "0", "--adapter", "a=" + at("tuned/adapter"))
        counts = [damage(tmp, "run/model", generate), damage(tmp, "tuned/adapter", serve), damage(tmp, "run/checkpoints", resume),
                  damage(tmp, "shards", train, skip=("LOCK",)), damage(tmp, "tok", ("tokenizer", "decode", at("tok")), skip=("train.json",)),
                  damage(tmp, "lake", None, skip=("LOCK", "MANIFEST.lock"))]
        assert min(counts) >= 2, counts
        # What others publish has no checksums: it loads, and verify says so.
        os.remove(at("run/model/manifest.json"))
        bgl(*generate)
        assert "no checksums, so that damage to its files cannot be seen" in bgl("verify", at("run/model"), ok=False)
        bgl("verify", "--record", at("run/model"))
        with open(at("run/model/README"), "w", encoding="utf-8") as f:
            f.write("mine")
        assert "1 files that were added since, without checksums: README" in bgl("verify", at("run/model"))
        shutil.rmtree(at("run/model"))
        assert "is none of: lake (a folder with MANIFEST)" in bgl("verify", at("raw"), ok=False)
        print(f"{sum(counts)} files, every one named")


main()
