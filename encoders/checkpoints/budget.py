"""How much memory the contents of a file may take: a small file can describe a huge structure."""

from __future__ import annotations

from latentmap.errors import CheckpointError

# A checkpoint with a hundred thousand objects needs a fifth of this.
_OBJECTS = 64 * 2**20


class Budget:
    """Bytes that may still be spent; one for the objects and one for the tensors of a file."""

    def __init__(self, size: int = _OBJECTS, what: str = "more objects than a checkpoint") -> None:
        self._left = size
        self._what = what

    def spend(self, size: int) -> None:
        """Takes ``size`` bytes.

        Raises:
            CheckpointError: they are more than what is left.
        """
        self._left -= size
        if self._left < 0:
            raise CheckpointError(f"it describes {self._what}")
