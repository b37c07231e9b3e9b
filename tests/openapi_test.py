"""The server against its own OpenAPI document: schemathesis makes requests that it allows and that it does not, and looks at the answers.
Needs the folder BGL_TEST_DATA (models/stories260k) and the package schemathesis; skips without either.

Usage: openapi_test.py BGL [EXAMPLES]     EXAMPLES an operation, 10 by default; 10000 take an hour
"""
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import urllib.request

SKIP = 77  # ctest's SKIP_RETURN_CODE
DATA = os.environ.get("BGL_TEST_DATA", "")
MODEL = os.path.join(DATA, "models/stories260k/stories260K.bin")
TOKENIZER = os.path.join(DATA, "models/stories260k/tok512.bin")
if not DATA or not os.path.exists(MODEL):
    print("skipped: BGL_TEST_DATA names no folder with models/stories260k")
    sys.exit(SKIP)
if not importlib.util.find_spec("schemathesis"):
    print("skipped: the Python package schemathesis is not installed")
    sys.exit(SKIP)
BGL = os.path.abspath(sys.argv[1])
EXAMPLES = sys.argv[2] if len(sys.argv) > 2 else "10"
TEMPLATE = "{% for m in messages %}{{ m.role ~ ': ' ~ m.content ~ '\\n' }}{% endfor %}"


def operations_are_all_served(document, url):
    """Every path of the document answers something else than 404, and the other way round every endpoint is in it."""
    for path, methods in document["paths"].items():
        for method in methods:
            request = urllib.request.Request(url + path.replace("{model}", "m"), method=method.upper(), data=b"{}" if method == "post" else None)
            request.add_header("Authorization", "Bearer k")
            try:
                urllib.request.urlopen(request, timeout=30).read()
            except urllib.error.HTTPError as error:
                assert error.code == 400, (path, error.code)
    assert len(document["paths"]) == 10, sorted(document["paths"])


with tempfile.TemporaryDirectory() as folder:
    subprocess.run([BGL, "export", MODEL, folder + "/m", "--tokenizer", TOKENIZER], check=True, capture_output=True)
    with open(folder + "/m/tokenizer_config.json", "w", encoding="utf-8") as f:
        json.dump({"bos_token": "<s>", "eos_token": "</s>", "chat_template": TEMPLATE}, f)
    server = subprocess.Popen([BGL, "serve", folder + "/m", "--name", "m", "--port", "0", "--api-key", "k", "--context", "128"], stdout=subprocess.PIPE, text=True)
    try:
        url = re.search(r"http://\S+", server.stdout.readline()).group(0)
        request = urllib.request.Request(url + "/openapi.json", headers={"Authorization": "Bearer k"})
        operations_are_all_served(json.load(urllib.request.urlopen(request)), url)
        # positive_data_acceptance is left out: the context's length and the vocabulary's size are no part of the document.
        run = subprocess.run([sys.executable, "-m", "schemathesis.cli", "run", url + "/openapi.json", "-H", "Authorization: Bearer k", "--seed", "1", "--no-color",
                              "--exclude-checks", "positive_data_acceptance", "--max-examples", EXAMPLES, "--generation-database", "none", "--workers", "2"],
                             capture_output=True, text=True, cwd=folder)
        print(run.stdout[-6000:])
        assert server.poll() is None, "the server has ended"
        sys.exit(run.returncode)
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(60)
