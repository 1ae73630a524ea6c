from .coder import Coder, CoderLike
from .encoding import encode
from .latent_cache import LatentCache
from .manifest import EntryKey
from .upkeep import Entries, Entry

__all__ = [
    "Coder",
    "CoderLike",
    "Entries",
    "Entry",
    "EntryKey",
    "LatentCache",
    "encode",
]
