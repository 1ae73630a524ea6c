"""Text that a terminal, or a page, cannot take for anything but text, whoever wrote it."""

from __future__ import annotations

import re

# Letters and marks by their category, of which nothing is seen.
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
_SURROGATE = re.compile("[\ud800-\udfff]")
_LONGEST = 500  # Letters of a message.
_LONGEST_NAME = 60  # Letters of a name in one.


def printable(text: str) -> str:
    """A text of somebody else's file in one line, with escapes for what is not simply seen: what
    steers a terminal, turns the direction of the text, has no width, or ends a line.

    A byte of a name that is no UTF-8 is its number.

    Example:
        >>> printable("a" + chr(27) + "[2Jb")
        'a\\\\x1b[2Jb'
    """
    if not text.isprintable():
        text = "".join(part if part.isprintable() else _escaped(part) for part in text)
    return _UNSEEN.sub(lambda found: _escaped(found[0]), text)


def one_line(message: str) -> str:
    """A message as one line that can be read: it may quote texts of somebody else's files, of any
    length; of what is too long for a line the beginning and the end are there.
    """
    line = printable(" ".join(map(str.strip, message.splitlines())))
    if len(line) <= _LONGEST:
        return line
    return f"{line[: _LONGEST // 2]} ... {line[-_LONGEST // 2 :]}"


def shortened(name: str) -> str:
    """A name for a message: of one of more than 60 letters the beginning and the end.

    Example:
        >>> shortened("a.png"), shortened("folder/" + 99 * "x" + "/a.png")
        ('a.png', 'folder/xxxxxxxxxxxxxxxxxxxxx...xxxxxxxxxxxxxxxxxxxxxxx/a.png')
    """
    if len(name) <= _LONGEST_NAME:
        return name
    kept = (_LONGEST_NAME - 3) // 2
    return f"{name[:kept]}...{name[-(_LONGEST_NAME - 3 - kept) :]}"


def encodable(text: str) -> str:
    """A text that every encoding of Unicode can hold: with escapes for lone surrogates alone, which
    are what Python makes of the bytes of a name that is no UTF-8.

    Example:
        >>> encodable("caf" + chr(0xDCE9))
        'caf\\\\xe9'
    """
    return _SURROGATE.sub(lambda found: _escaped(found[0]), text)


def _escaped(letter: str) -> str:
    number = ord(letter)
    if 0xDC80 <= number <= 0xDCFF:  # A byte, by PEP 383.
        return f"\\x{number - 0xDC00:02x}"
    known = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}
    wide = f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
    return known.get(letter, f"\\x{number:02x}" if number < 0x100 else wide)
