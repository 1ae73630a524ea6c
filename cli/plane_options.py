"""The options of ``--plane``: a picture of the latent space, and how far it is from the prior."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from latentmap.cli.declaring import option, output_option, together
from latentmap.cli.kinds import Reference
from latentmap.cli.label_options import labels_of, labels_option

if TYPE_CHECKING:
    import numpy as np

    from latentmap.cli.options import Loading
    from latentmap.diagnostics.plane import LatentPlane
    from latentmap.images import ImageSource
    from latentmap.model import Model


@dataclass(frozen=True, eq=False)
class WantedPlane:
    """A plane that can be drawn: where to, with which labels of the images, and the encoder by
    which these are compared.
    """

    path: Path
    labels: np.ndarray | None
    encoder: Model | None

    def look(self, model: Model, images: ImageSource, **reading: Any) -> LatentPlane:
        """The plane; ``reading`` says how the images are read.

        Raises:
            ImageError: the images are too few, or one cannot be read.
            ModelError: the encoder sees another part of a picture.
        """
        from latentmap.cli.progress import progress_bar
        from latentmap.diagnostics.plane import look_at_plane

        return look_at_plane(
            model,
            images,
            labels=self.labels,
            encoder=self.encoder,
            stage=progress_bar,
            **reading,
        )


@dataclass(frozen=True)
class PlaneOptions:
    """The plane of a VAE, as asked for on the command line."""

    plane: Path | None
    encoder: str | None
    labels: str | None

    def prepare(
        self, models: Sequence[Model], images: ImageSource, *, loading: Loading
    ) -> WantedPlane | None:
        """What is needed to draw the plane, before any work is done; None where none is asked for.

        Raises:
            click.UsageError: other options are for one.
            ModelError: it cannot be drawn.
            ImageError: labels do not fit the images.
        """
        from latentmap.diagnostics.plane import require_plane

        if self.plane is None:
            if self.encoder is not None or self.labels is not None:
                raise click.UsageError(
                    "--encoder and --labels are for --plane: leave them out, or ask for a plane"
                )
            return None
        if len(models) > 1:
            raise click.UsageError("--plane is of one model: give one, or leave it out")
        encoder = None if self.encoder is None else loading.one(self.encoder)
        require_plane(models[0], encoder)
        return WantedPlane(self.plane, labels_of(images, self.labels), encoder)


plane_options = together(
    "plane",
    PlaneOptions,
    output_option(
        "--plane",
        "The latent space as a picture: codes by label, and images over the quantiles of the "
        "prior; and the energy distances of both. Of more than three variables the two of most "
        "information gain.",
    ),
    option(
        "--encoder",
        type=Reference(),
        metavar="MODEL",
        help="Of --plane: compare decoded samples of the prior and images in the codes of this "
        "model.  [default: by their pixels]",
    ),
    labels_option,
)
