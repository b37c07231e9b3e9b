"""The server against its own OpenAPI document: schemathesis makes requests that it allows and that it does not, and looks at the answers.
Needs the package schemathesis; skips without.

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

import tiny_model

SKIP = 77  # ctest's SKIP_RETURN_CODE
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
    model = tiny_model.make(BGL, folder)
    with open(model + "/tokenizer_config.json", "w", encoding="utf-8") as f:
        json.dump({"chat_template": TEMPLATE}, f)
    server = subprocess.Popen([BGL, "serve", model, "--name", "m", "--port", "0", "--api-key", "k", "--context", "128"], stdout=subprocess.PIPE, text=True)
    try:
        url = re.search(r"http://\S+", server.stdout.readline()).group(0)
        request = urllib.request.Request(url + "/openapi.json", headers={"Authorization": "Bearer k"})
        operations_are_all_served(json.load(urllib.request.urlopen(request)), url)
        # One worker: CPython 3.11's ast.parse, which hypothesis uses, fails now and then in two threads ("AST constructor recursion depth
        # mismatch"). positive_data_acceptance is left out: the context's length and the vocabulary's size are no part of the document.
        run = subprocess.run([sys.executable, "-m", "schemathesis.cli", "run", url + "/openapi.json", "-H", "Authorization: Bearer k", "--seed", "1", "--no-color",
                              "--exclude-checks", "positive_data_acceptance", "--max-examples", EXAMPLES, "--generation-database", "none", "--workers", "1"],
                             capture_output=True, text=True, cwd=folder)
        print(run.stdout[-6000:])
        assert server.poll() is None, "the server has ended"
        sys.exit(run.returncode)
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(60)
