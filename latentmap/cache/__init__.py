"""Codes on disk, found again by what they were made from."""

from latentmap.cache.coder import Coder as Coder
from latentmap.cache.coder import CoderLike as CoderLike
from latentmap.cache.encoding import encode as encode
from latentmap.cache.latent_cache import LatentCache as LatentCache
from latentmap.cache.manifest import EntryKey as EntryKey
from latentmap.cache.upkeep import Entries as Entries
from latentmap.cache.upkeep import Entry as Entry
