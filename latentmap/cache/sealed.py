"""Sealed documents: JSON that carries the sha256 of its own content.

It is read only when it is, byte for byte, what would be written: a flipped bit is found even where
the text still parses.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from latentmap.cache.shards import DamageError
from latentmap.errors import CacheError
from latentmap.files import parse_json, reason_of


def canonical(document: dict[str, Any]) -> bytes:
    """A document in one form: equal documents give equal bytes."""
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def seal(body: dict[str, Any]) -> bytes:
    """The file of a document."""
    digest = hashlib.sha256(canonical(body)).hexdigest()
    return (json.dumps({**body, "sha256": digest}, sort_keys=True, indent=1) + "\n").encode()


def unseal(data: bytes, name: str) -> dict[str, Any]:
    """The document in a file; ``name`` is the one that messages give it.

    Raises:
        DamageError: the file is not what was written.
    """
    try:
        body = parse_json(data)
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
