"""Workers as forks of one process that has imported what they need: of what a start takes, nearly
all is imports.

What runs in them is what runs otherwise. Commands in processes of their own, and the tests of
engines, start theirs as always.
"""

import multiprocessing
from multiprocessing import forkserver
from types import SimpleNamespace

from latentmap.engines import processes

NEEDED = [
    "torch",
    "latentmap.cli.by_parts",
    "latentmap.cli.sharding",
    "latentmap.encoders.native",
    "latentmap.images",
    "latentmap.relocation.part_moments",
]


def fork_workers(patch):
    """Has ``by_processes`` fork its workers, as long as ``patch`` lasts."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(NEEDED)
    server = forkserver._forkserver
    server.ensure_running()
    patch.setattr(processes, "multiprocessing", SimpleNamespace(get_context=lambda _: context))
    # A worker ends with its parent, which ends with the process of the tests.
    patch.setattr(processes, "os", SimpleNamespace(getpid=lambda: server._forkserver_pid))
