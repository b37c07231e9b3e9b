#!/usr/bin/env python3
"""The house's rules that a program can check. Prints "FILE:LINE: RULE: WHAT TO DO" and exits 1 when one is broken.

usage: tidy.py [--root DIR]     checks every file that git knows
       tidy.py --self-test      checks the rules themselves: each has a canary that must be caught
"""
import argparse
import ast
import pathlib
import re
import subprocess
import sys
import tempfile

FILE_LINES = 800
FUNCTION_LINES = 70
SHORT_LINES = 40  # README.md below src, CMakeLists.txt
# Public headers include none of these: they cost every includer compile time, or tie the interface to one way of doing it.
HEAVY_HEADERS = ("iostream", "regex", "filesystem", "chrono", "thread", "random")
# Written in pieces, so that this file does not break its own rule.
FORBIDDEN = (
    (re.compile("(?<!\\w)/wor" + "k/|\\.\\./sha" + "red"), "a path of somebody's machine: name a folder of the repository or an option"),
    (re.compile("\\bissu" + "e #[0-9]", re.IGNORECASE), "a reader without the tracker cannot follow it: say what it was about"),
    (re.compile("\\b(TO" + "DO|FIX" + "ME)\\b"), "do it, or leave it out and say so where users look"),
)
TEXT_SUFFIXES = {".cc", ".h", ".c", ".py", ".md", ".cmake", ".txt", ".toml", ".json", ".sh", ".html", ".css", ".js", ".yml", ".yaml", ""}
NOT_FUNCTIONS = re.compile(r"^\s*(if|for|while|switch|else|do|namespace|class|struct|enum|union|extern|return|catch|try|case|default|"
                           r"using|static_assert|BGL_\w+|EXPECT_\w+|ASSERT_\w+)\b")


class Tree:
    """The files to look at, their text, and what was found."""

    def __init__(self, root, names):
        self.root = pathlib.Path(root)
        self.names = sorted(n for n in names if (self.root / n).is_file())
        self.found = []
        self.layers = {}
        table = self.text("cmake/layers.cmake") or ""
        for folder, layer in re.findall(r"set\(BGL_LAYER_(\w+) (\d+)\)", table):
            self.layers[folder] = int(layer)

    def text(self, name):
        try:
            return (self.root / name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return None

    def report(self, name, line, rule, what):
        self.found.append((name, line, rule, what))


def check_text(tree, name, text):
    lines = text.split("\n")
    if text and lines[-1] != "":
        tree.report(name, len(lines), "last-line", "end the file with a line end")
    data = pathlib.PurePath(name).parts[0] == "examples" and not name.endswith((".cc", ".h", ".py", ".md"))
    for number, line in enumerate(lines, 1):
        if data:
            break  # the texts of examples are what they are
        if line != line.rstrip():
            tree.report(name, number, "trailing-space", "remove the white space at the end of the line")
        for pattern, what in FORBIDDEN:
            if pattern.search(line):
                tree.report(name, number, "forbidden-words", what)


def check_length(tree, name, text):
    count = text.count("\n")
    base = name.rsplit("/", 1)[-1]
    if name.endswith((".cc", ".h", ".c", ".py")) and count > FILE_LINES:
        tree.report(name, FILE_LINES + 1, "file-length", f"{count} lines: split it, at most {FILE_LINES} are possible")
    if (base == "README.md" and name.startswith("src/") or base == "CMakeLists.txt") and count > SHORT_LINES:
        tree.report(name, SHORT_LINES + 1, "file-length", f"{count} lines: at most {SHORT_LINES} are possible in a {base}")


def first_line_of_head(lines, last):
    """Where the head that ends in line `last` begins: at the open parentheses, and before a constructor's initialisers."""
    first, depth = last, lines[last].count(")") - lines[last].count("(")
    while first > 0:
        initialiser = lines[first].lstrip().startswith(":") or lines[first - 1].rstrip().endswith(",")
        if depth <= 0 and not initialiser:
            break
        first -= 1
        depth += lines[first].count(")") - lines[first].count("(")
    return first


def functions(lines):
    """Yields (first line, last line) of the functions of a C++ file laid out by clang-format, counted from 0."""
    at = 0
    while at < len(lines):
        line = lines[at]
        first = at
        at += 1
        if not line.endswith("{") or line.lstrip().startswith("//"):
            continue
        first = first_line_of_head(lines, first)
        head = " ".join(part.strip() for part in lines[first:at])
        plain = re.sub(r"\[[^\]]*\]\(", "(lambda", head)
        if "(" not in head or NOT_FUNCTIONS.match(lines[first]) or plain != head or not re.match(r"\s*[\w~:<]", lines[first]):
            continue
        if re.match(r"[^(]*[^=!<>]=[^=]", head) and "operator" not in head:
            continue
        indent = re.match(r"\s*", lines[first]).group()
        last = at
        while last < len(lines) and not lines[last].startswith(indent + "}"):
            last += 1
        yield first, last
        at = last


def check_functions(tree, name, text):
    lines = text.split("\n")
    if name.endswith(".py"):
        try:
            spans = [(n.lineno - 1, n.end_lineno - 1) for n in ast.walk(ast.parse(text))
                     if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))]
        except SyntaxError as error:
            tree.report(name, error.lineno or 1, "python", "it does not parse: " + str(error.msg))
            return
        mark = "#"
    else:
        spans, mark = list(functions(lines)), "//"
    for first, last in spans:
        length = last - first + 1
        above = lines[first - 1].strip() if first else ""
        if length > FUNCTION_LINES and not above.startswith(mark):
            tree.report(name, first + 1, "function-length",
                        f"{length} lines: split it (at most {FUNCTION_LINES}), or give the reason in a comment above it")


def dependencies(tree, folder, with_tests):
    text = tree.text(f"src/{folder}/CMakeLists.txt") or ""
    deps = set()
    for words in re.findall(r"\bDEPS\s+([a-z_\s]+)" + (r"|\bTEST_DEPS\s+([a-z_\s]+)" if with_tests else ""), text):
        for group in words if isinstance(words, tuple) else (words,):
            deps.update(group.split())
    return deps


def check_includes(tree, name, text):
    parts = name.split("/")
    folder = parts[1] if parts[0] == "src" and len(parts) > 2 else None
    public = name.endswith(".h") and "internal" not in parts
    if name.endswith(".h") and "#pragma once" not in text and not re.search(r"^#ifndef \w+_H$", text, re.MULTILINE):
        tree.report(name, 1, "pragma-once", "headers begin with #pragma once")
    for number, line in enumerate(text.split("\n"), 1):
        heavy = re.match(r"\s*#\s*include\s+<(\w+)>", line)
        if heavy and public and heavy.group(1) in HEAVY_HEADERS:
            tree.report(name, number, "heavy-header", f"public headers do not include <{heavy.group(1)}>: move it to the source")
        own = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
        if not own or folder not in tree.layers:
            continue
        if "/" not in own.group(1) or own.group(1).startswith("."):
            tree.report(name, number, "include-path", "include by the path below src: \"folder/file.h\"")
            continue
        used = own.group(1).split("/")[0]
        if used == folder or used not in tree.layers or tree.layers[used] < tree.layers[folder]:
            continue
        if tree.layers[used] > tree.layers[folder]:
            tree.report(name, number, "layers", f"{folder} (layer {tree.layers[folder]}) may not use {used} (layer "
                        f"{tree.layers[used]}), which lies above: move the code, or turn the call round")
        elif used not in dependencies(tree, folder, name.endswith("_test.cc")):
            tree.report(name, number, "layers", f"{used} is of the same layer: name it in DEPS of src/{folder}/CMakeLists.txt")


def check_folders(tree):
    holders = {n.rsplit("/", 1)[0] for n in tree.names if n.startswith("src/") and n.endswith((".cc", ".h"))}
    for folder in sorted(holders):
        top = "/".join(folder.split("/")[:2])
        told = folder != top and folder[len(top) + 1:] + "/" in (tree.text(f"{top}/README.md") or "")
        if folder.rsplit("/", 1)[-1] != "internal" and f"{folder}/README.md" not in tree.names and not told:
            tree.report(folder, 1, "readme", f"write {folder}/README.md (what it is, one line per file, what to read first), or tell of "
                        f"a subfolder in {top}/README.md")
        if folder.count("/") == 1 and folder.split("/")[1] not in tree.layers:
            tree.report(folder, 1, "layers", "the folder has no layer: add it to cmake/layers.cmake")


def check(tree):
    for name in tree.names:
        if pathlib.PurePath(name).suffix not in TEXT_SUFFIXES:
            continue
        text = tree.text(name)
        if text is None:
            continue
        check_text(tree, name, text)
        check_length(tree, name, text)
        if name.endswith((".cc", ".h", ".c", ".py")):
            check_functions(tree, name, text)
        if name.endswith((".cc", ".h", ".c")):
            check_includes(tree, name, text)
    check_folders(tree)
    return sorted(tree.found)


def known_files(root):
    listed = subprocess.run(["git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"], capture_output=True,
                            check=False)
    if listed.returncode == 0:
        return [n for n in listed.stdout.decode().split("\0") if n]
    # Without git (an unpacked archive): all but the build.
    top = pathlib.Path(root)
    return [str(p.relative_to(top)) for p in top.rglob("*") if p.is_file() and p.relative_to(top).parts[0] not in ("build", ".git")]


LONG_BODY = "  x += 1;\n" * FUNCTION_LINES
PYTHON_BODY = "    x = 1\n" * FUNCTION_LINES
CLEAN = {
    "cmake/layers.cmake": "set(BGL_LAYER_low 0)\nset(BGL_LAYER_mid 1)\nset(BGL_LAYER_peer 1)\nset(BGL_LAYER_top 2)\n",
    "src/mid/README.md": "# mid\n",
    "src/mid/CMakeLists.txt": "bgl_library(NAME mid SRCS a.cc\n  DEPS low\n  TEST_DEPS peer)\n",
    "src/mid/a.h": "#pragma once\n#include <string>\nint f();\n",
    "src/mid/a.cc": "#include \"mid/a.h\"\n#include \"low/b.h\"\n#include <thread>\n\n// The table needs its length.\nint f(int x,\n"
                    "      int y) {\n" + LONG_BODY + "}\n\nint g() {\n  return 1;\n}\n\nconst auto h = [](int z) {\n  return z;\n};\n",
    "src/mid/a_test.cc": "#include \"peer/p.h\"\n",
    "src/mid/internal/i.h": "#pragma once\n#include <chrono>\n",
    "tools/t.py": "def f():\n    return 1\n",
}
# Per canary: the file, its text, and the finding that must come (line, rule) and no other.
CANARIES = (
    ("src/mid/long.cc", "int x;\n" * (FILE_LINES + 1), (FILE_LINES + 1, "file-length")),
    ("src/mid/README.md", "line\n" * (SHORT_LINES + 1), (SHORT_LINES + 1, "file-length")),
    ("src/mid/CMakeLists.txt", "# line\n" * SHORT_LINES + "bgl_library(NAME mid TEST_DEPS peer)\n", (SHORT_LINES + 1, "file-length")),
    ("src/mid/f.cc", "int a;\n\nint f(int x) {\n" + LONG_BODY + "}\n", (3, "function-length")),
    ("src/mid/f.cc", "int a;\n\nint K::f(int x,\n         int y) const {\n" + LONG_BODY + "}\n", (3, "function-length")),
    ("src/mid/f.cc", "class K {\n public:\n  void f() override {\n" + LONG_BODY.replace("  x", "    x") + "  }\n};\n", (3, "function-length")),
    ("src/mid/f.cc", "K::K(int x)\n    : a_(x),\n      b_(x) {\n" + LONG_BODY + "}\n", (1, "function-length")),
    ("src/mid/f.cc", "TEST(A, B) {\n" + LONG_BODY + "}\n", (1, "function-length")),
    ("tools/t.py", "x = 1\ndef f():\n" + PYTHON_BODY, (2, "function-length")),
    ("tools/t.py", "def f(:\n", (1, "python")),
    ("src/mid/u.cc", "#include \"top/t.h\"\n", (1, "layers")),
    ("src/mid/u.cc", "int a;\n#include \"peer/p.h\"\n", (2, "layers")),
    ("src/mid/u.cc", "#include \"a.h\"\n", (1, "include-path")),
    ("src/mid/u.cc", "#include \"../low/b.h\"\n", (1, "include-path")),
    ("src/mid/u.h", "#pragma once\n#include <chrono>\n", (2, "heavy-header")),
    ("src/mid/u.h", "int f();\n", (1, "pragma-once")),
    ("src/mid/u.cc", "int a; \n", (1, "trailing-space")),
    ("docs/a.md", "see\n/wor" + "k/x\n", (2, "forbidden-words")),
    ("docs/a.md", "see ../sha" + "red/x\n", (1, "forbidden-words")),
    ("docs/a.md", "as in issu" + "e #12\n", (1, "forbidden-words")),
    ("src/mid/u.cc", "// TO" + "DO: more\n", (1, "forbidden-words")),
    ("docs/a.md", "no end", (1, "last-line")),
    ("src/low/b.cc", "int a;\n", (1, "readme")),
    ("src/mid/sub/b.cc", "int a;\n", (1, "readme")),
    ("src/odd/b.cc", "int a;\n", (1, "layers")),
)


def findings_of(files):
    with tempfile.TemporaryDirectory() as top:
        for name, text in files.items():
            path = pathlib.Path(top) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return [(line, rule) for _, line, rule, _ in check(Tree(top, files))]


def self_test():
    wrong = 0
    clean = findings_of(CLEAN)
    if clean:
        print(f"self-test: clean files are found fault with: {clean}")
        wrong += 1
    for name, text, wanted in CANARIES:
        files = {**CLEAN, name: text}
        if name.startswith("src/odd/"):
            files["src/odd/README.md"] = "# odd\n"
        found = findings_of(files)
        if found != [wanted]:
            print(f"self-test: {name} should give {wanted}, gives {found}")
            wrong += 1
    print(f"tidy: {len(CANARIES)} canaries, {wrong} went wrong")
    return 1 if wrong else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", default=str(pathlib.Path(__file__).resolve().parent.parent))
    parser.add_argument("--self-test", action="store_true")
    args = parser.parse_args()
    if args.self_test:
        return self_test()
    tree = Tree(args.root, known_files(args.root))
    found = check(tree)
    for name, line, rule, what in found:
        print(f"{name}:{line}: {rule}: {what}")
    print(f"tidy: {len(tree.names)} files, {len(found)} findings", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
