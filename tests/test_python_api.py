"""What docs/python.md lists is one library: the same things are asked for in the same way."""

import importlib
import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).resolve().parents[1] / "docs" / "python.md"
NAMES = re.findall(r"auto(?:function|class):: ([\w.]+)", PAGE.read_text(encoding="utf-8"))
# A few images, or one look at the cache, which nobody waits for.
QUICK = {"latentmap.relocate", "latentmap.relocation.probed_models.codes_to_fit"}


def found(name: str) -> Any:
    """What a dotted name names."""
    parts = name.split(".")
    for length in range(len(parts) - 1, 0, -1):
        try:
            value: Any = importlib.import_module(".".join(parts[:length]))
        except ImportError:
            continue
        for part in parts[length:]:
            value = getattr(value, part)
        return value
    raise ImportError(name)


def callables() -> Iterator[tuple[str, Callable[..., Any]]]:
    """The functions of the page, and the methods of its classes."""
    for name in NAMES:
        value = found(name)
        if inspect.isfunction(value):
            yield name, value
            continue
        for method, member in vars(value).items():
            function = getattr(member, "__func__", member)
            if not method.startswith("_") and inspect.isfunction(function):
                yield f"{name}.{method}", function


@pytest.mark.parametrize(
    ("name", "function"), [pytest.param(*one, id=one[0]) for one in callables()]
)
def test_long_work_shows_its_progress_when_it_is_told_to(name, function):
    known = inspect.signature(function).parameters
    if {"coder", "stage", "progress"} & {*known} and name not in QUICK:
        assert re.search("bool|ProgressLike", str(known["progress"].annotation))


@pytest.mark.parametrize(("name", "function"), [*callables()])
def test_text_is_taken_where_paths_are(name, function):
    for parameter in inspect.signature(function).parameters.values():
        kinds = re.findall(r"\w+", str(parameter.annotation))
        assert "Path" not in kinds or "str" in kinds, f"{name}({parameter})"
