"""GPT-2 124M takes what `bgl train` says before the run: anonymous memory after two steps is within 5 % of it. Usage: train_memory_test.py BGL
EXAMPLES"""
import json
import os
import re
import subprocess
import sys
import tempfile

BGL, EXAMPLES = sys.argv[1:3]


def main():
    with tempfile.TemporaryDirectory() as folder:
        sets = [x for s in ("train.steps=3", "data.length=64") for x in ("--set", s)]
        run = subprocess.run([BGL, "train", os.path.join(EXAMPLES, "gpt2_124m_random.toml"), "--out", folder] + sets, check=True, capture_output=True, text=True)
        said = re.search(r"memory: parameters .*, gradients .*, optimizer .*, values inside the step .*, the process itself .*: .* in all", run.stderr)
        assert said, run.stderr
        with open(os.path.join(folder, "log.jsonl"), encoding="utf-8") as f:
            measured = [j for j in map(json.loads, f) if "process_bytes" in j]
    assert [j["step"] for j in measured] == [1], measured
    expected, got = measured[0]["expected_process_bytes"], measured[0]["process_bytes"]
    print(f"{said[0]}; measured {got / 1e6:.0f} MB, {100 * (got / expected - 1):+.1f} %")
    assert abs(got / expected - 1) <= 0.05, (expected, got)


main()
