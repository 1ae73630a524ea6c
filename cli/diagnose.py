"""latentmap diagnose: what the latent variables of VAEs do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from latentmap.cli.data_options import DataOptions, data_options
from latentmap.cli.declaring import Command, number_option, output_option
from latentmap.cli.diagnose_channels import (
    diagnose_by_channels,
    measured_by_channels,
    refuse_options_of_variables,
)
from latentmap.cli.kinds import Reference
from latentmap.cli.options import (
    Loading,
    batch_size_option,
    loading_options,
    precision_option,
    seed_option,
)
from latentmap.cli.output import print_json, say, show_result
from latentmap.cli.outputs import Outputs, figure_option, report_option, result_outputs
from latentmap.cli.plane_options import PlaneOptions, plane_options
from latentmap.cli.unseen import tell_seen, unseen_images, unseen_option

if TYPE_CHECKING:
    from latentmap.diagnostics.plane import LatentPlane
    from latentmap.diagnostics.several import Diagnoses
    from latentmap.images import ImageSource
    from latentmap.model import Model


@click.command(cls=Command)
@click.argument(
    "references", nargs=-1, required=True, metavar="MODEL [MODEL ...]", type=Reference()
)
@data_options
@unseen_option
@plane_options
@number_option(
    "--gain-images",
    help="On how many random images information gains are measured: each takes as many decodes as "
    "there are variables.  [default: chosen]",
)
@click.option(
    "--sampled",
    is_flag=True,
    help="mse and variance loss of codes drawn from the posteriors, as in the training, instead of "
    "their means.",
)
@seed_option
@loading_options
@precision_option
@batch_size_option
@output_option("--scatter", "The variance loss of the models against their mse.")
@result_outputs(
    figure_option(
        "Images, their reconstructions, and these without the inactive variables; or channels with "
        "their spectrum and correlations."
    ),
    report_option,
)
def diagnose(
    references: tuple[str, ...],
    data: DataOptions,
    plane: PlaneOptions,
    *,
    unseen: bool,
    gain_images: int | None,
    sampled: bool,
    seed: int,
    loading: Loading,
    precision: Any,
    batch_size: int | None,
    scatter: Path | None,
    outputs: Outputs,
) -> None:
    """Measure models on images: what the variables of VAEs do, or the channels of others.

    A variable is active when its posterior mean has a variance above 0.05; other definitions stand
    beside. The law is mean s2 + Var = 1 for every variable, as `latentmap models normalise` makes
    it; the variance loss is about the mse. The gain of a variable is what an image loses, in mse,
    when it is set to its mean. All with 95 % intervals over images, in --json.

    Of codes with channels at positions, and of models without posterior or decoder: mean, standard
    deviation and KL of each channel, spectrum and correlations, and from them scaling_factor,
    shift_factor, latents_mean and latents_std, as diffusers has them (in --json to be pasted).

    Of several models one table; each sees the images in its own view.

    \b
    Examples:
      latentmap diagnose vae.safetensors --data t10k-images-idx3-ubyte.gz --figure inactive.png
      latentmap diagnose vae vae-b svae --data faces.zip --split test --scatter loss.png
      latentmap diagnose vae.safetensors --data t10k-images-idx3-ubyte.gz --plane plane.png
      latentmap diagnose taef2.safetensors --data photos --size 256x256 --json
    """
    from latentmap.cli.output import warn_skipped
    from latentmap.cli.progress import progress_bar
    from latentmap.diagnostics import diagnose as measure
    from latentmap.diagnostics.plane_figures import plane_plot
    from latentmap.diagnostics.several import Diagnoses
    from latentmap.encoders.architectures import architecture_of
    from latentmap.model import count_seen

    outputs.check(others=(scatter, plane.plane))
    models = loading.all(references)
    by_channels = measured_by_channels(models)
    if by_channels:
        refuse_options_of_variables(models)
        outputs.check(plot=True, others=(scatter, plane.plane))
    images = data.open()
    models = data.complete(models)
    for model in models:
        (model.require_posterior if sampled else model.require_encoder)()
    if unseen:
        images = unseen_images(images, models)
    wanted = plane.prepare(models, images, loading=loading)
    reading: dict[str, Any] = {
        "precision": precision,
        "batch_size": batch_size,
        "on_error": data.on_error,
        "seed": seed,
    }
    if by_channels:
        diagnose_by_channels(
            references, models, images, sampled=sampled, reading=reading, outputs=outputs
        )
        return
    results = [
        measure(
            model,
            images,
            gain_images=gain_images,
            sampled=sampled,
            stage=progress_bar,
            **reading,
        )
        for model in models
    ]
    drawn = None
    if wanted is not None:
        drawn = wanted.look(models[0], images, gains=results[0].values("gain"), **reading)
        outputs.draw(plane_plot(drawn), wanted.path)
    found = Diagnoses(results, [architecture_of(model) for model in models])
    n_seen = count_seen(models, images.digests, images.groups)
    warn_skipped(results[0].skipped)
    tell_seen(n_seen, len(images))
    made = {
        "data": images.fingerprint,
        "choice": images.choice.to_json(),
        "n_seen": n_seen,
    }
    record = {**made, "sampled": sampled, "precision": precision, "seed": seed}
    _write(found, models, images, record=record, scatter=scatter, outputs=outputs)
    if drawn is not None:
        _report_plane(drawn, record, outputs)
    _show(references, found, drawn, made, as_json=outputs.as_json)


def _show(
    references: Sequence[str],
    found: Diagnoses,
    drawn: LatentPlane | None,
    made: Mapping[str, Any],
    *,
    as_json: bool,
) -> None:
    """The result on stdout: one object, or tables."""
    from latentmap.diagnostics.diagnosis_section import diagnosis_title
    from latentmap.diagnostics.plane_figures import plane_title

    if as_json:
        _print_json(references, found, drawn, made)
        return
    results = found.results
    title = diagnosis_title([one.model for one in results], made)
    show_result(results[0] if len(results) == 1 else found, title=title)
    if drawn is not None:
        say("")
        show_result(drawn, title=plane_title(drawn, made))


def _print_json(
    references: Sequence[str],
    found: Diagnoses,
    drawn: LatentPlane | None,
    made: Mapping[str, Any],
) -> None:
    """The figures of one model beside what they were ``made`` of, of several as a list there."""
    pairs = zip(references, found.to_json(), strict=True)
    told = [{"model": reference, **one} for reference, one in pairs]
    if drawn is not None:
        told[0] |= drawn.to_json()
    print_json({**made, **told[0]} if len(told) == 1 else {**made, "models": told})


def _write(
    found: Diagnoses,
    models: Sequence[Model],
    images: ImageSource,
    *,
    record: Mapping[str, Any],
    scatter: Path | None,
    outputs: Outputs,
) -> None:
    """The pictures that were asked for, and the section of the report."""
    from latentmap.cli.output import command_line
    from latentmap.diagnostics.diagnosis_figures import (
        examples_grid,
        examples_of,
        scatter_plot,
    )
    from latentmap.diagnostics.diagnosis_section import diagnosis_section

    plot = None if scatter is None else scatter_plot(found)
    if plot is not None and scatter is not None:
        outputs.draw(plot, scatter)
    if outputs.figure is None and outputs.report is None:
        return
    pairs = zip(models, found.results, strict=True)
    examples = [examples_of(model, images, one, seed=record["seed"]) for model, one in pairs]
    if outputs.figure is not None:
        outputs.draw(examples_grid(examples), outputs.figure)
    made = {
        "command": command_line(),
        "models": {model.name: model.fingerprint for model in models},
        "images": [one.n for one in found.results],
        "gain_images": [one.worth.gain_images for one in found.results],
        **record,
    }
    outputs.add_to_report(lambda: diagnosis_section(found, examples, made, scatter=plot))


def _report_plane(plane: LatentPlane, record: Mapping[str, Any], outputs: Outputs) -> None:
    from latentmap.cli.output import command_line
    from latentmap.diagnostics.plane_figures import plane_section

    made = {"command": command_line(), **record}
    outputs.add_to_report(lambda: plane_section(plane, record=made))
