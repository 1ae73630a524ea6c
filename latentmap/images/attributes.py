"""Choosing images by what is known about them: ``Wearing_Hat == -1 and Young == 1``."""

from __future__ import annotations

import ast
import difflib
import operator
import re
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from latentmap.errors import ImageError

_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_ALLOWED = "comparisons (== != < <= > >=), and, or, not, numbers, 'text' and the attributes' names"
_STRING_OR_WORD = re.compile(r"""'[^']*'|"[^"]*"|\w+""")


def select_where(expression: str, columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """Which rows fulfil an expression, as booleans ``(n,)``.

    The expression is parsed, never executed: comparisons of attributes with numbers or text, joined
    by ``and``, ``or`` and ``not``.

    Raises:
        ImageError: it is no such expression, or names an attribute that is not there.
    """
    # Names that are no identifiers (CelebA has 5_o_Clock_Shadow) are replaced before parsing.
    stand_ins: dict[str, str] = {}

    def stand_in(match: re.Match[str]) -> str:
        word = match.group()
        if word not in columns or word.isidentifier() or word.isdigit():
            return word
        name = f"attribute{len(stand_ins)}_"
        while name in columns:
            name += "_"
        stand_ins[name] = word
        return name

    text = _STRING_OR_WORD.sub(stand_in, expression.strip())
    try:
        with warnings.catch_warnings():
            # Python warns whoever writes a program: of ``1and``, and of backslashes in text.
            warnings.simplefilter("ignore")
            tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ImageError(f"{expression!r} cannot be read as a condition: use {_ALLOWED}") from error
    named = {**columns, **{name: columns[word] for name, word in stand_ins.items()}}
    try:
        chosen = _Evaluation(named, list(columns)).condition(tree.body)
    except RecursionError as error:
        raise ImageError("the condition is nested too deeply: make it shorter") from error
    count = len(next(iter(columns.values())))
    return np.broadcast_to(chosen, (count,))


class _Evaluation:
    """One walk over a parsed expression; whatever is not listed here is refused."""

    def __init__(self, columns: Mapping[str, np.ndarray], known: list[str]) -> None:
        self._columns = columns
        self._known = known

    def condition(self, node: ast.expr) -> np.ndarray:
        match node:
            case ast.BoolOp(op=op, values=values):
                join = np.logical_and if isinstance(op, ast.And) else np.logical_or
                result = self.condition(values[0])
                for value in values[1:]:
                    result = join(result, self.condition(value))
                return result
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                inverse: np.ndarray = np.logical_not(self.condition(operand))
                return inverse
            case ast.Compare(left=left, ops=ops, comparators=comparators):
                return self._comparison(left, ops, comparators)
            case ast.Name(id=name):
                self._attribute(name)
                raise ImageError(f"{name} alone is no condition: compare it, such as {name} == 1")
        raise ImageError(f"{ast.unparse(node)!r} is no condition: use {_ALLOWED}")

    def _comparison(
        self, left: ast.expr, ops: list[ast.cmpop], comparators: list[ast.expr]
    ) -> np.ndarray:
        values = [self._value(node) for node in (left, *comparators)]
        result = np.asarray(True)
        for op, first, second in zip(ops, values, values[1:], strict=False):
            if type(op) not in _COMPARE:
                raise ImageError(f"conditions may use {_ALLOWED}")
            if (first.dtype.kind == "U") != (second.dtype.kind == "U"):
                raise ImageError(
                    f"numbers and text are compared in {ast.unparse(left)!r} ...: "
                    "put text into quotes, and only text"
                )
            result = np.logical_and(result, _COMPARE[type(op)](first, second))
        return result

    def _value(self, node: ast.expr) -> np.ndarray:
        match node:
            case ast.Name(id=name):
                return self._attribute(name)
            case ast.Constant(value=str() as value):
                return np.asarray(value)
            case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
                return _number(value)
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
                return _number(-value)
        raise ImageError(f"{ast.unparse(node)!r} cannot be compared: use {_ALLOWED}")

    def _attribute(self, name: str) -> np.ndarray:
        if name in self._columns:
            return self._columns[name]
        lowered = {known.lower(): known for known in self._known}
        close = [lowered[word] for word in difflib.get_close_matches(name.lower(), lowered)]
        advice = (
            f"did you mean {' or '.join(close)}?" if close else f"there are {_some(self._known)}"
        )
        raise ImageError(f"unknown attribute {name!r}: {advice}")


def _number(value: float) -> np.ndarray:
    try:
        return np.asarray(value, dtype=np.float64)
    except OverflowError as error:
        raise ImageError("a number of the condition is larger than any: make it smaller") from error


def _some(names: list[str]) -> str:
    return ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
