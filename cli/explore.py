"""latentmap explore: two spaces side by side in the browser, live."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from latentmap.cli.compare_images import SamplesForAll, compared_images
from latentmap.cli.data_options import DataOptions
from latentmap.cli.declaring import OUTPUT, Command, option
from latentmap.cli.explore_beside import Beside, beside_options
from latentmap.cli.explore_figure import draw, require_figure
from latentmap.cli.explore_page import Page, page_options
from latentmap.cli.explore_trainings import draws_trainings, explore_trainings
from latentmap.cli.explore_words import words_without_folders
from latentmap.cli.kinds import OutputFolder, Reference, Text
from latentmap.cli.options import (
    CoderOptions,
    Loading,
    coder_options,
    loading_options,
    seed_option,
)
from latentmap.cli.outputs import Outputs, figure_option, result_outputs
from latentmap.cli.progress import progress_bar

if TYPE_CHECKING:
    from latentmap.explorer import Explored
    from latentmap.expressiveness.reported import ReportedBlind
    from latentmap.support import SupportSet

_SAMPLES = 2000  # Where no images are given.


@click.command(cls=Command)
@click.argument(
    "references", nargs=-1, required=False, metavar="MODEL [MODEL ...]", type=Reference()
)
@compared_images
@beside_options
@option(
    "--at",
    "state",
    type=Text(),
    metavar="STATE",
    help="Where to begin: what stands behind the # of a link to the page.",
)
@page_options
@seed_option
@coder_options
@loading_options
@result_outputs(
    figure_option("The pictures of --at, in place of the page."),
    option(
        "--report",
        title=OUTPUT,
        type=OutputFolder(),
        metavar="FOLDER",
        help="A report, such as `latentmap bench --report` writes: what it calls a model blind to "
        "is marked, and lines between codes can be added to it.",
    ),
)
@click.pass_context
def explore(
    context: click.Context,
    references: tuple[str, ...],
    data: DataOptions,
    samples: SamplesForAll,
    beside: Beside,
    state: str | None,
    page: Page,
    seed: int,
    coding: CoderOptions,
    loading: Loading,
    outputs: Outputs,
) -> None:
    """Move a code of one model, and see what it is in others, live: on a page in the browser.

    The first MODEL is the source, the others are targets, which maps carry its codes to. The page
    has sliders for the variables of the source in the order of their information gain, for the
    factors that it shares with a target, and for principal directions; and planes of these with the
    codes of the images as points, coloured by labels, by --attributes, or by what a map loses. It
    asks this command alone, by an address with a token that nobody else knows; Ctrl-C ends it.
    What it adds to a report goes to that of --report.

    Without a data set, images are taken that a generator makes: --samples of them, or 2,000.

    \b
    Examples:
      latentmap explore svae stylegan
      latentmap explore svae gan stylegan --data faces.zip
      latentmap explore svae stylegan --data faces.zip --attributes faces.csv
      latentmap explore svae stylegan --data faces.zip --map svae-to-stylegan.safetensors
      latentmap explore svae stylegan --data faces.zip --support support.h5 --report bench
      latentmap explore svae stylegan --image face.jpg --at view=own
      latentmap explore --trace vae.trace
      latentmap explore svae stylegan --at 'start=random&seed=4' --figure moved.png
      latentmap explore svae --data faces.zip --at 'view=points&colour=sector' --figure points.pdf
      latentmap explore --trace vae.trace --at 'view=traces&epoch=12' --figure moment.png
    """
    from latentmap.explorer.drawing import figure_of_state, is_chart
    from latentmap.explorer.own_files import with_own_files
    from latentmap.explorer.places import PLACE_VIEW, read_place, view_of
    from latentmap.explorer.serving import require_server

    state = state or ""
    if not references or draws_trainings(state, outputs):
        explore_trainings(context, beside, state, page, outputs)
        return
    if data.path is None and samples.n_samples is None:
        samples = replace(samples, n_samples=_SAMPLES)
    samples.check(references, data)
    outputs.check(plot=is_chart(state))
    own = beside.own_files()
    if outputs.figure is None:
        require_server()
    else:
        require_figure(context, state, data, own)
    place = read_place(state)
    support, trainings, reported = beside.support(), beside.trainings(), _reported(outputs.report)
    explored = replace(
        _explored(references, data, samples, beside, support, seed, coding, loading),
        command=words_without_folders(context),
        commands={view: words_without_folders(context, view) for view in ("points", "traces")},
        report=outputs.report,
        trainings=trainings,
        reported=reported,
    )
    explored = with_own_files(explored, own)
    if view_of(state) == PLACE_VIEW:
        explored.code_at(place)  # Refuses before anything is drawn or served.
    if outputs.figure is None:
        page.serve(explored, state, as_json=outputs.as_json)
    else:
        draw(figure_of_state(explored, state, stage=progress_bar), outputs)


def _explored(
    references: Sequence[str],
    data: DataOptions,
    samples: SamplesForAll,
    beside: Beside,
    support: SupportSet | None,
    seed: int,
    coding: CoderOptions,
    loading: Loading,
) -> Explored:
    from latentmap.encoders.references import full_reference
    from latentmap.explorer import explore_spaces
    from latentmap.images.attribute_table import read_attributes
    from latentmap.images.attribute_values import known_rows

    attributes = None if data.attributes is None else read_attributes(data.attributes)
    if data.where is None:
        data = replace(data, attributes=None)  # Which is there for its colours alone.
    maps = beside.maps()
    models = loading.all(references)
    if not any(model.can_decode for model in models):
        models[0].require_decoder()
    coder = coding.open(data)
    if data.path is None:
        images, models = samples.open(models, references, data, coder, seed=seed)
    else:
        images = replace(data, split=None, limit=None).open()
    models = data.complete(models, images if data.path is None else None)
    named = [full_reference(*pair) for pair in zip(references, models, strict=True)]
    explored_images = data.of_split(images)
    if attributes is not None:
        # Refuses the table of other images before they are encoded.
        known_rows(explored_images.ids, attributes.table)
    explored = explore_spaces(
        models[0],
        models[1:],
        explored_images,
        coder,
        training=data.to_fit_on(images) if len(models) > 1 else None,
        maps=maps,
        references=named,
        support=support,
        seed=seed,
    )
    return replace(explored, attributes=attributes)


def _reported(folder: Path | None) -> tuple[ReportedBlind, ...]:
    from latentmap.expressiveness.reported import blind_in_report
    from latentmap.report.store import begun_report

    return () if folder is None else blind_in_report(begun_report(folder))
