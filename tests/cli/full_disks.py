"""Workers of `latentmap encode` of which one has a disk that fills, for tests."""

import errno
from pathlib import Path

from latentmap.cache.storage import Storage
from latentmap.cli.sharding import ShardSetup


class FullOnOne(ShardSetup):
    """What workers are given; the disk of the second is full after some bytes of codes, as long as
    there is a file `full` in the folder where they work.
    """

    def __call__(self, worker):
        if worker == 1:
            real, left = Storage.write, 60_000

            def write(storage: Storage, path: Path, data: bytes) -> None:
                nonlocal left
                left -= len(data)
                if left < 0 and (Path(self.folder) / "full").exists():
                    real(storage, path, data[: len(data) // 2])
                    raise OSError(errno.ENOSPC, "No space left on device", str(path))
                real(storage, path, data)

            Storage.write = write
        return super().__call__(worker)
