"""The exceptions that latentmap raises on purpose.

    LatentmapError
    ├── ImageError    (ValueError)  images that cannot be found, read or agreed on
    ├── ModelError    (ValueError)  a model file, contract or training that cannot be used
    ├── CheckpointError (ValueError)  a foreign checkpoint that cannot be read or converted
    ├── SpaceError    (ValueError)  codes, or a map, of another space
    ├── PairError     (ValueError)  codes that do not belong together
    ├── MapError      (ValueError)  a map that cannot be fitted, read or applied
    ├── SupportError  (ValueError)  a support set that cannot be built, read or found again
    ├── ExplorerError (ValueError)  what the explorer is asked for and does not have
    ├── CacheError    (OSError)     a cache that is damaged, busy or cannot be written
    ├── EngineError   (RuntimeError)  workers that end, or an engine that cannot be had
    └── OutputError   (OSError)     an output that exists or cannot be written

Every message says what was expected, what came, and what to do, in one line that a terminal can
take, whatever it quotes.
"""

from latentmap.printing import one_line


class LatentmapError(Exception):
    """The root of the tree: anything that latentmap refuses."""

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


class ImageError(LatentmapError, ValueError):
    """Images that cannot be found, read or agreed on."""


class ModelError(LatentmapError, ValueError):
    """A model file, a model's contract or a training that cannot be used."""


class CheckpointError(LatentmapError, ValueError):
    """A foreign checkpoint that cannot be read, or holds nothing that can be converted."""


class SpaceError(LatentmapError, ValueError):
    """Codes, or a map, of another space than the one that is asked for."""


class PairError(LatentmapError, ValueError):
    """Codes that do not belong together."""


class MapError(LatentmapError, ValueError):
    """A map that cannot be fitted, read or applied."""


class SupportError(LatentmapError, ValueError):
    """A support set that cannot be built or read, or whose images are not in the data."""


class ExplorerError(LatentmapError, ValueError):
    """What the explorer is asked for and does not have, or a page that cannot be served."""


class CacheError(LatentmapError, OSError):
    """A cache that is damaged, busy or cannot be written."""


class EngineError(LatentmapError, RuntimeError):
    """Workers that end again and again, or an engine that is not there or does not answer."""


class OutputError(LatentmapError, OSError):
    """An output that exists already or cannot be written."""
