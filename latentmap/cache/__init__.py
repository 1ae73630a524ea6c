"""Codes on disk, found again by what they were made from."""

from latentmap.cache.encoding import encode as encode
from latentmap.cache.latent_cache import LatentCache as LatentCache
from latentmap.cache.manifest import EntryKey as EntryKey
