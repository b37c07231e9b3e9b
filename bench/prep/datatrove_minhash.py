"""datatrove's four stages of MinHash deduplication on the documents of a JSON lines file, 14 bands of 8 rows on shingles of 5 words as ours:
megabytes a second of a core. The first texts of the file, up to a megabyte, as it takes minutes for more. Usage: datatrove_minhash.py TEXTS"""
import json
import sys
import tempfile
import time
from importlib.metadata import version

from datatrove.data import Document
from datatrove.pipeline.dedup import MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupFilter, MinhashDedupSignature
from datatrove.pipeline.dedup.minhash import MinhashConfig
from datatrove.utils.logging import logger

logger.remove()
texts, size = [], 0
with open(sys.argv[1], encoding="utf-8") as file:
    for line in file:
        if size < 1e6:
            texts.append(json.loads(line)["text"])
            size += len(texts[-1].encode())
config = MinhashConfig(n_grams=5, num_buckets=14, hashes_per_bucket=8)


def documents():
    return [Document(text=text, id=str(i)) for i, text in enumerate(texts)]


def drain(stage):
    return sum(1 for _ in stage or [])


with tempfile.TemporaryDirectory() as folder:
    signatures, buckets, removed = folder + "/signatures", folder + "/buckets", folder + "/removed"
    # Its word splitter is loaded once before.
    drain(MinhashDedupSignature(output_folder=folder + "/warm", config=config).run(documents()[:1], 0, 1))
    start = time.process_time()
    drain(MinhashDedupSignature(output_folder=signatures, config=config).run(documents(), 0, 1))
    for bucket in range(14):
        drain(MinhashDedupBuckets(input_folder=signatures, output_folder=buckets, config=config).run(None, bucket, 14))
    drain(MinhashDedupCluster(input_folder=buckets, output_folder=removed, config=config).run(None, 0, 1))
    kept = drain(MinhashDedupFilter(input_folder=removed).run(documents(), 0, 1))
    seconds = time.process_time() - start
print(json.dumps({"peer": "datatrove " + version("datatrove"), "mb_per_s": size / 1e6 / seconds, "kept": kept}))
