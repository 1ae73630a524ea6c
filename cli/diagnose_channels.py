"""latentmap diagnose of models that are no VAEs of vectors: what their channels do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from latentmap.cli.options import refuse_given
from latentmap.cli.output import command_line, print_json, show_result, warn_skipped
from latentmap.cli.outputs import Outputs
from latentmap.cli.unseen import tell_seen

if TYPE_CHECKING:
    from latentmap.diagnostics.channel_tables import ChannelDiagnoses
    from latentmap.images import ImageSource
    from latentmap.model import Model

# They are about single variables, and what images lose without them.
_OF_VARIABLES = ("plane", "encoder", "labels", "scatter", "gain_images")


def measured_by_channels(models: Sequence[Model]) -> bool:
    """Whether channels are what is told of these models: one of them is no VAE of vectors."""
    return not all(
        model.has_posterior and model.can_decode and len(model.latent_shape) == 1
        for model in models
    )


def refuse_options_of_variables(models: Sequence[Model]) -> None:
    """Refuses options that have no effect where channels are measured.

    Raises:
        click.UsageError: one was given.
    """
    other = next(model for model in models if measured_by_channels([model]))
    if len(other.latent_shape) > 1:
        why = f"codes of {other.name} have the shape {'x'.join(map(str, other.latent_shape))}"
    elif other.has_posterior:
        why = f"{other.name} has no decoder"
    else:
        why = f"{other.name} has no posterior"
    refuse_given(click.get_current_context(), _OF_VARIABLES, f"where channels are measured ({why})")


def diagnose_by_channels(
    references: Sequence[str],
    models: Sequence[Model],
    images: ImageSource,
    *,
    sampled: bool,
    reading: Mapping[str, Any],
    outputs: Outputs,
) -> None:
    """Measures the channels of each model, and shows and writes what was found."""
    from latentmap.cli.progress import progress_bar
    from latentmap.diagnostics import diagnose_channels
    from latentmap.diagnostics.channel_figures import channels_title
    from latentmap.diagnostics.channel_tables import ChannelDiagnoses
    from latentmap.model import count_seen

    results = [
        diagnose_channels(model, images, sampled=sampled, stage=progress_bar, **reading)
        for model in models
    ]
    found = ChannelDiagnoses(results)
    warn_skipped(results[0].skipped)
    n_seen = count_seen(models, images.digests, images.groups)
    tell_seen(n_seen, len(images))
    made = {
        "data": images.fingerprint,
        "choice": images.choice.to_json(),
        "n_seen": n_seen,
    }
    record = {"sampled": sampled, "precision": reading["precision"], "seed": reading["seed"]}
    _write(found, models, images, {**made, **record}, outputs)
    if outputs.as_json:
        pairs = zip(references, found.to_json(), strict=True)
        told = [{"model": reference, **one} for reference, one in pairs]
        print_json({**made, **told[0]} if len(told) == 1 else {**made, "models": told})
        return
    title = channels_title([one.model for one in results], made)
    show_result(results[0] if len(results) == 1 else found, title=title)


def _write(
    found: ChannelDiagnoses,
    models: Sequence[Model],
    images: ImageSource,
    record: Mapping[str, Any],
    outputs: Outputs,
) -> None:
    """The picture that was asked for, and the section of the report."""
    from latentmap.diagnostics.channel_figures import (
        channels_plot,
        channels_section,
        reconstructions_of,
    )

    if outputs.figure is not None:
        outputs.draw(channels_plot(found), outputs.figure)
    if outputs.report is None:
        return
    pairs = zip(models, found.results, strict=True)
    examples = [reconstructions_of(model, images, one, seed=record["seed"]) for model, one in pairs]
    made = {
        "command": command_line(),
        "models": {model.name: model.fingerprint for model in models},
        "images": [one.n for one in found.results],
        **record,
    }
    plot = None if outputs.figure is None else channels_plot(found)
    outputs.add_to_report(lambda: channels_section(found, examples, made, plot=plot))
