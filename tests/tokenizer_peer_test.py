"""The same ids as Hugging Face tokenizers for GPT-2's, Llama-3's and Qwen's way to split words, on every code point in several
neighbourhoods and on random strings of them. Usage: tokenizer_peer_test.py BGL; needs BGL_TEST_DATA and BGL_PEER_PYTHON."""
import os
import random
import subprocess
import sys
import tempfile

BGL = sys.argv[1]
SPLITS = {
    "llama3": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "qwen": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
}


def skip(why):
    print("skipped:", why)
    sys.exit(77)


def tokenizers_in(folder):
    """tokenizer.json files of GPT-2's vocabulary with each way to split."""
    from tokenizers import Tokenizer, Regex, decoders, models, pre_tokenizers
    data = os.path.join(os.environ["BGL_TEST_DATA"], "tokenizers/gpt2")
    names = os.listdir(data)
    vocabulary = next(n for n in names if n in ("vocab.json", "encoder.json"))
    merges = next(n for n in names if n in ("merges.txt", "vocab.bpe"))
    for name in ("gpt2", *SPLITS):
        made = Tokenizer(models.BPE.from_file(os.path.join(data, vocabulary), os.path.join(data, merges)))
        if name == "gpt2":
            made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        else:
            made.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(SPLITS[name]), "isolated"),
                                                          pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
        made.decoder = decoders.ByteLevel()
        path = os.path.join(folder, name + ".json")
        made.save(path)
        yield name, path, made


def texts(rng):
    scalars = [c for c in range(1, 0x110000) if not 0xD800 <= c < 0xE000]
    for begin in range(0, len(scalars), 4096):
        yield "".join(f"a{c}b 1{c}2 {c}{c}'{c}\n" for c in map(chr, scalars[begin:begin + 4096]))
    pieces = [" ", "  ", "\n", "\r\n", "\t", "'s", "'LL", "'re", "\u017f", "12345", "a", "B", "\u3000", "\u00a0", "\u2028", "...", "_", "\u0301"]
    for _ in range(200):
        yield "".join(rng.choice(pieces) if rng.random() < 0.7 else chr(rng.choice(scalars)) for _ in range(2000))


def main():
    if not os.environ.get("BGL_TEST_DATA"):
        skip("BGL_TEST_DATA is not set")
    try:
        import tokenizers
    except ImportError:
        peer = os.environ.get("BGL_PEER_PYTHON")
        if not peer or peer == sys.executable:
            skip("BGL_PEER_PYTHON names no Python with the package tokenizers")
        os.execv(peer, [peer, *sys.argv])
    seed = 3
    print("tokenizers", tokenizers.__version__, "seed", seed)
    all_texts = list(texts(random.Random(seed)))
    with tempfile.TemporaryDirectory() as folder:
        for name, path, peer in tokenizers_in(folder):
            # One process of ours for all: the texts in a row, each ended by the same line, which both sides split off alike.
            end = "\nend of a text.\n"
            said = subprocess.run([BGL, "tokenizer", "encode", path], input=end.join(all_texts).encode(), capture_output=True, check=True).stdout
            ours = [int(w) for w in said.split()]
            theirs = peer.encode(end.join(all_texts), add_special_tokens=False).ids
            if ours != theirs:
                wrong = next(i for i, (a, b) in enumerate(zip(ours, theirs)) if a != b)
                sys.exit(f"{name}: token {wrong} of {len(theirs)}: {ours[wrong]}, the peer {theirs[wrong]}, "
                         f"after {peer.decode(theirs[max(0, wrong - 12):wrong])!r}")
            print(f"{name}: {len(ours)} tokens of {sum(map(len, all_texts))} characters, all the same")


main()
