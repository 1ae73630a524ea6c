"""What commands print: one JSON object for machines, aligned tables for people."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click


def command_line() -> str:
    """The command as the user typed it, for the record of what made a result."""
    return shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])


def print_json(result: Any) -> None:
    """One JSON object on stdout; a number that is not finite is null."""
    click.echo(json.dumps(result, indent=2, allow_nan=False))


def warn(line: str) -> None:
    """A line on stderr that is no error."""
    click.echo(line, err=True)


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Columns aligned under their names; numbers to the right."""
    cells = [list(header), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    right = [
        bool(rows) and all(isinstance(row[c], int | float) for row in rows)
        for c in range(len(header))
    ]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in cells
    )
