"""The versions of libraries, as records of results have them."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version

# Looking one up takes longer than many a fit, and it stays as it is.
_version = cache(version)


def versions_of(*names: str) -> dict[str, str]:
    """The version of each library that is named."""
    return {name: _version(name) for name in names}
