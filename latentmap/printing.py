"""Text that a terminal cannot take for commands, whoever wrote it."""


def printable(text: str) -> str:
    """A text of somebody else's file in one line, with escapes for what cannot be printed.

    Example:
        >>> printable("a" + chr(27) + "[2Jb")
        'a\\\\x1b[2Jb'
    """
    return "".join(
        part if part.isprintable() else part.encode("unicode_escape").decode() for part in text
    )
