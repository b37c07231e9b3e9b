"""Main texts of the pages in a folder (*.html, *.html.gz) by trafilatura: pages a second of a core. Usage: trafilatura_pages.py FOLDER"""
import gzip
import json
import os
import sys
import time

import trafilatura

pages = []
for name in sorted(os.listdir(sys.argv[1])):
    if ".htm" in name:
        with (gzip.open if name.endswith(".gz") else open)(os.path.join(sys.argv[1], name), "rb") as file:
            pages.append(file.read())
best = 1e9
for _ in range(2):
    start = time.process_time()
    for page in pages:
        trafilatura.extract(page)
    best = min(best, time.process_time() - start)
print(json.dumps({"peer": "trafilatura " + trafilatura.__version__, "pages_per_s": len(pages) / best}))
