"""Files of codes as models: what was encoded elsewhere, by a model that is not here."""

from __future__ import annotations

import copy
import re
from pathlib import Path

from torch import nn

from latentmap.codes import CodeFile, Space, open_code_file
from latentmap.errors import ModelError
from latentmap.images import View
from latentmap.model import Model

_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")  # Of shards, which a name of a file does without.


class StoredCodes(Model):
    """The codes in a file, as a model that knows no image but those that it has codes of.

    Its space is the one that the file names, as those of ``latentmap cache export`` do, else a
    space of its own, whose fingerprint is that of the codes.
    """

    family = "codes"
    can_encode = False
    can_decode = False
    stored: CodeFile

    def __init__(self, file: CodeFile, *, name: str) -> None:
        self.stored = file
        dim = file.rows.shape[1]
        super().__init__(
            nn.Module(),
            name=name,
            config={"codes": file.fingerprint, "latent_dim": dim, "latent_shape": [*file.shape]},
            latent_dim=dim,
            image_shape=(0, 0, 0),  # It sees none.
            frame=file.frame,
            space=file.space or Space("codes", dim, name, file.fingerprint, file.shape),
        )

    @property
    def view(self) -> View:
        """None: it sees no images.

        Raises:
            ModelError: always.
        """
        raise ModelError(
            f"{self.name} is a file of codes, which sees no images: give the model that made them"
        )

    def with_file(self, file: CodeFile) -> StoredCodes:
        """The same codes in the same space, of ``file``, which says of which images they are."""
        other = copy.copy(self)
        other.stored = file
        return other

    def in_space(self, space: Space) -> StoredCodes:
        """The same codes, said to be in ``space``, where the file itself does not say in which.

        Raises:
            SpaceError: codes of the space have another shape, or the file names another space.
        """
        if self.stored.space is not None or space.shape != self.space.shape:
            space.require(self.space, f"the codes in {self.stored.title}")
        other = copy.copy(self)
        other.space = space
        return other

    def resized(self, height: int, width: int) -> Model:
        """Refuses, since it knows no images.

        Raises:
            ModelError: always.
        """
        raise ModelError(
            f"{self.name} is a file of codes, which sees no images: leave the size out"
        )

    def require_encoder(self) -> None:
        """Refuses, since nothing can be encoded.

        Raises:
            ModelError: always.
        """
        raise ModelError(
            f"{self.name} is a file of codes, which can encode no image: give the model that made "
            "them"
        )

    def require_decoder(self) -> None:
        """Refuses, since nothing can be decoded.

        Raises:
            ModelError: always.
        """
        raise ModelError(
            f"{self.name} is a file of codes, which can decode none: give the model that made them"
        )


def load_code_file(reference: str, options: dict[str, str]) -> StoredCodes:
    """The model of a file of codes; ``options`` may name its ``codes`` and its ``ids``.

    Raises:
        SpaceError: as ``open_code_file`` raises it.
    """
    file = open_code_file(reference, codes=options.get("codes"), ids=options.get("ids"))
    name = _RANGE.sub(r"\1-\2", Path(reference).stem)
    if "codes" in options:
        name = f"{name}-{options['codes'].replace('/', '-')}"
    return StoredCodes(file, name=name)
