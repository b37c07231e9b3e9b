#!/usr/bin/env python3
"""The style that a program can check. Prints FILE:LINE: RULE: what to do, and fails when there is anything to print.

  tidy.py                 everything but the headers
  tidy.py --headers CXX   compiles every public header alone with CXX (slower)
  tidy.py --self-test     each rule against a canary that must be found
"""
import concurrent.futures
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MAX_FILE, MAX_FUNCTION, MAX_README, MAX_CMAKE = 800, 70, 40, 40
HEAVY = {"iostream", "regex", "filesystem", "chrono", "thread", "random"}
# Spelled so that this file does not find itself.
FORBIDDEN = [(re.compile(r"(?<![\w}])/" + "work/"), "a path of one machine"), (re.compile(r"\.\./" + "shared"), "a path outside the repository"),
             (re.compile(r"\bissue" + r" #?\d"), "the number of an issue")]
CODE = (".cc", ".h")
TEXT = CODE + (".py", ".md", ".txt", ".toml", ".cmake", ".sh", ".json")


def repository_files():
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode == 0:
        return [f for f in listed.stdout.splitlines() if os.path.isfile(os.path.join(ROOT, f))]
    return [os.path.relpath(os.path.join(d, f), ROOT) for d, _, fs in os.walk(ROOT) if "/build" not in d and "/.git" not in d for f in fs]


def layers(text):
    return {name: int(level) for name, level in re.findall(r"set\(BGL_LAYER_(\w+) (\d+)\)", text)}


def dependencies(text):
    """The folders named in the DEPS of a folder's CMakeLists.txt."""
    found = re.search(r"\bDEPS\s+((?:\w+\s*)+?)(?=\n\s*[A-Z_]+\b|\)|$)", text)
    return set(found.group(1).split()) if found else set()


def check_lines(path, text):
    for number, line in enumerate(text.splitlines(), 1):
        for pattern, what in FORBIDDEN:
            if pattern.search(line):
                yield number, "words", f"remove {what}"
        if line != line.rstrip():
            yield number, "whitespace", "remove the blanks at the end of the line"
        if path.endswith(CODE) and "\t" in line and "'\\t'" not in line:
            yield number, "whitespace", "indent with spaces"


def check_length(path, text):
    lines = text.splitlines()
    if len(lines) > MAX_FILE:
        yield 1, "file length", f"{len(lines)} lines: split it, {MAX_FILE} are the most"
    start = None
    for number, line in enumerate(lines, 1):
        if start is None and re.match(r"^[A-Za-z_~][^;#]*\)[^;]*\{$", line) and not line.startswith(("namespace", "struct", "class", "enum", "union")):
            start = number
        elif start is not None and line.startswith("}"):
            if number - start > MAX_FUNCTION and not (start > 1 and lines[start - 2].lstrip().startswith("//")):
                yield start, "function length", f"{number - start} lines: split it, or give the reason in a comment above it"
            start = None


def check_includes(path, text, level, deps):
    folder = path.split("/")[1]
    public = path.endswith(".h") and "/internal/" not in path and "/testing/" not in path
    if path.endswith(".h") and "#pragma once" not in text and not re.search(r"#ifndef \w+_H", text):
        yield 1, "header", "begin with #pragma once"
    for number, line in enumerate(text.splitlines(), 1):
        found = re.match(r'#include (?:"([^"]+)"|<([^>]+)>)', line)
        if not found:
            continue
        own, system = found.groups()
        if system in HEAVY and public:
            yield number, "heavy header", f"<{system}> slows every user of a public header: move it to the source"
        if own is None or own.endswith("_test.h"):
            continue
        target = own.split("/")[0]
        if target == folder:
            continue
        if target not in level:
            yield number, "layers", f"there is no folder {target} in cmake/layers.cmake"
        elif target not in deps.get(folder, set()) and not (level[target] < level.get(folder, -1)):
            yield number, "layers", f"{folder} may not include {target}: it lies above, or beside and is not in DEPS"


def check_markdown(path, text, verbs):
    for number, line in enumerate(text.splitlines(), 1):
        for target in re.findall(r"\]\(([^)#\s]+)", line):
            if not target.startswith(("http:", "https:", "mailto:")) and not os.path.exists(os.path.join(ROOT, os.path.dirname(path), target)):
                yield number, "link", f"{target} is not there"
        for verb in re.findall(r"\bbuild/release/bgl (\w+)", line):
            if verbs and verb not in verbs:
                yield number, "command", f"bgl has no verb {verb}"


def check_folders(files):
    for folder in sorted({f.split("/")[1] for f in files if f.startswith("src/") and f.count("/") >= 2}):
        for name, most in (("README.md", MAX_README), ("CMakeLists.txt", MAX_CMAKE)):
            path = f"src/{folder}/{name}"
            full = os.path.join(ROOT, path)
            if not os.path.exists(full):
                yield path, 1, "folder", f"every folder of src has a {name}"
            elif sum(1 for _ in open(full)) > most:
                yield path, 1, "folder", f"more than {most} lines"


def all_findings():
    files = repository_files()
    read = lambda f: open(os.path.join(ROOT, f), encoding="utf-8", errors="replace").read()
    level = layers(read("cmake/layers.cmake"))
    deps = {f.split("/")[1]: dependencies(read(f)) for f in files if re.match(r"src/\w+/CMakeLists\.txt$", f)}
    verbs = set(re.findall(r"add_(\w+)\(app, status\)", read("src/cli/verbs.cc")))
    yield from check_folders(files)
    for path in files:
        if not path.endswith(TEXT) and path not in ("check", "quickstart", ".ci/run"):
            continue
        text = read(path)
        found = list(check_lines(path, text))
        if path.endswith(CODE):
            found += check_length(path, text)
        if path.startswith("src/") and path.endswith(CODE) and path.count("/") >= 2:
            found += check_includes(path, text, level, deps)
        if path.endswith(".md"):
            found += check_markdown(path, text, verbs)
        for number, rule, what in found:
            yield path, number, rule, what


def headers(compiler):
    public = [f for f in repository_files() if f.startswith("src/") and f.endswith(".h")]

    def compile_alone(path):
        run = subprocess.run([compiler, "-std=c++20", "-fsyntax-only", "-DFMT_SHARED", "-I" + os.path.join(ROOT, "src"), "-x", "c++", os.path.join(ROOT, path)],
                             capture_output=True, text=True)
        return path, run.returncode, run.stderr

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for path, status, output in pool.map(compile_alone, public):
            if status:
                error = next((line for line in output.splitlines() if "error" in line), "")
                yield path, 1, "header", "does not compile alone: " + error


def self_test():
    level, deps = {"base": 0, "ops": 5, "compiler": 6}, {"ops": {"base"}}
    canaries = [
        ("words", check_lines("a.cc", "// see /" + "work/x")),
        ("words", check_lines("a.md", "issue" + " #3")),
        ("whitespace", check_lines("a.cc", "int x; ")),
        ("file length", check_length("a.cc", "\n" * 801)),
        ("function length", check_length("a.cc", "void f() {\n" + "  g();\n" * 80 + "}\n")),
        ("heavy header", check_includes("src/ops/a.h", "#pragma once\n#include <iostream>\n", level, deps)),
        ("header", check_includes("src/ops/a.h", "int f();\n", level, deps)),
        ("layers", check_includes("src/ops/a.cc", '#include "compiler/graph.h"\n', level, deps)),
        ("link", check_markdown("README.md", "[x](no/such/file.md)", set())),
        ("command", check_markdown("README.md", "build/release/bgl nosuchverb", {"train"})),
    ]
    for rule, found in canaries:
        assert any(r == rule for _, r, _ in found), f"the canary of '{rule}' was not found"
    assert not list(check_includes("src/ops/a.cc", '#include "base/status.h"\n', level, deps))
    assert not list(check_length("a.cc", "// A table.\nvoid f() {\n" + "  g();\n" * 80 + "}\n"))
    print(len(canaries), "canaries found")


def main():
    if "--self-test" in sys.argv:
        return self_test()
    findings = list(headers(sys.argv[2]) if "--headers" in sys.argv else all_findings())
    for path, number, rule, what in findings:
        print(f"{path}:{number}: {rule}: {what}")
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    main()
