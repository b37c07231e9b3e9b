"""Hugging Face tokenizers train on the same text, one thread; whether their merges are those of TOKENIZER_JSON.
Usage: hf_tokenizers.py TEXT TOKENIZER_JSON [VOCABULARY]"""
import json
import os
import sys
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"
import tokenizers
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

text = open(sys.argv[1], encoding="utf-8", newline="").read()
fresh = Tokenizer(models.BPE())
fresh.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
start = time.process_time()
fresh.train_from_iterator([text], trainers.BpeTrainer(vocab_size=int(sys.argv[3]) if len(sys.argv) > 3 else 4096, special_tokens=["<|endoftext|>"],
                                                      show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
train = time.process_time() - start


def merges(model):
    return [tuple(m.split(" ")) if isinstance(m, str) else tuple(m) for m in model["model"]["merges"]]


ours = merges(json.load(open(sys.argv[2], encoding="utf-8")))
print(json.dumps({"peer": "tokenizers " + tokenizers.__version__, "train_s": train, "same": ours == merges(json.loads(fresh.to_str()))}))
