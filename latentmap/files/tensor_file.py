"""Files of tensors with a description: what models, maps and checkpoints are kept in.

One safetensors file each; its metadata holds one key, ``latentmap``: JSON with ``kind``, ``format``
(a version) and whatever that kind needs. Nothing in the file is executed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError

from latentmap.errors import LatentmapError
from latentmap.files.json_text import parse_json
from latentmap.files.kinds import CHECKPOINTS, EMPTY, SAFETENSORS, file_kind
from latentmap.files.reading import reason_of
from latentmap.files.tensor_headers import Framework, open_tensors
from latentmap.files.writing import replace_atomic

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

_KEY = "latentmap"
_DIGEST = "sha256"
_LONGEST = 40  # Letters of another kind that a message quotes.


@dataclass(frozen=True)
class TensorFile:
    """One kind of file: its name, its newest format, and how to speak of what is wrong with it.

    ``error`` is raised with one line, ``advice`` says how to get such a file, ``elsewhere`` what to
    do with another program's that may be meant (by default the same). Of a kind that is ``sealed``
    the file holds the digest of its description and of all tensors, which are read together or not
    at all: what a flipped bit would change silently.
    """

    kind: str
    format: int
    error: type[LatentmapError]
    advice: str
    elsewhere: str = ""
    sealed: bool = False

    def write(
        self, path: str | Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any]
    ) -> None:
        """Writes the file, whole or not at all.

        Raises:
            OutputError: it cannot be written.
        """
        from safetensors.torch import save_file

        described = {"kind": self.kind, "format": self.format, **header}
        plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        metadata = {_KEY: json.dumps(described)}
        if self.sealed:
            metadata[_DIGEST] = _digest(metadata[_KEY], plain)
        with replace_atomic(path) as temporary:
            # safetensors makes files that their owner alone can read; this is what a file would be.
            temporary.touch()
            mode = temporary.stat().st_mode
            try:
                save_file(plain, temporary, metadata)
            except SafetensorError as error:  # A full disk, in words of its own.
                raise OSError(str(error)) from error
            temporary.chmod(mode)

    def read_header(self, path: str | Path) -> dict[str, Any]:
        """What the file says about itself; the tensors are not read."""
        return self._read(path, tensors=False)[0]

    def read(self, path: str | Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """What the file says about itself, and its tensors by name, on the CPU.

        Raises:
            LatentmapError: of this kind's own class: the file is missing, cut off, of another kind
                or of a newer version.
        """
        return self._read(path, tensors=True)

    def read_arrays(self, path: str | Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """The same as ``read``, with NumPy's arrays, for which torch is not imported; not of a kind
        that is sealed.
        """
        return self._read(path, tensors=True, framework="np")

    def _read(
        self, path: str | Path, *, tensors: bool, framework: Framework = "pt"
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        if Path(path).is_dir():
            raise self.error(f"{path} is a folder: give the path of a {self.kind} file")
        try:
            if not (tensors or self.sealed):
                framework = "np"
            with open_tensors(path, self.error, framework=framework) as file:
                metadata = file.metadata() or {}
                names = file.keys() if tensors or self.sealed else ()
                content = {name: file.get_tensor(name) for name in names}
        except self.error:
            raise
        except FileNotFoundError:
            raise self.error(f"there is no {self.kind} file {path}: {self.advice}") from None
        except OSError as error:
            reason = error.strerror or reason_of(error)
            raise self.error(f"{path} cannot be read: {reason}; {self.advice}") from None
        except Exception as error:  # Of types that safetensors does not have: AttributeError.
            raise self.error(f"{path} is {self._unreadable(path, error)}") from None
        try:
            header = parse_json(metadata[_KEY])
            kind, version = header["kind"], header["format"]
            if not isinstance(kind, str) or type(version) is not int:
                raise ValueError("kind and format are a text and a number")
        except (KeyError, ValueError):
            raise self.error(
                f"{path} is a safetensors file, but no {self.kind} of latentmap: "
                f"{self.elsewhere or self.advice}"
            ) from None
        if kind != self.kind:
            raise self.error(
                f"{path} holds a {kind[:_LONGEST]}, not a {self.kind}: "
                f"give the path of a {self.kind} file"
            )
        if version > self.format:
            raise self.error(
                f"{path} has format {str(version)[:_LONGEST]}, newer than {self.format}: "
                "update latentmap"
            )
        if self.sealed and metadata.get(_DIGEST) != _digest(metadata[_KEY], content):
            raise self.error(
                f"{path} is not as it was written (its {_DIGEST} differs): {self.advice}"
            )
        return header, content

    def _unreadable(self, path: str | Path, error: Exception) -> str:
        """What a file is that safetensors cannot read, and what to do."""
        try:
            kind = file_kind(path)
        except OSError:
            kind = None
        if kind is None or kind == SAFETENSORS or kind == EMPTY or kind.name == "text":
            reason = reason_of(error) if kind in (None, SAFETENSORS) else f"it is {kind.what}"
            return (
                "no readable safetensors file: it is cut off or of another kind "
                f"({reason}); {self.advice}"
            )
        if kind.broken:
            return f"{kind.what}: {kind.advice}"
        advice = self.elsewhere if kind in CHECKPOINTS else self.advice
        return f"{kind.what}, not a {self.kind} file: {advice or self.advice}"


def _digest(description: str, tensors: Mapping[str, Tensor]) -> str:
    """The digest of a description, and of names, types, shapes and bytes of tensors."""
    from torch import uint8

    digest = hashlib.sha256(description.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        head = f"{name!r} {tensor.dtype} {tuple(tensor.shape)} "
        digest.update(head.encode(errors="backslashreplace"))
        digest.update(tensor.reshape(-1).view(uint8).numpy().data)
    return digest.hexdigest()
