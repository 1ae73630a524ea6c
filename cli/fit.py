"""latentmap fit: a map from one latent space to another, and its scores."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from latentmap.cli.baselines import beside, fitted_baselines
from latentmap.cli.by_parts import SHARED
from latentmap.cli.declaring import Command, output_option
from latentmap.cli.fit_options import check_choices, check_spaces, fit_options
from latentmap.cli.fit_request import FitRequest, Fitted, fit_request, skipped_of
from latentmap.cli.options import baselines_option
from latentmap.cli.output import say
from latentmap.cli.outputs import Outputs, figure_option, report_option, result_outputs
from latentmap.cli.probe_options import ProbeOptions, probe_options, show_scores
from latentmap.cli.unseen import tell_seen
from latentmap.cli.workers import Workers, worker_options
from latentmap.mapping.options import FitOptions

if TYPE_CHECKING:
    from latentmap.images.attribute_values import Attribute
    from latentmap.mapping import LinearMap
    from latentmap.mapping.nonlinear import NonlinearMap
    from latentmap.relocation import Probes, Scores
    from latentmap.relocation.baselines import BaselineKind

_SHOWN = 10  # Images in a picture.


@click.command(cls=Command)
@fit_request
@fit_options
@baselines_option
@click.option(
    "--ceiling",
    "with_ceiling",
    is_flag=True,
    help="Also fit nonlinear maps of the same codes, and say whether a linear one is enough.",
)
@probe_options
@worker_options(SHARED)
@result_outputs(
    output_option("--out", "The map to write.  [default: none is kept]", metavar="MAP"),
    figure_option(
        "A picture: original, source reconstruction and relocated image of some images to score."
    ),
    report_option,
)
@click.pass_context
def fit(
    context: click.Context,
    request: FitRequest,
    options: FitOptions,
    kinds: tuple[BaselineKind, ...],
    with_ceiling: bool,
    probing: ProbeOptions,
    workers: Workers,
    outputs: Outputs,
) -> None:
    """Fit a linear map from the codes of one model to those of another, and score it.

    A MODEL may be a file of codes (.npz, .npy, .h5, .parquet, .tar) with the ids of their images;
    between two of these no image is needed, and errors are those of codes.

    Else without a data set, images are taken that a generator makes, whose codes are known:
    --samples of them, or 5,000. Images are encoded through the cache. The map is fitted on the
    split train (or --split val, or the images of a --support set) and scored on the split test,
    without those that it was fitted on, with 95 % intervals over images, or the groups of --group-
    by; --limit holds for each of the two.

    `latentmap map methods` compares all methods on the same pairs and images, `latentmap map curve`
    shows how the scores grow with the number of pairs.

    With --workers the images are encoded, and their codes summed, by several processes or machines;
    the map needs nothing but these sums, and its errors are those of codes, of all test images.

    \b
    Examples:
      latentmap fit --src svae --dst stylegan
      latentmap fit --src svae --dst stylegan --out svae-to-stylegan.safetensors --figure moved.png
      latentmap fit --src vae.safetensors --dst svae.safetensors --data faces.zip
      latentmap fit --src a.safetensors --dst b.safetensors --data faces.zip --method procrustes
      latentmap fit --src svae.safetensors --dst stylegan.safetensors --samples 20000
      latentmap fit --src svae --dst stylegan --samples 5000 --truncation 0.7
      latentmap fit --src a.safetensors --dst b.safetensors --data faces.zip --support support.h5
      latentmap fit --src clip.npz --dst dino.npz
      latentmap fit --src svae --dst stylegan --data faces.zip --attributes faces.csv --probe Male
      latentmap fit --src svae --dst stylegan --data faces.zip --workers 2
    """
    workers.check()
    if workers.asked:
        from latentmap.cli.fit_parts import fit_by_workers

        fit_by_workers(context, request, options, workers, outputs)
        return
    from latentmap.encoders.baselines import keep_baselines
    from latentmap.mapping.held_out_error import HELD_OUT
    from latentmap.relocation import fit_training, score_models
    from latentmap.relocation.section import fit_title

    wanted = probing.prepare(request.data, made=request.makes_images)
    request = replace(request, data=probing.choosing(request.data))
    request.check()
    check_choices(context, options)
    outputs.check(drawn=request.alone)
    source, target = request.load()
    check_spaces(options, source, target)
    outputs.require_images(target)
    found = request.open(source, target, beside=beside(context, kinds, options))
    training, coder = found.training, found.coder
    attributes = [] if wanted is None else wanted.attributes(training.images, found.test)
    with coder.stage("fitting", "steps") as progress:
        linear_map = fit_training(
            training,
            options=options,
            seed=request.seed,
            references=request.references(source, target),
            record=found.record,
            progress=progress,
        )
    others = fitted_baselines(found, options, request.seed)
    nonlinear = _nonlinear(found, request.seed) if with_ceiling else None
    (scores,) = score_models(
        [linear_map],
        training.source,
        training.target,
        found.test,
        coder,
        seen=[training.seen],
        baselines=others,
        ceiling=nonlinear,
        seed=request.seed,
    )
    kept = {
        HELD_OUT: scores.held_out.to_json(),
        "beside": scores.context(),
        "verdicts": scores.verdicts,
    }
    linear_map = replace(linear_map, record={**linear_map.record, **kept})
    linear_map, large = keep_baselines(linear_map, others)
    if outputs.out is not None:
        # Last, so that the same command goes on after an interruption.
        linear_map.save(outputs.out)
    probes = _probes(linear_map, scores, found, attributes, request.seed)
    _show(linear_map, scores, probes, found, outputs)
    _tell_images(scores, large)
    title = fit_title(linear_map, scores)
    if outputs.as_json:
        show_scores(scores, probes, title=title, as_json=True)
        return
    say(linear_map if outputs.out is None else f"{outputs.out}: {linear_map}")
    if outputs.figure is not None:
        rebuilt = f"{source.name} reconstruction, " if source.can_decode else ""
        say(f"{outputs.figure}: original, {rebuilt}relocated to {target.name}")
    show_scores(scores, probes, title=title, as_json=False)
    if request.data.path is None and not request.of_codes:
        path = "MAP" if outputs.out is None else shlex.quote(str(outputs.out))
        say(
            "fitted on images that a model made: evaluate it on your own before you rely on it "
            f"(latentmap evaluate {path} --data IMAGES)"
        )


def _tell_images(scores: Scores, large: Sequence[str]) -> None:
    """Says which images are not scored, what is known of the others, and the names of baselines
    that are too ``large`` for the file.
    """
    from latentmap.cli.output import tell_left_out, warn, warn_skipped

    warn_skipped(skipped_of(scores.record))
    for name in large:
        warn(f"{name} is too large to be kept with the map: evaluate will not have it beside")
    tell_left_out(scores.record["left_out"])
    tell_seen(scores.record["n_seen"], scores.n_test)


def _nonlinear(found: Fitted, seed: int) -> NonlinearMap | None:
    """The nonlinear map that the linear one is held against; says why where there is none."""
    from latentmap.cli.output import warn
    from latentmap.errors import LatentmapError
    from latentmap.mapping.nonlinear import fit_nonlinear

    training = found.training.in_memory()
    try:
        with found.coder.stage("fitting nonlinear maps", "steps") as progress:
            return fit_nonlinear(
                training.pairs, groups=training.groups, seed=seed, progress=progress
            )
    except LatentmapError as error:
        warn(f"no ceiling stands beside this map: {error}")
        return None


def _probes(
    linear_map: LinearMap,
    scores: Scores,
    found: Fitted,
    attributes: Sequence[Attribute],
    seed: int,
) -> Probes | None:
    """What the map keeps of the attributes that are asked for; None of none."""
    from latentmap.relocation import probe_models

    if not attributes:
        return None
    training = found.training
    return probe_models(
        linear_map,
        training.source,
        training.target,
        found.test,
        found.coder,
        ids=scores.errors.ids,
        fitted=(training.pairs.target, training.groups),
        attributes=attributes,
        seed=seed,
    )


def _show(
    linear_map: LinearMap,
    scores: Scores,
    probes: Probes | None,
    found: Fitted,
    outputs: Outputs,
) -> None:
    """The picture and the section of the report."""
    from latentmap.relocation import relocate
    from latentmap.relocation.section import fit_section, fit_title, relocation_grid

    if outputs.figure is None and outputs.report is None:
        return
    source, target = found.training.source, found.training.target
    shown = found.test.subset(range(min(_SHOWN, len(found.test))))
    moved = relocate(linear_map, source, target, shown, found.coder)
    if outputs.figure is not None:
        outputs.draw(relocation_grid(moved, source.name, target.name), outputs.figure)
    title = fit_title(linear_map, scores)
    outputs.add_to_report(lambda: fit_section(linear_map, scores, moved, probes, title=title))
