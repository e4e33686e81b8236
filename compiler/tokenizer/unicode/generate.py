"""Writes runtime/tokenizer/unicode_tables.c: character classes and NFC data.

The tables must agree with the pinned `tokenizers` package, whose parts use several Unicode
versions at once: its split patterns one, its NFC another, much older one. So the package itself
is asked about every code point; Python's unicodedata only proposes decompositions and combining
classes, and a proposal that the package contradicts stops the script.

    python generate.py > ../../../runtime/tokenizer/unicode_tables.c
"""
import sys
import unicodedata

import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers

POINTS = [c for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]
BLOCK = 256
LETTER, NUMBER, SPACE, WORD = 1, 2, 4, 8
nfc, nfd = normalizers.NFC().normalize_str, normalizers.NFD().normalize_str


def matching(pattern):
    """The code points that a one-character pattern matches."""
    split = pre_tokenizers.Split(Regex(pattern), "removed")
    found = set()
    for first in range(0, len(POINTS), 4096):
        part = POINTS[first:first + 4096]
        kept = set()
        for _, (begin, end) in split.pre_tokenize_str("".join(map(chr, part))):
            kept.update(range(begin, end))
        found.update(c for i, c in enumerate(part) if i not in kept)
    return found


def word_characters():
    """\\w of the added tokens' whole-word rule, which another regex engine decides."""
    tokenizer = Tokenizer(models.WordLevel({"<u>": 0}, "<u>"))
    tokenizer.add_tokens([AddedToken("QZ", single_word=True)])
    return {c for c in POINTS if "QZ" not in tokenizer.encode("QZ" + chr(c)).tokens}


def added_token_spaces():
    tokenizer = Tokenizer(models.WordLevel({"<u>": 0}, "<u>"))
    tokenizer.add_tokens([AddedToken("QZ", rstrip=True)])
    return {c for c in POINTS if tokenizer.encode("QZ" + chr(c)).offsets[0][1] == 3}


def classes():
    letters, numbers, spaces = (matching(p) for p in (r"\p{L}", r"\p{N}", r"\s"))
    if spaces != added_token_spaces():
        sys.exit("two meanings of white space: the runtime has one")
    words = word_characters()
    table = bytearray(0x110000)
    for bit, members in ((LETTER, letters), (NUMBER, numbers), (SPACE, spaces), (WORD, words)):
        for c in members:
            table[c] |= bit
    return table


def reorders(first, second):
    return nfd("a" + first + second) != "a" + first + second


def combining_classes():
    """Proposals of unicodedata for the characters that the package treats as marks."""
    low, high = "\u0334", "\u0345"  # classes 1 and 240, the ends of the range
    marks = {}
    for c in POINTS:
        text = chr(c)
        if nfd(text) == text and (reorders(high, text) or reorders(text, low)):
            marks[c] = unicodedata.combining(text)
    samples = {}
    for c, k in marks.items():
        samples.setdefault(k, chr(c))
    for c, k in marks.items():
        for other, sample in samples.items():
            if reorders(sample, chr(c)) != (k < other) or reorders(chr(c), sample) != (other < k):
                sys.exit(f"combining class of U+{c:04X} is not {k}")
    table = bytearray(0x110000)
    for c, k in marks.items():
        table[c] = k
    return table


def decompositions():
    pairs = {}
    for c in POINTS:
        text = chr(c)
        if nfd(text) == text or 0xAC00 <= c <= 0xD7A3:
            continue
        mapping = [int(x, 16) for x in unicodedata.decomposition(text).split()]
        pairs[c] = (mapping + [0])[:2]
    for c in pairs:
        if expand(c, pairs) != nfd(chr(c)):
            sys.exit(f"decomposition of U+{c:04X}")
    return pairs


def expand(c, pairs):
    if c not in pairs:
        return chr(c)
    first, second = pairs[c]
    return expand(first, pairs) + (expand(second, pairs) if second else "")


def compositions(pairs):
    return {(a, b): c for c, (a, b) in pairs.items() if b and nfc(chr(c)) == chr(c)}


def two_level(table, pack):
    blocks, index = [], []
    for first in range(0, len(table), BLOCK):
        block = pack(table[first:first + BLOCK])
        if block not in blocks:
            blocks.append(block)
        index.append(blocks.index(block))
    if len(blocks) > 256:
        sys.exit("too many blocks for one byte")
    return index, blocks


def pack_nibbles(block):
    return bytes(block[i] | block[i + 1] << 4 for i in range(0, len(block), 2))


def print_bytes(declaration, values):
    print(f"\nconst uint8_t {declaration} = {{")
    line = "   "
    for value in values:
        if len(line) + len(f" {value},") > 100:
            print(line)
            line = "   "
        line += f" {value},"
    print(line + "\n};")


def print_rows(declaration, rows):
    print(f"\nconst struct rt_unicode_pair {declaration} = {{")
    line = "   "
    for row in rows:
        text = " {" + ", ".join(f"0x{x:x}" for x in row) + "},"
        if len(line) + len(text) > 100:
            print(line)
            line = "   "
        line += text
    print(line + "\n};")


def main():
    version = tokenizers.__version__
    print("/*")
    print(f" * Generated by compiler/tokenizer/unicode/generate.py from tokenizers {version}: do not")
    print(" * edit. Layout and meaning: unicode.h.")
    print(" */")
    print("/* clang-format off */")
    print('#include "runtime/tokenizer/unicode.h"')
    for name, table, pack in (("class", classes(), pack_nibbles),
                              ("combining", combining_classes(), bytes)):
        index, blocks = two_level(table, pack)
        print_bytes(f"rt_unicode_{name}_index[{len(index)}]", index)
        width = len(blocks[0])
        print(f"\nconst uint8_t rt_unicode_{name}_block[][{width}] = {{")
        for block in blocks:
            line = "    {"
            for value in block:
                if len(line) + len(f"{value},") > 100:
                    print(line)
                    line = "     "
                line += f"{value},"
            print(line.rstrip(",") + "},")
        print("};")
    pairs = decompositions()
    print_rows("rt_unicode_decomposition[]", sorted((c, a, b) for c, (a, b) in pairs.items()))
    print(f"const size_t rt_unicode_decompositions = {len(pairs)};")
    composed = compositions(pairs)
    print_rows("rt_unicode_composition[]", ((c, a, b) for (a, b), c in sorted(composed.items())))
    print(f"const size_t rt_unicode_compositions = {len(composed)};")


main()
