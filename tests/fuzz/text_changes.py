"""Changes of texts: tables, conditions, lists."""

from __future__ import annotations

from random import Random

from tests.fuzz.byte_changes import change_bytes

_PIECES = (
    *(b"", b",", b",,", b'"', b"'", b"\t", b"\n", b"\r", b"\r\n", b"\0", b"\xff", b"\xef\xbb\xbf"),
    *(b"\xed\xa0\x80", "\u2028".encode(), "\u202e".encode(), b"\x1b[2J", b"nan", b"inf", b"-1"),
    *(b"1e999", b"9" * 20, b"9" * 5000, b"x" * 140_000, b"\xd9\xa3", b"\xc2\xb2", b"../", b"\\"),
    *(b"<html>", b"0", b"2", b"=1+1", b"\x85", b"\x0c", b"\x1c"),
)
_WORDS = (
    *("Smiling", "5_o_Clock", "age", "file", "1", "-1", "0.5", "1e999", "'a'", '"a"', "None"),
    *("True", "(", ")", "[", "]", "{", "}", ":", ",", ".", "==", "!=", "<", "<=", ">", ">=", "is"),
    *(
        "and",
        "or",
        "not",
        "in",
        "if",
        "else",
        "lambda x:",
        "+",
        "-",
        "~",
        "**",
        "*",
        "@",
        ":=",
        "=",
    ),
    *("__import__('os')", "open('x')", "f'{1}'", "b'a'", "1j", "...", "#", "\\", "\n", ";", "\0"),
    *("\ud800", "\u202e", "\u00b2", "9" * 5000, "0x" + "f" * 5000, "await", "yield", "*a", "1_0"),
)


def change_table(chance: Random, data: bytes) -> bytes:
    """A table with rows, cells or letters changed."""
    if chance.random() < 0.2:
        return change_bytes(chance, data)
    rows = [row.split(b",") for row in data.split(b"\n")]
    for _ in range(1 << chance.randrange(3)):
        row = chance.choice(rows)
        place = chance.randrange(len(row)) if row else 0
        match chance.randrange(6):
            case 0 | 1:
                row[place : place + 1] = [chance.choice(_PIECES)]
            case 2:
                row[place:place] = row[place : place + 1] * chance.choice((1, 2, 3000))
            case 3:
                del row[place : place + 1]
            case 4:
                rows.insert(chance.randrange(len(rows) + 1), list(chance.choice(rows)))
            case 5:
                if len(rows) > 1:
                    del rows[chance.randrange(len(rows))]
                if row:
                    row[place % len(row)] += chance.choice(_PIECES)
    return chance.choice((b"\n", b"\n", b"\r\n")).join(b",".join(row) for row in rows)


def change_condition(chance: Random, data: bytes) -> bytes:
    """A condition with words left out, put in and nested."""
    words = data.decode("utf-8", "surrogatepass").split(" ")
    for _ in range(1 << chance.randrange(5)):
        place = chance.randrange(len(words) + 1)
        match chance.randrange(5):
            case 0 | 1:
                words[place : place + 1] = [chance.choice(_WORDS)]
            case 2:
                words[place:place] = [chance.choice(_WORDS)]
            case 3:
                del words[place : place + 1]
            case 4:
                words[place:place] = words[:20]
    if chance.random() < 0.05:
        many = chance.choice((50, 500, 5000))
        begin, end = chance.choice((("(", ")"), ("not ", ""), ("-", ""), ("[", "]"), ("a<", "1")))
        words = [begin * many, *words, end * many]
    return " ".join(words).encode("utf-8", "surrogatepass")
