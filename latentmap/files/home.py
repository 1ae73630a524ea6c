"""Where codes are kept when nobody says where: in one folder of the user, whatever the current one.

It may be shared by any number of processes, since every entry has its own lock.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from latentmap.errors import CacheError

VARIABLE = "LATENTMAP_CACHE"
_NAME = "latentmap"


def cache_home(environ: Mapping[str, str] | None = None, *, platform: str = sys.platform) -> Path:
    """The folder that the variable ``LATENTMAP_CACHE`` names; without it, ``latentmap`` in the
    platform's folder of caches: ``~/Library/Caches`` on a Mac, else ``$XDG_CACHE_HOME`` or
    ``~/.cache``. It need not be there. ``environ`` stands for the variables of this process.

    Raises:
        CacheError: the user has no home.

    Example:
        >>> cache_home({"XDG_CACHE_HOME": "/scratch/caches"}, platform="linux")
        PosixPath('/scratch/caches/latentmap')
    """
    environ = os.environ if environ is None else environ
    given, caches = environ.get(VARIABLE), environ.get("XDG_CACHE_HOME", "")
    if given:
        return Path(given)
    try:
        if platform == "darwin":
            return Path.home() / "Library" / "Caches" / _NAME
        # A relative path is to be ignored, as the XDG Base Directory Specification has it.
        absolute = Path(caches).is_absolute()
        return (Path(caches) if absolute else Path.home() / ".cache") / _NAME
    except RuntimeError as error:
        raise CacheError(
            f"there is no home where codes could be kept ({error}): name a folder with --cache "
            f"FOLDER, or by the variable {VARIABLE}"
        ) from None


def nobody_named(cache: Path) -> bool:
    """Whether a cache is where it is because nobody said where: what is there is to be told."""
    return not os.environ.get(VARIABLE) and cache == cache_home()
