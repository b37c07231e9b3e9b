"""A corpus ten times the memory that the process may have goes through preparation, and gives what it gives without a limit.
Usage: prep_memory_test.py BGL [MEGABYTES of the corpus, 640 by default]"""
import gzip
import json
import os
import random
import resource
import subprocess
import sys
import tempfile

BGL = sys.argv[1]
MEGABYTES = int(sys.argv[2]) if len(sys.argv) > 2 else 640
LIMIT = MEGABYTES * 1024 * 1024 // 10
CONFIG = """[prep]
memory_mb = 4
[limits]
document_bytes = 1000000
[[source]]
name = "made"
domain = "made"
licence = "none"
match = ["**"]
filters = ["gopher_words_min"]
"""


def text_of(rng, words, count):
    return " ".join(rng.choices(words, k=count))


def make_corpus(folder, rng):
    """Half in one file of JSON lines, a quarter in one packed file of them, a quarter in pages. Texts are new by a word in five."""
    words = ["".join(rng.choices("bcdfglmnprstaeiou", k=rng.randint(3, 9))) for _ in range(20000)]
    stock = [text_of(rng, words, 2000) for _ in range(40)]
    os.makedirs(folder)
    total = 0

    def text(i):
        nonlocal total
        begin = rng.randrange(4000)
        out = "".join(rng.choice(stock)[begin + k * 700:begin + k * 700 + 600] + f" n{i}k{k} " for k in range(12))
        total += len(out)
        return out

    quarter = MEGABYTES * 1000000 // 4
    number = 0
    with open(os.path.join(folder, "a.jsonl"), "w") as lines:
        while total < 2 * quarter:
            lines.write(json.dumps({"text": text(number)}) + "\n")
            number += 1
    with gzip.open(os.path.join(folder, "b.jsonl.gz"), "wt", compresslevel=1) as lines:
        while total < 3 * quarter:
            lines.write(json.dumps({"text": text(number)}) + "\n")
            number += 1
    while total < 4 * quarter:
        with open(os.path.join(folder, f"page{number:06}.html"), "w") as page:
            page.write("<html><body>" + "".join(f"<p>{text(number)}</p>" for _ in range(20)) + "</body></html>")
        number += 1
    return number


def prepare(base, out, limit, threads):
    def bound():
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))

    environment = dict(os.environ, BGL_THREADS=str(threads))
    command = [BGL, "prep", os.path.join(base, "prep.toml"), "--in", os.path.join(base, "in"), "--out", os.path.join(base, out)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, preexec_fn=bound if limit else None)
    assert done.returncode == 0, f"exit {done.returncode}: {done.stderr[-2000:]}"
    with open(os.path.join(base, out, "summary.json")) as summary:
        return json.load(summary), done.stdout


def main():
    with tempfile.TemporaryDirectory() as base:
        rng = random.Random(1)
        documents = make_corpus(os.path.join(base, "in"), rng)
        with open(os.path.join(base, "prep.toml"), "w") as config:
            config.write(CONFIG)
        bounded, said = prepare(base, "bounded", LIMIT, 2)
        assert bounded["total"]["documents_in"] == documents, bounded["total"]
        assert bounded["total"]["bytes_in"] > 9 * LIMIT, bounded["total"]
        free, _ = prepare(base, "free", 0, 3)
        assert bounded == free, "the limit, or the number of threads, changed the result"
        print(f"{documents} documents, {bounded['total']['bytes_in'] / 1e6:.0f} MB of text in {LIMIT / 1e6:.0f} MB of memory: {said.strip()}")


main()
