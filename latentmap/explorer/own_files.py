"""Files of one's own images that are there from the start, as if they had been sent."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from latentmap.errors import ExplorerError, ImageError
from latentmap.explorer.explored import Explored
from latentmap.explorer.uploads import MOST_BYTES, encode_upload, id_of, not_here, see_upload
from latentmap.files import reading
from latentmap.files.opening import open_regular
from latentmap.images.decoding import decode

_UNNAMED = "FILE"  # Whose name is not known here: whoever runs the command puts it in.


@dataclass(frozen=True)
class OwnFile:
    """An image by its ``data``, and the ``name`` that a command gives the file."""

    name: str
    data: bytes

    @property
    def id(self) -> str:
        """That of the image when it is sent."""
        return id_of(self.data)


def read_own_file(path: str | Path, name: str) -> OwnFile:
    """The file of an image, under the limits of those that are sent.

    Raises:
        ImageError: it cannot be read, or is no image that can be taken.
    """
    with reading(path, ImageError, "give the file of an image"), open_regular(path) as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise ImageError(f"{path} is too large: an image has {MOST_BYTES:,} bytes at most")
    if not data:
        raise ImageError(f"{path} is empty: give the file of an image")
    try:
        decode(data)
    except ImageError as error:
        raise ImageError(f"{path} is no image that can be taken: {error}") from error
    return OwnFile(name, data)


def require_own(files: Sequence[OwnFile], ids: Sequence[str]) -> None:
    """Passes where all images of some ids are among the ``files``; of no id where there is a file.

    Raises:
        ExplorerError: one is missing.
    """
    known = {file.id for file in files}
    for name in ids:
        if name not in known:
            raise not_here(name)
    if not files:
        raise ExplorerError("there is no image of your own: give it by --image FILE")


def with_own_files(explored: Explored, files: Sequence[OwnFile]) -> Explored:
    """The same with some images of one's own, encoded by all models that can."""
    for file in files:
        seen = see_upload(file.data, explored.views, explored.images.range_of_files)
        explored.uploads.keep(encode_upload(seen, explored.models))
    return replace(explored, own_names={file.id: file.name for file in files})


def words_of_images(names: Mapping[str, str], ids: Sequence[str]) -> str:
    """What a command line says of the images of some ids, each once.

    Example:
        >>> words_of_images({"ab": "my face.jpg"}, ["ab", "cd", "ab"])
        "--image 'my face.jpg' --image FILE"
    """
    files = [shlex.quote(names.get(id, _UNNAMED)) for id in dict.fromkeys(ids)]
    return " ".join(f"--image {file}" for file in files)
