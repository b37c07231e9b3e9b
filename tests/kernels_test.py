"""What is kept on disk of kernels: listed, verified, a flipped bit found and healed, cleared. All schedules of products, in turn, train to the
same bits as the general ones. Usage: kernels_test.py BGL EXAMPLES"""
import json
import os
import subprocess
import sys
import tempfile

BGL, EXAMPLES = sys.argv[1:3]


def bgl(cache, *args, tune="1", fails=None):
    env = dict(os.environ, BGL_CACHE_DIR=cache, BGL_TUNE=tune)
    done = subprocess.run([BGL, *args], env=env, capture_output=True, text=True, check=False)
    assert (done.returncode != 0) == bool(fails), done.stderr
    assert not fails or fails in done.stderr, done.stderr
    return done.stdout + done.stderr


def losses(cache, out, tune):
    # A small GPT-2, its products of sizes that no tile divides.
    sets = ["train.steps=6", "data.length=33", "data.batch=3", "model.layers=2", "model.width=72", "model.heads=6", "model.vocab=250"]
    said = bgl(cache, "train", os.path.join(EXAMPLES, "gpt2_124m_random.toml"), "--out", out, *[x for s in sets for x in ("--set", s)], tune=tune)
    with open(os.path.join(out, "log.jsonl"), encoding="utf-8") as f:
        return [j["loss"] for j in map(json.loads, f) if "loss" in j], said


def main():
    with tempfile.TemporaryDirectory() as folder:
        cache = os.path.join(folder, "cache")
        general, _ = losses(cache, os.path.join(folder, "general"), "0")
        every, _ = losses(cache, os.path.join(folder, "every"), "every")
        assert len(general) == 6 and general == every, (general, every)

        kernels = sorted(n for n in os.listdir(cache) if n.endswith(".bin"))
        assert f"{len(kernels)} kernels" in bgl(cache, "kernels")
        with open(os.path.join(cache, "tuned.tsv"), "w", encoding="utf-8") as f:
            f.write("")
        assert f"{len(kernels) + 1} files" in bgl(cache, "verify", cache)

        path = os.path.join(cache, kernels[0])
        with open(path, "r+b") as f:
            f.seek(100)
            byte = f.read(1)[0]
            f.seek(100)
            f.write(bytes([byte ^ 8]))
        bgl(cache, "verify", cache, fails=f"{path} is damaged")
        again, said = losses(cache, os.path.join(folder, "again"), "every")
        assert again == general
        assert f"{path} is damaged: compiling again" in said, said
        bgl(cache, "verify", cache)

        with open(os.path.join(cache, "tuned.tsv"), "w", encoding="utf-8") as f:
            f.write("a machine\tgemm rr 64x64x64\t6x16\t1.2\t0000000000000000\n")
        bgl(cache, "verify", cache, fails="tuned.tsv: 1 lines are damaged")
        assert "no schedule has been chosen yet" in bgl(cache, "kernels")
        assert "chosen schedules removed" in bgl(cache, "kernels", "--clear")
        assert os.listdir(cache) == []
        assert "0 kernels" in bgl(cache, "kernels")
        bgl("", "kernels", fails="BGL_CACHE_DIR")


main()
