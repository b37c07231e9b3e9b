"""Hugging Face tokenizers and tiktoken with one byte-level vocabulary on the documents of a file (separated by NUL), one thread each, in turn.
Usage: encode_peers.py TEXT TOKENIZER_JSON OUT; writes the ids, which both must agree on, to OUT as int32."""
import array
import json
import os
import sys
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"
import tiktoken
import tokenizers
from tokenizers import pre_tokenizers

PATTERN = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


def character_bytes():
    """GPT-2's alphabet: its printable character of every byte."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in plain]
    return {chr(b): b for b in plain} | {chr(256 + i): b for i, b in enumerate(others)}


def tiktoken_of(path):
    with open(path, encoding="utf-8") as file:
        model = json.load(file)
    alphabet, added = character_bytes(), {t["content"] for t in model["added_tokens"]}
    assert set(alphabet) == set(pre_tokenizers.ByteLevel.alphabet())
    ranks = {bytes(alphabet[c] for c in piece): i for piece, i in model["model"]["vocab"].items() if piece not in added}
    return tiktoken.Encoding("peer", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens={})


with open(sys.argv[1], encoding="utf-8", newline="") as file:
    documents = file.read().split("\0")
with open(sys.argv[2], encoding="utf-8") as file:
    # Marks in the documents are ordinary text.
    theirs = tokenizers.Tokenizer.from_str(json.dumps(json.load(file) | {"added_tokens": []}))
tik = tiktoken_of(sys.argv[2])
encoders = {"tokenizers " + tokenizers.__version__: lambda: [e.ids for e in theirs.encode_batch_fast(documents, add_special_tokens=False)],
            "tiktoken " + tiktoken.__version__: lambda: [tik.encode_ordinary(d) for d in documents]}
best, ids = dict.fromkeys(encoders, 1e9), {}
for _ in range(3 if sum(map(len, documents)) < 1e7 else 1):
    for name, encode in encoders.items():
        start = time.process_time()
        found = encode()
        best[name] = min(best[name], time.process_time() - start)
        ids[name] = array.array("i", (i for document in found for i in document))
if len({a.tobytes() for a in ids.values()}) != 1:
    sys.exit("the peers disagree")
with open(sys.argv[3], "wb") as file:
    next(iter(ids.values())).tofile(file)
print(json.dumps(best))
