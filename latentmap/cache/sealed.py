"""Sealed documents: JSON that carries the sha256 of its own content.

It is read only when it is, byte for byte, what would be written: a flipped bit is found even where
the text still parses. However long it becomes, it is read: see ``_SPARE``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from latentmap.cache.shards import DamageError
from latentmap.errors import CacheError
from latentmap.files import parse_json, reason_of

# Bytes of memory that a byte of a document may take beside those of any file. Of what we write an
# image that was skipped has least text for its values, 58 bytes for four, which take 600.
_SPARE = 15
_FLAT = {str, int}


def canonical(document: dict[str, Any]) -> bytes:
    """A document in one form: equal documents give equal bytes."""
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def seal(body: dict[str, Any]) -> bytes:
    """The file of a document."""
    digest = hashlib.sha256(canonical(body)).hexdigest()
    return _indented({**body, "sha256": digest}).encode()


def _indented(body: dict[str, Any]) -> str:
    """A document as ``json.dumps`` writes it with an indent of one, which takes six times as long
    where lists are long.
    """
    parts = []
    for name in sorted(body):
        value = body[name]
        # In texts, the end of a line is two letters.
        text = _rows(value) or json.dumps(value, sort_keys=True, indent=1).replace("\n", "\n ")
        parts.append(f"\n {json.dumps(name)}: {text}")
    return "{" + ",".join(parts) + "\n}\n"


def _rows(value: Any) -> str:
    """A list of objects that hold nothing but texts and numbers; empty for all else."""
    if not (isinstance(value, list) and value and all(map(_is_flat, value))):
        return ""
    text = json.dumps(value, sort_keys=True, separators=(",\n   ", ": "))
    text = text.removeprefix("[{").removesuffix("}]").replace("},\n   {", "\n  },\n  {\n   ")
    return "[\n  {\n   " + text + "\n  }\n ]"


def _is_flat(value: Any) -> bool:
    return isinstance(value, dict) and bool(value) and _FLAT.issuperset(map(type, value.values()))


def unseal(data: bytes, name: str) -> dict[str, Any]:
    """The document in a file; ``name`` is the one that messages give it.

    Raises:
        DamageError: the file is not what was written.
    """
    try:
        body = parse_json(data, spare=_SPARE * len(data))
        written = body.pop("sha256")
        whole = seal(body) == data
    except (ValueError, KeyError) as error:
        raise DamageError(f"{name} cannot be read ({reason_of(error)})") from error
    if not whole:
        raise DamageError(
            f"{name} is not as it was written (its sha256 {str(written)[:12]} differs)"
        )
    return body


def require_version(body: dict[str, Any], format: str, known: Sequence[int]) -> None:
    """Refuses a document of a format in a version that is not ``known``.

    Raises:
        CacheError: it was written by a newer version of latentmap.
    """
    version = body.get("schema_version")
    if body.get("format") == format and type(version) is int and version not in known:
        versions = f"version{'s' * (len(known) > 1)} {' and '.join(map(str, known))}"
        raise CacheError(
            f"its format is version {version} and this latentmap reads {versions}: update latentmap"
        )
