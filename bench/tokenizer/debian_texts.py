"""Texts of many languages out of Debian's packages, for `bgl bench tokenizer FOLDER` and `bgl bench language FOLDER`.

Usage: debian_texts.py OUT [MEGABYTES]   writes OUT/english.txt, OUT/mixed.txt (of about 1.3 MB, and of MEGABYTES where they are named),
OUT/code.txt, and OUT/languages.jsonl: a line {"language", "text"} a text of some messages of programs. Downloads packages with apt-get, installs
none."""
import glob
import html
import json
import os
import re
import struct
import subprocess
import sys

HELP = ["gnome-user-docs"] + ["libreoffice-help-" + language for language in (
    "ca cs da de el en-us es et eu fi fr gl hi hu id it ja ko nl pl pt pt-br ru sk sl sv tr vi zh-cn zh-tw").split()]
MESSAGES = ["evolution-common", "gimp-data", "gnome-control-center-data", "gnucash-common", "libgtk-3-common", "nautilus-data"]
DOCUMENT = 4000  # characters
# Folders of messages that are not named as languages are (ISO 639), and those that hold a language in another script or English again.
RENAMED = {"nb": "no", "zh_CN": "zh", "zh_TW": "zh-Hant", "zh_HK": "zh-Hant"}
LEFT_OUT = re.compile(r"en(_|$)|.*@(?!valencia)")


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


def translations(path):
    """(message, translation) of a .mo file of gettext."""
    with open(path, "rb") as file:
        data = file.read()
    count, originals, translated = struct.unpack_from("<III", data, 8)
    for i in range(count):
        parts = [struct.unpack_from("<II", data, table + 8 * i) for table in (originals, translated)]
        yield tuple(data[at:at + size].decode("utf-8", "ignore") for size, at in parts)


def message_texts(folder, characters=500, most=100):
    """(language, text): whole sentences of programs, a text of about so many characters, at most so many a language."""
    by_language = {}
    for path in sorted(glob.glob(folder + "/usr/share/locale/*/LC_MESSAGES/*.mo")):
        locale = re.search(r"/locale/([^/]+)/", path).group(1)
        if LEFT_OUT.match(locale):
            continue
        language = RENAMED.get(locale, locale.split("@")[0].split("_")[0])
        texts = by_language.setdefault(language, [""])
        for original, translated in translations(path):
            # A sentence that has been translated, and that is no pattern of one.
            if translated == original or original.count(" ") < 5 or re.search(r"[%<>{}\0]", translated):
                continue
            texts[-1] += translated.replace("_", "").split("|")[-1].strip() + "\n"
            if len(texts[-1]) >= characters:
                texts.append("")
    for language, texts in sorted(by_language.items()):
        whole = [text for text in texts if len(text) >= characters]
        for text in whole[::max(1, len(whole) // most)][:most]:
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
        subprocess.run(["apt-get", "download", *HELP, *MESSAGES], cwd=out + "/packages", check=True)
    for package in glob.glob(out + "/packages/*.deb"):
        subprocess.run(["dpkg-deb", "-x", package, out + "/files"], check=True)
    found = list(pages(out + "/files"))
    with open(out + "/languages.jsonl", "w", encoding="utf-8") as file:
        for language, text in message_texts(out + "/files"):
            file.write(json.dumps({"language": language, "text": text}) + "\n")
    by_language = {}
    for language, text in found:
        by_language.setdefault(language, []).append(text)
    # A page of every language in turn.
    turns = [texts[i] for i in range(max(map(len, by_language.values()))) for texts in by_language.values() if i < len(texts)]
    for name, texts, size in (("english", by_language["C"] + by_language["en-us"], 1.3e6), ("mixed", turns, megabytes * 1e6), ("code", code_texts(), 1.3e6)):
        with open(f"{out}/{name}.txt", "w", encoding="utf-8", newline="") as file:
            file.write("\0".join(take(texts, size)))
        print(name, os.path.getsize(f"{out}/{name}.txt"), "bytes")


main()
