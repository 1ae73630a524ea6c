"""latentmap evaluate: what a map loses on images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from latentmap.cli.by_options import ask_for_groups, by_option, without_table
from latentmap.cli.by_parts import SHARED
from latentmap.cli.declaring import Command
from latentmap.cli.outputs import Outputs, report_option, result_outputs
from latentmap.cli.probe_options import ProbeOptions, probe_options, show_scores
from latentmap.cli.score_request import Scored, ScoreRequest, score_request
from latentmap.cli.unseen import tell_seen
from latentmap.cli.workers import Workers, worker_options

if TYPE_CHECKING:
    import numpy as np

    from latentmap.cache import Coder
    from latentmap.images import ImageSource
    from latentmap.images.asked_groups import AskedGroups
    from latentmap.images.attribute_groups import ImageGroups
    from latentmap.images.attribute_values import Attribute
    from latentmap.relocation import Probes, Scores

_SHOWN = 10  # Images of the report.


@click.command(cls=Command)
@score_request
@by_option
@probe_options
@worker_options(SHARED)
@result_outputs(report_option)
@click.pass_context
def evaluate(
    context: click.Context,
    request: ScoreRequest,
    by: tuple[tuple[str, ...], ...],
    probing: ProbeOptions,
    workers: Workers,
    outputs: Outputs,
) -> None:
    """Score a map on images, with 95 % intervals; those that it was fitted on are left out.

    R_mse is what the source loses by itself, L_mse the error of the codes, M_mse that of the
    relocated images; beside it stand its floor (the target's own reconstruction) and its baseline
    (the mean image), and efficiency = (baseline - M_mse) / (baseline - floor).

    Instead of a data set, --samples takes images that one of the models makes, at the truncation of
    the fit, where it was fitted on such; another --seed than that of the fit gives new ones.

    --by cuts the images into groups, and says whether the map loses more on one than on the rest,
    over what the target itself loses there.

    --probe says what the map keeps of attributes or labels: probes of the target's own codes of the
    split train, without images that are scored, read the mapped codes.

    With --workers several processes or machines share the images, and errors are those of codes, of
    all images of --split, by default test.

    \b
    Examples:
      latentmap evaluate vae-to-svae.safetensors --data faces.zip --split test
      latentmap evaluate svae-to-stylegan.safetensors --samples 1000 --seed 1
      latentmap evaluate a-to-b.safetensors --data faces.zip --attributes faces.csv --by Male
      latentmap evaluate a-to-b.safetensors --data faces.zip --attributes faces.csv --probe all
      latentmap evaluate svae-to-stylegan.safetensors --samples 1000 --truncation 0.7
      latentmap evaluate clip-to-dino.safetensors --src clip-new.npz --dst dino-new.npz
      latentmap evaluate a-to-b.safetensors --data faces.zip --workers 2
    """
    from latentmap.codes import find_ids
    from latentmap.encoders.baselines import baselines_of
    from latentmap.relocation import relocate, score_models
    from latentmap.relocation.groups import scores_by_group
    from latentmap.relocation.section import fit_section, scores_title

    workers.check()
    if workers.asked:
        from latentmap.cli.fit_parts import evaluate_by_workers

        evaluate_by_workers(context, request, workers, outputs)
        return
    data, samples = request.data, request.samples
    asked = ask_for_groups(by, data, probes=probing.probe is not None)
    wanted = probing.prepare(
        data, made=samples.n is not None, groups=asked is not None and asked.table is not None
    )
    request = replace(request, data=without_table(by, probing.choosing(data)))
    outputs.check()
    request.check()
    # Probes are fitted on images of another split.
    found = request.open(whole=wanted is not None)
    linear_map, models, images = found.linear_map, (found.source, found.target), found.images
    attributes = [] if wanted is None else wanted.attributes(found.every)
    cuts = _cuts(asked, images, found.coder)
    others = baselines_of(linear_map, *models)
    (scores,) = score_models(
        [linear_map], *models, images, found.coder, baselines=others, seed=request.seed
    )
    if samples.n is not None:
        drawn = {"score_truncation": samples.truncation_of(linear_map.record)}
        scores = replace(scores, record={**scores.record, **drawn})
    _tell_images(scores)
    probes = None if wanted is None else _probed(found, request, attributes, scores.errors.ids)
    groups = None
    if cuts:
        rows = find_ids(images.ids, scores.errors.ids)
        groups = scores_by_group(scores, [one.take(rows) for one in cuts], seed=request.seed)
    title = scores_title(linear_map, scores)
    if outputs.report is not None:
        shown = images.subset(find_ids(images.ids, scores.errors.ids[:_SHOWN]))
        moved = relocate(linear_map, *models, shown, found.coder)
        outputs.add_to_report(
            lambda: fit_section(linear_map, scores, moved, probes, groups, title=title)
        )
    show_scores(scores, probes, groups, title=title, as_json=outputs.as_json)


def _probed(
    found: Scored, request: ScoreRequest, attributes: Sequence[Attribute], ids: np.ndarray
) -> Probes:
    """What probes of the target's own codes read in the mapped ones of the scored images."""
    from latentmap.relocation import probe_models
    from latentmap.relocation.probed_models import codes_to_fit

    models = (found.linear_map, found.source, found.target)
    fitted = codes_to_fit(*models, request.data.to_fit_on(found.every), found.coder)
    return probe_models(
        *models,
        found.images,
        found.coder,
        ids=ids,
        fitted=fitted,
        attributes=attributes,
        seed=request.seed,
    )


def _cuts(asked: AskedGroups | None, images: ImageSource, coder: Coder) -> list[ImageGroups]:
    """The groups of the images that are asked for."""
    if asked is None:
        return []
    with coder.stage("cutting images into groups", "images") as progress:
        (found,) = asked.cut(images, progress=progress)
    return found


def _tell_images(scores: Scores) -> None:
    """Says which images are not scored, and what is known of the others."""
    from latentmap.cli.output import tell_left_out, warn, warn_skipped

    warn_skipped(scores.record["skipped"])
    tell_left_out(scores.record["left_out"])
    if scores.record["unknown_overlap"]:
        warn(scores.record["unknown_overlap"])
    tell_seen(scores.record["n_seen"], scores.n_test)
