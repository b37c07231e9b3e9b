"""Texts of many languages out of Debian's packages, for `bgl bench tokenizer FOLDER`.

Usage: debian_texts.py OUT [MEGABYTES]   writes OUT/english.txt, OUT/mixed.txt (of about 1.3 MB, and of MEGABYTES where they are named),
OUT/code.txt, and OUT/languages.jsonl: a line {"language", "text"} a page. Downloads packages with apt-get, installs none."""
import glob
import html
import json
import os
import re
import subprocess
import sys

PACKAGES = ["gnome-user-docs"] + ["libreoffice-help-" + language for language in ("de", "el", "hi", "ja", "ko", "ru", "zh-cn")]
DOCUMENT = 4000  # characters


def plain(markup):
    body = re.sub(r"(?s)<(script|style|head|info|credit)\b.*?</\1>|<!--.*?-->", " ", markup)
    text = html.unescape(re.sub(r"<[^>]*>", "\n", body))
    return re.sub(r"\s*\n\s*", "\n", re.sub(r"[ \t]+", " ", text)).strip()


def pages(folder):
    """(language, text), each text once."""
    seen = set()
    for path in sorted(glob.glob(folder + "/usr/share/help/*/**/*.page", recursive=True)) + sorted(
            glob.glob(folder + "/usr/share/libreoffice/help/*/text/**/*.html", recursive=True)):
        language = re.search(r"/help/([^/]+)/", path).group(1)
        with open(path, encoding="utf-8", errors="ignore") as file:
            text = plain(file.read())
        if len(text) > 200 and text not in seen:
            seen.add(text)
            yield language, text


def take(texts, size):
    """Parts of DOCUMENT characters of the texts, in turn, up to so many bytes."""
    out, have = [], 0
    for text in texts:
        for at in range(0, len(text), DOCUMENT):
            if have >= size:
                return out
            out.append(text[at:at + DOCUMENT])
            have += len(out[-1].encode())
    return out


def code_texts():
    for path in sorted(glob.glob("src/**/*.cc", recursive=True)) + sorted(glob.glob("/usr/lib/python3*/*.py")):
        with open(path, encoding="utf-8", errors="ignore") as file:
            yield file.read()


def main():
    out, megabytes = sys.argv[1], float(sys.argv[2]) if len(sys.argv) > 2 else 1.3
    os.makedirs(out + "/packages", exist_ok=True)
    if not glob.glob(out + "/packages/*.deb"):
        subprocess.run(["apt-get", "download", *PACKAGES], cwd=out + "/packages", check=True)
    for package in glob.glob(out + "/packages/*.deb"):
        subprocess.run(["dpkg-deb", "-x", package, out + "/files"], check=True)
    found = list(pages(out + "/files"))
    with open(out + "/languages.jsonl", "w", encoding="utf-8") as file:
        for language, text in found:
            file.write(json.dumps({"language": language, "text": text}) + "\n")
    by_language = {}
    for language, text in found:
        by_language.setdefault(language, []).append(text)
    # A page of every language in turn.
    turns = [texts[i] for i in range(max(map(len, by_language.values()))) for texts in by_language.values() if i < len(texts)]
    for name, texts, size in (("english", by_language["C"], 1.3e6), ("mixed", turns, megabytes * 1e6), ("code", code_texts(), 1.3e6)):
        with open(f"{out}/{name}.txt", "w", encoding="utf-8", newline="") as file:
            file.write("\0".join(take(texts, size)))
        print(name, os.path.getsize(f"{out}/{name}.txt"), "bytes")


main()
