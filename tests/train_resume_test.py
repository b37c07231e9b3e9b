"""A run killed with SIGKILL at random moments and started again ends with the bits of an undisturbed run: weights, and every line of the
log but its times. Usage: train_resume_test.py BGL EXAMPLES"""
import json
import os
import random
import subprocess
import sys
import tempfile
import time

BGL, EXAMPLES = sys.argv[1:3]
TIMES = {"tokens_per_s", "eval_seconds", "memory_bytes", "peak_share", "process_bytes", "expected_process_bytes"}


def command(folder, text, steps=24, decay=()):
    sets = ["data.text=" + text, f"train.steps={steps}", *decay, "checkpoint.every=3", "evaluate.every=8", "evaluate.batches=1", "model.layers=2",
            "schedule.warmup_steps=4", "model.width=32", "model.heads=2", "model.context=32", "data.length=32", "data.batch=4", "train.accumulate=2"]
    return [BGL, "train", os.path.join(os.path.dirname(text), "config.toml"), "--out", folder] + [x for s in sets for x in ("--set", s)]


def outcome(folder):
    with open(os.path.join(folder, "model/model.safetensors"), "rb") as f:
        weights = f.read()
    with open(os.path.join(folder, "log.jsonl")) as f:
        lines = [{k: v for k, v in json.loads(line).items() if k not in TIMES} for line in f]
    return weights, lines


def main():
    seed = 11
    print("seed", seed)
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as base:
        text = os.path.join(base, "text.txt")
        with open(text, "w") as f:
            f.write("".join(rng.choice("abcdefgh ijkl mnop\n") for _ in range(5000)))
        with open(os.path.join(EXAMPLES, "shakespeare_char.toml")) as f, open(os.path.join(base, "config.toml"), "w") as out:
            out.writelines(line for line in f if not line.startswith("decay_steps"))
        start = time.time()
        subprocess.run(command(os.path.join(base, "calm"), text), check=True, capture_output=True)
        whole = time.time() - start
        folder = os.path.join(base, "killed")
        kills = 0
        while True:
            process = subprocess.Popen(command(folder, text), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            try:
                out, err = process.communicate(timeout=rng.uniform(0.2, 0.8) * whole if kills < 3 else None)
                assert process.returncode == 0, err.decode()
                break
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                kills += 1
        calm, killed = outcome(os.path.join(base, "calm")), outcome(folder)
        assert calm[0] == killed[0], "the weights differ"
        assert calm[1] == killed[1], "the logs differ"
        again = subprocess.run(command(folder, text), check=True, capture_output=True, text=True)
        assert "nothing to do" in again.stdout, again.stdout
        print(kills, "kills, equal bits")
        # What it says can be done: the decay stays as the run was begun.
        assert "raise train.steps to go on" in again.stdout, again.stdout
        raised = subprocess.run(command(folder, text, 27), check=True, capture_output=True, text=True)
        assert f"schedule.decay_steps stays 24, as {folder} was begun: from that step on the learning rate is 0.0001\n" in raised.stderr, raised.stderr
        rates = lambda: [line["lr"] for line in outcome(folder)[1] if "lr" in line]
        assert rates() == [line["lr"] for line in calm[1] if "lr" in line] + 3 * [1e-4], rates()
        other = subprocess.run(command(folder, text, 30, ["schedule.decay_steps=30"]), capture_output=True, text=True)
        assert other.returncode == 1 and "('decay_steps = 24' there, 'decay_steps = 30' now)" in other.stderr, other.stderr


main()
