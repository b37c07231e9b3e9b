#!/usr/bin/env python3
"""Compiles every public header by itself, so that none needs another to be included before it.

usage: headers_alone.py BUILD_DIR     BUILD_DIR holds compile_commands.json

A header that passed is remembered in BUILD_DIR with a hash of it, of our headers below it and of the flags; only changed ones are
compiled again.
"""
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
SRC = ROOT / "src"
KEEP_PREFIXES = ("-I", "-D", "-std=", "-f", "-W", "-m")


def public_headers():
    return sorted(p.relative_to(SRC).as_posix() for p in SRC.rglob("*.h") if "internal" not in p.relative_to(SRC).parts)


def flags_by_folder(build):
    """The compiler and flags with which a folder's sources are compiled."""
    flags = {}
    for entry in json.loads((build / "compile_commands.json").read_text()):
        match = re.search(r"/src/(\w+)/CMakeFiles/(bgl_\w+)\.dir/", entry["command"])
        if not match or not entry["command"].rstrip().endswith((".cc", ".cxx")):
            continue
        words = [w for w in shlex.split(entry["command"]) if not w.endswith("ccache")]
        kept, wants_value = [], False
        for word in words[1:]:
            if wants_value or word.startswith(KEEP_PREFIXES) or word == "-isystem":
                kept.append(word)
            wants_value = word == "-isystem"
        flags.setdefault(match.group(1), [words[0], *kept])
    return flags


def closure(header, seen):
    if header in seen or not (SRC / header).is_file():
        return
    text = (SRC / header).read_text()
    seen[header] = text
    for below in re.findall(r'#\s*include\s+"([^"]+)"', text):
        closure(below, seen)


def stamp(header, command):
    seen = {}
    closure(header, seen)
    digest = hashlib.sha256(json.dumps([command, sorted(seen.items())]).encode())
    return digest.hexdigest()


def compile_alone(header, command):
    # As a source that includes it: a compiler warns of #pragma once in the file that it is given itself.
    with tempfile.NamedTemporaryFile("w", suffix=".cc") as source:
        source.write(f'#include "{header}"\n')
        source.flush()
        done = subprocess.run([*command, "-fsyntax-only", source.name], capture_output=True, text=True, check=False)
    return done.returncode == 0, done.stderr


def main():
    build = pathlib.Path(sys.argv[1])
    remembered_file = build / "headers_alone.json"
    remembered = json.loads(remembered_file.read_text()) if remembered_file.exists() else {}
    flags = flags_by_folder(build)
    fallback = flags.get("base")
    wanted = {}
    for header in public_headers():
        command = flags.get(header.split("/")[0], fallback)
        wanted[header] = (command, stamp(header, command))
    todo = [h for h, (_, s) in wanted.items() if remembered.get(h) != s]
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for header, (fine, message) in zip(todo, pool.map(lambda h: compile_alone(h, wanted[h][0]), todo)):
            if fine:
                remembered[header] = wanted[header][1]
                continue
            failed += 1
            print(f"src/{header}:1: header-alone: include in it what it needs\n{message}")
    remembered_file.write_text(json.dumps(remembered, indent=1, sort_keys=True))
    print(f"headers: {len(wanted)} public, {len(todo)} compiled, {failed} do not compile alone")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
