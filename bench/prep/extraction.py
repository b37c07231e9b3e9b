"""Writes the articles that bgl extracts from the pages of article-extraction-benchmark (github.com/scrapinghub, MIT), and those of
trafilatura where it is installed, as output/NAME.json in its checkout, whose evaluate.py then prints F1 of both.
Usage: extraction.py BGL CHECKOUT"""
import gzip
import json
import os
import subprocess
import sys
import tempfile
import time

CONFIG = """[prep]
heldout_share = 0
[dedup]
exact = false
near = false
[[source]]
name = "pages"
domain = "web"
licence = "as found"
match = ["*.html.gz"]
filters = []
"""


def main():
    bgl, checkout = sys.argv[1:3]
    with open(os.path.join(checkout, "ground-truth.json")) as file:
        ids = list(json.load(file))
    os.makedirs(os.path.join(checkout, "output"), exist_ok=True)
    found = dict.fromkeys(ids, "")
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "prep.toml"), "w") as file:
            file.write(CONFIG)
        clean = os.path.join(folder, "clean")
        subprocess.run([bgl, "prep", os.path.join(folder, "prep.toml"), "--in", os.path.join(checkout, "html"), "--out", clean], check=True)
        for name in os.listdir(os.path.join(clean, "documents")):
            lines = subprocess.run(["zstdcat", os.path.join(clean, "documents", name)], capture_output=True, check=True).stdout
            for document in map(json.loads, lines.decode().splitlines()):
                found[document["id"].split(".")[0]] = document["text"]
    results = {"bagualu": found}
    try:
        import trafilatura
        pages = {}
        for page in ids:
            with gzip.open(os.path.join(checkout, "html", page + ".html.gz")) as file:
                pages[page] = file.read().decode()
        start = time.process_time()
        results["trafilatura"] = {page: trafilatura.extract(html) or "" for page, html in pages.items()}
        print(f"trafilatura {trafilatura.__version__}: {len(pages) / (time.process_time() - start):.1f} pages a second of a core")
    except ImportError:
        print("trafilatura is not installed")
    for name, texts in results.items():
        with open(os.path.join(checkout, "output", name + ".json"), "w") as file:
            json.dump({page: {"articleBody": texts[page]} for page in ids}, file)


main()
