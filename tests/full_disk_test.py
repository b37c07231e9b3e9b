"""A full disk: a checkpoint, a model, shards, a log and an export end with an error that says so, and what was there before is whole. The disk is a
tmpfs of some megabytes, which takes the rights to mount one; skipped without. Usage: full_disk_test.py BGL"""
import os
import subprocess
import sys
import tempfile

BGL = sys.argv[1]


def bgl(*args, ok=True):
    done = subprocess.run([BGL, *args], capture_output=True, text=True, check=False, timeout=120, stdin=subprocess.DEVNULL)
    assert (done.returncode == 0) == ok, (args, done.stdout, done.stderr)
    return done.stdout + done.stderr


# Leaves `free` bytes on the disk.
def fill(disk, free):
    ballast = os.path.join(disk, "ballast")
    if os.path.exists(ballast):
        os.remove(ballast)
    room = os.statvfs(disk)
    with open(ballast, "wb") as f:
        f.write(b"x" * max(0, room.f_bavail * room.f_frsize - free))


def content(folder):
    out = {}
    for at, _, names in os.walk(folder):
        for name in names:
            with open(os.path.join(at, name), "rb") as f:
                out[os.path.join(at, name)] = f.read()
    return out


def write_inputs(tmp):
    at = lambda name: os.path.join(tmp, name)
    with open(at("text.txt"), "w", encoding="utf-8") as f:
        f.write("the quick brown fox jumps over the lazy dog " * 400)
    os.makedirs(at("raw"))
    for i in range(40):
        with open(at(f"raw/{i}.txt"), "w", encoding="utf-8") as f:
            f.write("\n".join(f"The page {i} has a line {k} about the words of page {i * k % 89}." for k in range(120)))
    with open(at("prep.toml"), "w", encoding="utf-8") as f:
        f.write('[[source]]\nname="made"\ndomain="made"\nlicence="none"\nmatch=["**/*.txt"]\nfilters=[]\n')
    config = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../examples/shakespeare_char.toml")
    sets = ["data.text=" + at("text.txt"), "model.layers=1", "model.width=64", "model.heads=2", "data.batch=2", "evaluate.batches=1", "checkpoint.every=2",
            "checkpoint.keep=1", "schedule.decay_steps=100"]
    return ["train", config] + [x for s in sets for x in ("--set", s)]


def full(said, *names):
    assert "No space left on device" in said and any(n in said for n in names), said


def main():
    with tempfile.TemporaryDirectory() as tmp:
        disk = os.path.join(tmp, "disk")
        os.mkdir(disk)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "none", disk], check=False, capture_output=True).returncode != 0:
            print("no rights to mount a tmpfs")
            sys.exit(77)
        try:
            check(tmp, disk)
        finally:
            subprocess.run(["umount", disk], check=True)


def check(tmp, disk):
    at = lambda name: os.path.join(disk, name)
    train = write_inputs(tmp) + ["--out", at("run")]
    bgl(*train, "--set", "train.steps=4")
    model, steps = content(at("run/model")), content(at("run/checkpoints"))

    # The next checkpoint, the model after it, and the line of the log do not fit.
    for free in (300_000, 20_000, 0):
        fill(disk, free)
        full(bgl(*train, "--set", "train.steps=6", ok=False), at("run/"))
        assert content(at("run/model")) == model and content(at("run/checkpoints")) == steps, free
        bgl("verify", at("run"))
    fill(disk, 4_000_000)
    bgl(*train, "--set", "train.steps=6")
    model = content(at("run/model"))

    # A model over another one.
    bgl("export", at("run/model"), at("out"))
    before = content(at("out"))
    for free in (100_000, 0):
        fill(disk, free)
        full(bgl("export", at("run/model"), at("out"), "--max-shard-size", "100KB", ok=False), at("out"))
        assert content(at("out")) == before, free
    bgl("verify", at("out"))

    # Shards over others.
    os.remove(at("ballast"))
    for name, vocab in (("tok", "400"), ("tok2", "300")):
        if name == "tok":
            bgl("prep", os.path.join(tmp, "prep.toml"), "--in", os.path.join(tmp, "raw"), "--out", os.path.join(tmp, "clean"))
        bgl("tokenizer", "train", os.path.join(tmp, "clean"), "--vocab", vocab, "--out", os.path.join(tmp, name))
    shards = ("prep", "tokenize", os.path.join(tmp, "clean"), "--out", at("shards"), "--tokenizer")
    for free in (60_000, 0):
        fill(disk, free)
        full(bgl(*shards, os.path.join(tmp, "tok"), ok=False), at("shards"))
        assert not os.path.exists(at("shards/manifest.json"))
    fill(disk, 2_000_000)
    bgl(*shards, os.path.join(tmp, "tok"))
    bgl("verify", at("shards"))

    # The lake's own tests stop its writer at every operation; here that it says so.
    fill(disk, 60_000)
    full(bgl("lake", "put", at("lake"), os.path.join(tmp, "raw"), ok=False), at("lake"))
    print("what was there before is whole")


main()
