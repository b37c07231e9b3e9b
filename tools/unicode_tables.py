#!/usr/bin/env python3
"""Writes src/text/unicode_tables.cc: which code points are letters (\\p{L}) and numbers (\\p{N}), as the regular expressions of
tokenizers see them. Debian's libraries know an older Unicode than the tokenizers' authors used, so the table is made once, from the
Unicode Character Database, and kept.

usage: unicode_tables.py UnicodeData.txt VERSION > src/text/unicode_tables.cc
       unicode_tables.py --unicodedata2 > src/text/unicode_tables.cc     from the Python package of that name
"""
import sys

LINE = 130


def categories_of_file(path):
    """Code point -> general category. Large blocks are given by their first and last line."""
    found, first = {}, None
    with open(path, encoding="ascii") as lines:
        for line in lines:
            code, name, category = line.split(";")[:3]
            code = int(code, 16)
            if name.endswith(", First>"):
                first = code
            elif name.endswith(", Last>"):
                found.update((c, category) for c in range(first, code + 1))
            else:
                found[code] = category
    return found


def categories_of_package():
    import unicodedata2
    return {c: unicodedata2.category(chr(c)) for c in range(0x110000)}, unicodedata2.unidata_version


def ranges(codes):
    out = []
    for code in sorted(codes):
        if out and out[-1][1] == code - 1:
            out[-1][1] = code
        else:
            out.append([code, code])
    return out


def table(name, codes):
    pairs = [f"{{0x{a:X}, 0x{b:X}}}," for a, b in ranges(codes)]
    lines, line = [], " "
    for pair in pairs:
        if len(line) + len(pair) + 1 > LINE:
            lines.append(line)
            line = " "
        line += " " + pair
    lines.append(line)
    return f"const CodeRange {name}[] = {{\n" + "\n".join(lines) + f"\n}};\nconst size_t {name}Count = std::size({name});\n"


def main():
    if sys.argv[1:] == ["--unicodedata2"]:
        categories, version = categories_of_package()
    elif len(sys.argv) == 3:
        categories, version = categories_of_file(sys.argv[1]), sys.argv[2]
    else:
        sys.exit(__doc__)
    print("// Made by tools/unicode_tables.py; do not edit.")
    print('#include "text/internal/unicode_tables.h"\n\n#include <iterator>\n\nnamespace bgl::text {\n\n// clang-format off')
    print(f'const char kUnicodeVersion[] = "{version}";\n')
    print(table("kLetters", [c for c, k in categories.items() if k[0] == "L"]))
    print(table("kNumbers", [c for c, k in categories.items() if k[0] == "N"]) + "// clang-format on\n\n}  // namespace bgl::text")


main()
