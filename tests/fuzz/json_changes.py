"""Changes of JSON: other types, depths and numbers, missing and doubled names, no Unicode."""

from __future__ import annotations

import json
from random import Random
from typing import Any

from tests.fuzz.byte_changes import change_bytes

_MARK = "@raw%d@"
# What stands in the file as it is: much of it no value of Python gives.
RAW = (
    *("null", "true", "0", "-1", "1", "1.5", '""', "[]", "{}", "NaN", "Infinity", "-Infinity"),
    *("-0.0", "1e999", "1e-400", "9" * 20, "-" + "9" * 20, "9" * 400, "9" * 5000, "2147483647"),
    *("4294967296", "9223372036854775807", "9223372036854775808", "18446744073709551615"),
    *('"\\ud800"', '"\\udcff\\u0000"', '"\\u001b[2J\\u202e"', '"x\\ny"', f'"{"a" * 5000}"'),
    *("[" * 200 + "]" * 200, "[" * 100_000 + "]" * 100_000, '{"a":' * 2000 + "1" + "}" * 2000),
    *("[[[]]]", "[null]", "[0]", "[-1, 2]", "[1.5, 1e308]", '["a", 1]', "{1: 2}", '{"a": {}}'),
    *('"../../../etc/passwd"', '"/etc/passwd"', '"1"', '"nan"', "3000000", "1000000000"),
    *('{"kind": "model"}', '{"a": 1, "a": 2}', "[" + "0," * 20_000 + "0]"),
)


def change_json(chance: Random, data: bytes) -> bytes:
    """A text of JSON with some values, names or letters changed."""
    return change_text_of_json(chance, data.decode()).encode("utf-8", "surrogatepass")


def change_text_of_json(chance: Random, text: str) -> str:
    """``change_json`` of a text."""
    if chance.random() < 0.1:
        changed = change_bytes(chance, text.encode())
        return changed.decode("utf-8", "surrogateescape").encode("utf-8", "replace").decode()
    root = [json.loads(text)]
    raw: list[str] = []
    for _ in range(1 << chance.randrange(3)):
        _change(chance, root, raw)
    # Some numbers that others put in are no JSON.
    written = json.dumps(root[0], ensure_ascii=chance.random() < 0.5, default=repr)
    for number, value in enumerate(raw):
        mark = f'"{_MARK % number}"'
        written = written.replace(f"{mark}:", f'"doubled": 1, {mark}:').replace(mark, value)
    return written


def _change(chance: Random, root: list[Any], raw: list[str]) -> None:
    parent, key = chance.choice(_places(root))
    match chance.randrange(8):
        case 0 | 1 | 2:
            raw.append(chance.choice(RAW))
            parent[key] = _MARK % (len(raw) - 1)
        case 3:
            value = parent[key]
            if type(value) is int:
                parent[key] = chance.choice((-value, value + 1, value - 1, value * 1000, value / 3))
            elif type(value) is str:
                parent[key] = chance.choice((value[:-1], value + "x", value.upper(), 1, value * 99))
            else:
                parent[key] = chance.choice((None, [value], {"a": value}, str(value), 0))
        case 4:
            if parent is not root:
                del parent[key]
        case 5:
            other, place = chance.choice(_places(root))
            parent[key] = _copy(other[place])
        case 6:
            if isinstance(parent, dict):
                raw.append(chance.choice(('"\\ud800"', '""', '"a\\u0000"', f'"{"k" * 5000}"')))
                parent[_MARK % (len(raw) - 1)] = _copy(parent[key])
            elif parent is not root:
                parent += parent[:1] * chance.choice((1, 10, 5000))
        case 7:
            if isinstance(parent, dict):
                parent[str(key) + chance.choice(("", " ", "x"))] = parent.pop(key)


def _copy(value: Any) -> Any:
    return json.loads(json.dumps(value))


def _places(root: list[Any]) -> list[tuple[Any, Any]]:
    """Every value, as what holds it and its place there."""
    found: list[tuple[Any, Any]] = [(root, 0)]
    for parent, key in found:
        value = parent[key]
        if isinstance(value, dict):
            found += [(value, name) for name in value]
        elif isinstance(value, list):
            found += [(value, number) for number in range(min(len(value), 50))]
    return found
