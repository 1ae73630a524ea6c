from .coder import Coder, CoderLike
from .encoding import encode
from .latent_cache import LatentCache
from .manifest import EntryKey
from .plan import Plan
from .planning import plan_shards
from .shard_commit import Committed, commit_shards
from .shard_driver import start_plan
from .shard_work import encode_shard
from .upkeep import Entries, Entry

__all__ = [
    "Coder",
    "CoderLike",
    "Committed",
    "Entries",
    "Entry",
    "EntryKey",
    "LatentCache",
    "Plan",
    "commit_shards",
    "encode",
    "encode_shard",
    "plan_shards",
    "start_plan",
]
