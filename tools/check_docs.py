#!/usr/bin/env python3
"""Links and commands in the Markdown files: a link to a file must lead to one, and every `bgl VERB` must be a verb of the program. Prints
FILE:LINE: RULE: what is wrong. Usage: check_docs.py [--self-test]"""
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def findings(path, text, verbs):
    for number, line in enumerate(text.splitlines(), 1):
        for target in re.findall(r"\]\(([^)#\s]+)", line):
            if not target.startswith(("http:", "https:", "mailto:")) and not os.path.exists(os.path.join(ROOT, os.path.dirname(path), target)):
                yield number, "link", f"{target} is not there"
        for verb in re.findall(r"(?:build/release/bgl|`bgl|^bgl) ([a-z]+)", line):
            if verb not in verbs:
                yield number, "command", f"bgl has no verb {verb}"


def main():
    if "--self-test" in sys.argv:
        assert [r for _, r, _ in findings("README.md", "[x](no/such/file.md)\nbuild/release/bgl nosuch", {"train"})] == ["link", "command"]
        assert not list(findings("README.md", "[x](README.md) `bgl train`", {"train"}))
        return
    with open(os.path.join(ROOT, "src/cli/verbs.cc")) as f:
        verbs = set(re.findall(r"add_(\w+)\(app, status\)", f.read()))
    files = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True).stdout.split()
    bad = 0
    for path in files:
        with open(os.path.join(ROOT, path), encoding="utf-8") as f:
            for number, rule, what in findings(path, f.read(), verbs):
                print(f"{path}:{number}: {rule}: {what}")
                bad += 1
    sys.exit(bad > 0)


main()
