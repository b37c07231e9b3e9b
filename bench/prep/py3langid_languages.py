"""Languages of the texts in a file of JSON lines {"language", "text"} by py3langid: right ones of each language it knows, and MB a second of a core.
Usage: py3langid_languages.py FILE"""
import collections
import json
import sys
import time
from importlib.metadata import version

import py3langid

with open(sys.argv[1], encoding="utf-8") as file:
    texts = [json.loads(line) for line in file]
# It has one Chinese; it has three Norwegians, of which two are the one that others call so.
OURS = {"nb": "no"}
told = [py3langid.classify(texts[0]["text"])[0]]  # loads the model
start = time.process_time()
told = [py3langid.classify(t["text"])[0] for t in texts]
seconds = time.process_time() - start
all_of, right = collections.Counter(), collections.Counter()
for text, code in zip(texts, told):
    language = text["language"]
    all_of[language] += 1
    right[language] += OURS.get(code, code) == language.split("-")[0]
print(json.dumps({"peer": "py3langid " + version("py3langid"), "right": {l: right[l] / n for l, n in all_of.items()},
                  "mb_per_s": sum(len(t["text"].encode()) for t in texts) / 1e6 / seconds}))
