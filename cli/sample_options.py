"""The options of ``latentmap sample``: which codes are decoded, and what is written of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from latentmap.cli.declaring import number_option, output_option, together
from latentmap.cli.kinds import InputFile
from latentmap.cli.options import seed_option, truncation_option
from latentmap.cli.outputs import figure_option, result_outputs

if TYPE_CHECKING:
    from latentmap.codes import Codes
    from latentmap.model import Model

_SAMPLES = 64


@dataclass(frozen=True)
class Drawing:
    """Which codes are decoded, as given on the command line: ``codes`` of a file, or drawn ones."""

    n: int | None
    codes: Path | None
    truncation: float
    truncation_cutoff: int | None
    mix_from: int | None
    seed: int

    @property
    def layered(self) -> bool:
        """Whether layers get codes of their own."""
        return self.truncation_cutoff is not None or self.mix_from is not None

    def of(self, model: Model) -> Codes:
        """The codes, in the space of a model."""
        from latentmap.codes import read_codes
        from latentmap.encoders.sampling import draw_codes

        if self.codes is not None:
            return read_codes(self.codes, space=model.space, frame=model.frame)
        return draw_codes(
            model,
            self.n or _SAMPLES,
            seed=self.seed,
            truncation=self.truncation,
            truncation_cutoff=self.truncation_cutoff,
            mix_from=self.mix_from,
        )


drawing_options = together(
    "drawing",
    Drawing,
    number_option("-n", "--samples", "n", help="How many codes are drawn.  [default: 64]"),
    click.option(
        "--codes",
        type=InputFile(),
        metavar="FILE",
        help="Decode these codes instead of drawn ones: a file of this model's codes.",
    ),
    truncation_option(),
    number_option(
        "--truncation-cutoff",
        least=0,
        metavar="LAYER",
        help="StyleGAN: truncate only the layers before this one; the codes are in w+ then.",
    ),
    number_option(
        "--mix-from",
        least=0,
        metavar="LAYER",
        help="StyleGAN: layers from this one on take a second sample; the codes are in w+ then.",
    ),
    seed_option,
)
output_options = result_outputs(
    output_option(
        "--out", "The images with their codes, as a pack (.h5) that --data takes everywhere."
    ),
    figure_option("One picture of all images."),
    output_option("--codes-out", "The codes, as .npz, .npy, .h5 or .parquet."),
)
