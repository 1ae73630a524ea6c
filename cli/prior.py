"""latentmap models prior: what a VAE samples from, fitted to the codes of images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from latentmap.cli.data_options import DataOptions, data_options
from latentmap.cli.declaring import Command, output_option
from latentmap.cli.kinds import Reference, Text
from latentmap.cli.options import (
    device_option,
    force_option,
    json_option,
    refuse_given,
    seed_option,
)
from latentmap.cli.output import say

if TYPE_CHECKING:
    from latentmap.encoders.priors import PriorKind

# A test compares these with the library's own list, which cannot be imported here without torch.
RENORMALISATIONS = ("law", "as-published", "none")
_MOST_COMPONENTS = 10_000


class _Fit(Text):
    """``mixture:100``, ``normal`` or ``two-stage``: the kind of a prior, and its components."""

    name = "prior"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[PriorKind, int]:
        text: str = super().convert(value, param, ctx)
        if text == "normal":
            return "normal", 1
        if text == "two-stage":
            return "two-stage", 1
        kind, _, number = text.partition(":")
        digits = number.isascii() and number.isdigit() and len(number) < 9
        if kind == "mixture" and digits and 1 <= int(number) <= _MOST_COMPONENTS:
            return "mixture", int(number)
        self.fail(
            f"{text!r} is no prior: give mixture:K, with K from 1 to {_MOST_COMPONENTS:,}, normal, "
            "or two-stage",
            param,
            ctx,
        )


@click.command(cls=Command)
@click.argument("model", metavar="MODEL", type=Reference())
@click.option(
    "--fit",
    type=_Fit(),
    required=True,
    metavar="PRIOR",
    help="mixture:100 (so many normal distributions), normal (one), or two-stage (a second VAE).",
)
@click.option(
    "--renormalise",
    type=click.Choice(RENORMALISATIONS),
    default="law",
    show_default=True,
    help="two-stage: bring every variable to the moments of the variance law, multiply all by one "
    "number, or leave the codes as the second VAE makes them.",
)
@data_options
@output_option("--out", "The model file to write.", required=True)
@force_option
@seed_option
@device_option
@json_option
@click.pass_context
def prior(
    context: click.Context,
    model: str,
    data: DataOptions,
    out: Path,
    *,
    fit: tuple[PriorKind, int],
    renormalise: Any,
    force: bool,
    seed: int,
    device: str,
    as_json: bool,
) -> None:
    """Give a VAE a prior that is fitted to the codes of images, in place of N(0, 1).

    Give the images that it was trained on. Whatever draws random codes of the model draws them
    from this prior then. Its weights, its space and its fingerprint stay as they are: maps and
    cached codes go on to serve it. A prior that it has already is replaced.

    \b
    Examples:
      latentmap models prior vae --fit mixture:100 --data faces.zip --split train \\
          --out mixture.safetensors
      latentmap models prior vae --fit two-stage --data faces.zip --split train \\
          --out two-stage.safetensors
    """
    from latentmap.cli.output import command_line, print_json, warn, warn_skipped
    from latentmap.cli.progress import progress_bar
    from latentmap.encoders.priors import PriorSettings, fit_prior_file

    kind, components = fit
    if kind != "two-stage":
        refuse_given(context, ["renormalise"], "without --fit two-stage")
    made = fit_prior_file(
        model,
        data.open(),
        out,
        PriorSettings(kind, components, renormalise, seed),
        device=device,
        on_error=data.on_error,
        force=force,
        record={"command": command_line()},
        stage=progress_bar,
    )
    warn_skipped(made.skipped)
    if made.replaced is not None:
        warn(f"{model} had a prior, {made.replaced}: {out} has the new one in its place")
    if as_json:
        print_json({"model": str(out), **made.to_json()})
        return
    say(f"{out}: {made.model.family} {made.model.fingerprint[:12]}")
    say(f"its prior is {made.prior}, fitted to the codes of {made.n:,} images")
