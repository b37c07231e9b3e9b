"""Hugging Face tokenizers on the same text: training and encoding, one thread. Usage: hf_tokenizers.py TEXT TOKENIZER_JSON"""
import json
import os
import sys
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"
import tokenizers
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

text = open(sys.argv[1], encoding="utf-8").read()
fresh = Tokenizer(models.BPE())
fresh.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
start = time.time()
fresh.train_from_iterator([text], trainers.BpeTrainer(vocab_size=4096, special_tokens=["<|endoftext|>"], show_progress=False,
                                                      initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
train = time.time() - start
ours = Tokenizer.from_file(sys.argv[2])
best = 1e9
documents = [text[i : i + 4000] for i in range(0, len(text), 4000)]
for _ in range(3):
    start = time.time()
    count = sum(len(e.ids) for e in ours.encode_batch_fast(documents))
    best = min(best, time.time() - start)
print(json.dumps({"peer": "tokenizers " + tokenizers.__version__, "train_s": train, "encode_s": best, "tokens": count}))
