"""What the tests of engines have workers do: each number leaves a file in a folder."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from latentmap.errors import ImageError


class UnreadableError(Exception):
    """An error that pickle cannot make again."""

    def __init__(self, message: str) -> None:
        super().__init__(message, "and more")


@dataclass(frozen=True)
class Marks:
    """Work that makes the file ``number``, and in ``number.pid`` says who did.

    Before that, number ``kills`` kills its worker, the first time or ``always``; ``fails`` raises
    ``error``; and every number takes some ``seconds``.
    """

    folder: Path
    kills: int | None = None
    always: bool = False
    fails: int | None = None
    error: type[Exception] = ImageError
    seconds: float = 0.0
    setup_fails: bool = False

    def __call__(self, worker: int):
        if self.setup_fails:
            raise self.error("7.png cannot be read: mend it")
        (self.folder / f"worker-{worker}-{os.getpid()}").touch()
        return self._work

    def _work(self, number: int) -> None:
        if number == self.kills:
            begun = self.folder / f"{number}.begun"
            if self.always or not begun.exists():
                begun.touch()
                os.kill(os.getpid(), signal.SIGKILL)
        if number == self.fails:
            raise self.error("7.png cannot be read: mend it")
        time.sleep(self.seconds)
        (self.folder / f"{number}.pid").write_text(str(os.getpid()))

    def pids(self) -> set[int]:
        """The workers that were set up."""
        return {int(path.name.split("-")[2]) for path in self.folder.glob("worker-*")}

    def done(self) -> list[int]:
        """What was done."""
        return sorted(int(path.stem) for path in self.folder.glob("*.pid"))


def alive(pids: set[int]) -> set[int]:
    """Those processes that run; those that ended but were not waited for do not."""
    found = set()
    for pid in pids:
        try:
            state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2]
        except OSError:
            continue
        if state.split()[0] != "Z":
            found.add(pid)
    return found


def wait_for(condition, seconds: float) -> bool:
    """Whether a condition comes true in some seconds."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True
