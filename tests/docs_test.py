"""Checks what the documents say: links lead somewhere, named files exist, and the commands of code blocks are there with the options
used.

usage: docs_test.py BGL [ROOT]
"""
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

BGL = sys.argv[1]
ROOT = pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else pathlib.Path(__file__).resolve().parent.parent)
TOP_FOLDERS = "src|docs|tests|tools|examples|bench|cmake|python|web"


class Checker:
    def __init__(self, root, bgl):
        self.root = root
        self.bgl = bgl
        self.found = []
        self.help_texts = {}
        self.folders = sorted(p.name for p in (root / "src").iterdir() if p.is_dir()) if (root / "src").is_dir() else []
        self.presets = set(re.findall(r'"name": "(\w+)"', self.read("CMakePresets.json")))
        self.libraries = {p.parent.name for p in root.glob("src/*/CMakeLists.txt")}

    def read(self, name):
        path = self.root / name
        return path.read_text(encoding="utf-8") if path.is_file() else ""

    def report(self, name, line, what):
        finding = f"{name}:{line}: {what}"
        if finding not in self.found:
            self.found.append(finding)

    def help_of(self, verbs):
        """The help text of a verb, "" when there is no such verb."""
        if verbs not in self.help_texts:
            done = subprocess.run([self.bgl, *verbs, "--help"], capture_output=True, text=True, check=False)
            self.help_texts[verbs] = done.stdout if done.returncode == 0 else ""
        return self.help_texts[verbs]

    def subverbs(self, verbs):
        section = self.help_of(verbs).partition("Subcommands:\n")[2]
        return set(re.findall(r"^  (\w+)", section, re.MULTILINE))

    def check_bgl(self, name, line, words):
        verbs = ()
        while len(words) > len(verbs) and words[len(verbs)] in self.subverbs(verbs):
            verbs += (words[len(verbs)],)
        if not verbs:
            if words and not words[0].startswith("-"):
                self.report(name, line, f"bgl has no verb {words[0]}")
            return
        if self.subverbs(verbs) and len(words) > len(verbs) and words[len(verbs)].islower():
            self.report(name, line, f"bgl {' '.join(verbs)} has no verb {words[len(verbs)]}")
        known = set(re.findall(r"(?<![\w-])--?[a-z][\w-]*", self.help_of(verbs)))
        for word in words[len(verbs):]:
            option = word.split("=")[0]
            if re.fullmatch(r"--?[a-z][\w-]*", option) and option not in known:
                self.report(name, line, f"bgl {' '.join(verbs)} has no option {option}")

    def check_path(self, name, line, path):
        target = path.rstrip(".,:;")
        candidates = [self.root / target, (self.root / name).parent / target]
        if not any(c.exists() for c in candidates):
            self.report(name, line, f"there is no {target}")

    def check_cmake(self, name, line, words):
        for option, value in zip(words, words[1:]):
            if option == "--preset" and value not in self.presets:
                self.report(name, line, f"there is no preset {value}")
            if option == "--target" and value.endswith("_test") and value[:-5] not in self.libraries:
                self.report(name, line, f"there is no target {value}")

    def check_command(self, name, line, text):
        try:
            words = shlex.split(text, comments=True)
        except ValueError:
            return
        while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
            words = words[1:]
        if not words or words[0] == "$":
            words = words[1:]
        if not words:
            return
        program = words[0]
        if program == "bgl" or re.fullmatch(r"(\./)?build/\w+/bgl", program):
            self.check_bgl(name, line, words[1:])
        elif re.fullmatch(r"(\./)?build/\w+/src/\w+/\w+_test", program):
            if program.split("/")[-1][:-5] not in self.libraries:
                self.report(name, line, f"there is no test program {program}")
        elif program.startswith("./"):
            if not os.access(self.root / program, os.X_OK):
                self.report(name, line, f"{program} cannot be run")
        elif program in ("python3", "bash", "sh", "source", ".") and len(words) > 1 and not words[1].startswith("-"):
            self.check_path(name, line, words[1])
        elif program == "cmake":
            self.check_cmake(name, line, words)
        for word in words[1:]:
            if re.match(rf"({TOP_FOLDERS})/", word) and not re.search(r"[*<>]|[A-Z]{2}", word):
                self.check_path(name, line, word)

    def check_links(self, name, line, text):
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if re.match(r"[a-z]+:", target):
                continue
            path, _, anchor = target.partition("#")
            file = (self.root / name).parent / path if path else self.root / name
            if not file.exists():
                self.report(name, line, f"the link leads nowhere: {target}")
            elif anchor and anchor not in self.anchors(file):
                self.report(name, line, f"no heading of {path or name} gives #{anchor}")

    @staticmethod
    def anchors(file):
        headings = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
        return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}

    def check_prose(self, name, line, text):
        starts = "|".join([TOP_FOLDERS] + self.folders)
        for path in re.findall(rf"(?<![\w/.-])((?:{starts})/[\w./-]*\w\.(?:cc|h|py|md|toml|cmake|txt|sh))\b", text):
            if not (self.root / path).exists() and not (self.root / "src" / path).exists() and not (self.root / name).parent.joinpath(path).exists():
                self.report(name, line, f"there is no {path}")

    def check_folder_readme(self, name, line, text):
        """In a README below src a list item begins with the files that it is about."""
        item = re.match(r"- ((?:`[^`]+`(?:, | and )?)+)", text)
        for token in re.findall(r"`([^`]+)`", item.group(1)) if item else []:
            folder = (self.root / name).parent
            if re.fullmatch(r"[a-z0-9_./]+", token) and not list(folder.glob(token.rstrip("/") + "*")):
                self.report(name, line, f"{folder.name} has no {token}")

    def check_file(self, name):
        fence = None
        pending = ""
        for number, text in enumerate(self.read(name).split("\n"), 1):
            mark = re.match(r"\s*```(\w*)", text)
            if mark:
                fence = None if fence is not None else mark.group(1)
                continue
            if fence is None:
                self.check_links(name, number, text)
                self.check_prose(name, number, text)
                for command in re.findall(r"`((?:build/\w+/)?bgl [^`]+)`", text):
                    self.check_command(name, number, command.replace("...", ""))
                if name.startswith("src/"):
                    self.check_folder_readme(name, number, text)
            elif fence in ("", "sh", "bash", "console"):
                pending += text
                if pending.endswith("\\"):
                    pending = pending[:-1] + " "
                    continue
                for command in re.split(r"&&|\|\||;|\|", re.sub(r"\s#.*", "", pending)):
                    self.check_command(name, number, command.strip())
                pending = ""

    def check_all(self):
        listed = subprocess.run(["git", "-C", str(self.root), "ls-files", "*.md"], capture_output=True, text=True, check=False)
        names = listed.stdout.split() if listed.returncode == 0 else [
            str(p.relative_to(self.root)) for p in self.root.rglob("*.md") if "build" not in p.relative_to(self.root).parts]
        for name in names:
            self.check_file(name)
        return len(names)


CANARY = """# A heading

[here](#a-heading) [good](b.md) [gone](c.md) [no](#nothing)
See src/base/env.h and src/base/gone.h, `bgl lake ls ...` and `bgl crawl`.

```
bgl lake ls LAKE | head
bgl lake frobnicate
bgl lake put LAKE DIR --no-such-option
bgl fly
./missing
cmake --preset nope && python3 tools/none.py
```
"""
CANARY_FINDINGS = [
    "a.md:3: the link leads nowhere: c.md", "a.md:3: no heading of a.md gives #nothing", "a.md:4: there is no src/base/gone.h",
    "a.md:4: bgl has no verb crawl",
    "a.md:8: bgl lake has no verb frobnicate", "a.md:9: bgl lake put has no option --no-such-option", "a.md:10: bgl has no verb fly",
    "a.md:11: ./missing cannot be run", "a.md:12: there is no preset nope", "a.md:12: there is no tools/none.py",
]


def self_test():
    with tempfile.TemporaryDirectory() as top:
        root = pathlib.Path(top)
        (root / "src/base").mkdir(parents=True)
        (root / "src/base/env.h").write_text("")
        (root / "b.md").write_text("")
        (root / "a.md").write_text(CANARY)
        (root / "src/base/README.md").write_text("- `env`: the system.\n- `gone`, `env`: what?\n")
        checker = Checker(root, BGL)
        checker.check_file("a.md")
        checker.check_file("src/base/README.md")
        wanted = CANARY_FINDINGS + ["src/base/README.md:2: base has no gone"]
        if checker.found != wanted:
            sys.exit("the check of documents itself is wrong: it finds\n" + "\n".join(checker.found))


self_test()
checker = Checker(ROOT, BGL)
count = checker.check_all()
print("\n".join(checker.found))
print(f"docs: {count} documents, {len(checker.found)} findings")
sys.exit(1 if checker.found else 0)
