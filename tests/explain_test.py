"""A small training with --profile, told by bgl explain: the parts of a step add up, the curve of memory peaks where the plan does, and
trace.json is a Chrome trace whose slices nest; tokens of bgl generate too. Usage: explain_test.py BGL EXAMPLES"""
import json
import os
import random
import subprocess
import sys
import tempfile

BGL, EXAMPLES = sys.argv[1:3]
SETS = ["train.steps=6", "checkpoint.every=0", "evaluate.every=2", "evaluate.batches=1", "model.layers=2", "model.width=32", "model.heads=2",
        "model.context=32", "data.length=32", "data.batch=4"]


def bgl(*words):
    return subprocess.run([BGL, *words], check=True, capture_output=True, text=True).stdout


def check_json(told):
    step, memory = told["step"], told["memory"]
    assert step["measured"] == 3, step  # three of six are warm-up
    parts = step["kernel_seconds"] + step["between_seconds"] + step["outside_seconds"]
    assert abs(parts - step["seconds"]) < 1e-9 and step["between_seconds"] > 0 and step["outside_seconds"] > 0, step
    assert abs(sum(k["seconds"] for k in told["kernels"]) - step["kernel_seconds"]) < 1e-9
    assert abs(sum(k["floor_seconds"] for k in told["kernels"]) - step["floor_seconds"]) < 1e-12
    for k in told["kernels"]:
        assert abs(sum(k["launches"].values()) - k["seconds"]) < 1e-9, k
    assert max(memory["alive"]) == memory["alive"][memory["peak_launch"]] == memory["lower_bound_bytes"] <= memory["arena_bytes"], memory
    assert sum(v["bytes"] for v in memory["at_peak"]) == memory["lower_bound_bytes"]
    # The modules of the model are named, the optimizer's kernel is there, and a fused kernel says what it is made of.
    assert any("attention" in op for k in told["kernels"] for op in k["ops"])
    assert any(k["name"].startswith("adamw") for k in told["kernels"]), [k["name"] for k in told["kernels"]]
    assert any("+" in k["name"] and len(k["ops"]) > 1 for k in told["kernels"])


def inside(inner, outer, slack=0.002):  # microseconds: times are rounded to nanoseconds
    return outer["ts"] - slack <= inner["ts"] and inner["ts"] + inner["dur"] <= outer["ts"] + outer["dur"] + slack


def check_trace(trace, launches_a_step):
    slices = [e for e in trace["traceEvents"] if e["ph"] == "X"]
    steps = [e for e in slices if e["tid"] == 0]
    graphs = [e for e in slices if e["name"].startswith("graph ")]
    launches = [e for e in slices if e["tid"] > 0 and not e["name"].startswith("graph ")]
    assert [e["name"] for e in steps] == ["step 3", "step 4", "step 5"], steps
    assert len(graphs) >= 2 * len(steps) and len(launches) == launches_a_step * len(steps), (len(graphs), len(launches))
    for e in graphs:
        assert any(inside(e, s) for s in steps), e
    for e in launches:
        assert sum(inside(e, g) for g in graphs if g["tid"] == e["tid"]) == 1, e
        assert {"kernel", "shapes", "modules", "flops", "bytes", "floor_us"} <= set(e["args"]), e
    for thread in {e["tid"] for e in launches}:
        mine = sorted((e for e in launches if e["tid"] == thread), key=lambda e: e["ts"])
        assert all(a["ts"] + a["dur"] <= b["ts"] + 0.002 for a, b in zip(mine, mine[1:])), "launches overlap"
    return [e["args"]["bytes"] for e in trace["traceEvents"] if e["ph"] == "C"]


def main():
    rng = random.Random(3)
    with tempfile.TemporaryDirectory() as base:
        text, run = os.path.join(base, "text.txt"), os.path.join(base, "run")
        with open(text, "w") as f:
            f.write("".join(rng.choice("abcdefgh ijkl mnop\n") for _ in range(5000)))
        sets = [x for s in SETS + ["data.text=" + text] for x in ("--set", s)]
        config = os.path.join(EXAMPLES, "shakespeare_char.toml")
        said = bgl("train", config, "--out", run, "--profile", *sets)
        assert f"bgl explain {run}" in said, said
        told = json.loads(bgl("explain", run, "--json", "--top", "1000000"))
        check_json(told)
        with open(os.path.join(run, "trace.json")) as f:
            counter = check_trace(json.load(f), len(told["memory"]["alive"]))
        assert max(counter) == max(told["memory"]["alive"]) and counter[-1] == 0, counter[-1]
        table = bgl("explain", run, "--top", "3")
        assert "other kernels)" in table and "(between launches)" in table and "of bandwidth" in table, table
        with open(os.path.join(run, "profile.html")) as f:
            page = f.read()
        assert page.count("<svg") == 3 and "<script" not in page and "http" not in page.replace("http://www.w3.org/2000/svg", ""), "not self-contained"
        # Measuring changes no bit of the weights, and without --profile nothing is written.
        bgl("train", config, "--out", run + "2", *sets)
        weights = [open(os.path.join(r, "model/model.safetensors"), "rb").read() for r in (run, run + "2")]
        assert weights[0] == weights[1], "a measured run has other weights"
        assert not os.path.exists(os.path.join(run + "2", "profile.json"))
        # A token of generation is told in the same way.
        tokens = os.path.join(base, "tokens")
        bgl("generate", os.path.join(run, "model"), "--prompt", "abc", "--steps", "9", "--profile", tokens)
        told = json.loads(bgl("explain", tokens, "--json"))
        assert told["step"]["measured"] == 5 and any(k["name"] == "paged_attention" for k in told["kernels"]), told["step"]
        few = subprocess.run([BGL, "generate", os.path.join(run, "model"), "--prompt", "abc", "--steps", "1", "--profile", tokens], capture_output=True, text=True)
        assert few.returncode == 1 and few.stderr.split("\n", 1)[1] == ("bgl generate: --profile: 1 tokens are too few to measure one: raise --steps, or give another --prompt "
                                                      "or --seed\n"), few.stderr
        skipped = subprocess.run([BGL, "train", config, "--out", run + "3", *sets], capture_output=True, text=True, env={**os.environ, "BGL_SKIP_PASS": "plan"})
        assert skipped.returncode == 1 and skipped.stderr == "bgl train: BGL_SKIP_PASS: there is no optional pass 'plan': choose common, transpose, fuse\n", skipped.stderr
        print("a step is explained, and a token")


main()
