"""latentmap evaluate: what a map loses on images."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from latentmap.cli.by_options import ask_for_groups, by_option, without_table
from latentmap.cli.by_parts import SHARED
from latentmap.cli.code_options import CodeOptions, code_options
from latentmap.cli.data_options import DataOptions, data_options
from latentmap.cli.declaring import Command
from latentmap.cli.image_choice import SampleOptions, sample_options
from latentmap.cli.map_options import dst_override, map_argument, src_override
from latentmap.cli.options import (
    CoderOptions,
    Loading,
    coder_options,
    loading_options,
    seed_option,
)
from latentmap.cli.outputs import Outputs, report_option, result_outputs
from latentmap.cli.probe_options import ProbeOptions, probe_options, show_scores
from latentmap.cli.unseen import check_unseen, tell_seen, unseen_images, unseen_option
from latentmap.cli.workers import Workers, worker_options

if TYPE_CHECKING:
    from latentmap.cache import Coder
    from latentmap.images import ImageSource
    from latentmap.images.asked_groups import AskedGroups
    from latentmap.images.attribute_groups import ImageGroups
    from latentmap.mapping import LinearMap
    from latentmap.relocation import Scores

_SHOWN = 10  # Images of the report.


@click.command(cls=Command)
@map_argument
@src_override
@dst_override
@functools.partial(data_options, required=False)  # Samples can stand in place of images.
@unseen_option
@code_options
@functools.partial(sample_options, fewest=2, box=False)
@by_option
@probe_options
@seed_option
@functools.partial(coder_options, recorded=True)
@loading_options
@worker_options(SHARED)
@result_outputs(report_option)
@click.pass_context
def evaluate(
    context: click.Context,
    map_path: Path,
    src: str | None,
    dst: str | None,
    data: DataOptions,
    samples: SampleOptions,
    by: tuple[tuple[str, ...], ...],
    probing: ProbeOptions,
    seed: int,
    coding: CoderOptions,
    loading: Loading,
    workers: Workers,
    outputs: Outputs,
    unseen: bool,
    codes: CodeOptions,
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
    from latentmap.cli.map_options import models_for_size
    from latentmap.codes import find_ids
    from latentmap.encoders.baselines import baselines_of
    from latentmap.mapping import LinearMap
    from latentmap.relocation import probe_models, relocate, score_models
    from latentmap.relocation.groups import scores_by_group
    from latentmap.relocation.probed_models import codes_to_fit
    from latentmap.relocation.section import fit_section, scores_title

    workers.check()
    if workers.asked:
        from latentmap.cli.fit_parts import evaluate_by_workers

        evaluate_by_workers(
            context, map_path, (src, dst), data, coding, loading, workers, outputs, seed
        )
        return
    asked = ask_for_groups(by, data, probes=probing.probe is not None)
    wanted = probing.prepare(
        data, made=samples.n is not None, groups=asked is not None and asked.table is not None
    )
    data = without_table(by, probing.choosing(data))
    outputs.check()
    if data.path is not None or samples.n is not None:
        samples.check(data)
    check_unseen(unseen, data)
    linear_map = LinearMap.load(map_path)
    references = (src or linear_map.source_reference, dst or linear_map.target_reference)
    of_codes = codes.check(references, data, samples.n)
    samples.check(data, without=of_codes)
    if samples.n is None:
        require_fitted_groups(linear_map, data, map_path)
    linear_map, source, target = models_for_size(
        linear_map, src=src, dst=dst, map_path=map_path, loading=loading
    )
    coder = coding.open(data, recorded=linear_map.record.get("precision"))
    # Probes are fitted on images of another split.
    choice = data if wanted is None else replace(data, split=None, limit=None)
    if of_codes:
        images, (source, target) = codes.images_of((source, target), choice, whole=False)
    else:
        source, target = codes.named((source, target), data)
        images = samples.open(choice, linear_map, (source, target), coder, seed=seed)
    source, target = data.complete((source, target), images if data.path is None else None)
    every = images
    if wanted is not None:
        attributes, images = wanted.attributes(every), data.of_split(every)
    if unseen:
        images = unseen_images(images, (source, target), coder)
    cuts = _cuts(asked, images, coder)
    others = baselines_of(linear_map, source, target)
    (scores,) = score_models(
        [linear_map], source, target, images, coder, baselines=others, seed=seed
    )
    if samples.n is not None:
        drawn = {"score_truncation": samples.truncation_of(linear_map.record)}
        scores = replace(scores, record={**scores.record, **drawn})
    _tell_images(scores)
    probes = None
    if wanted is not None:
        fitted = codes_to_fit(linear_map, source, target, data.to_fit_on(every), coder)
        probes = probe_models(
            linear_map,
            source,
            target,
            images,
            coder,
            ids=scores.errors.ids,
            fitted=fitted,
            attributes=attributes,
            seed=seed,
        )
    groups = None
    if cuts:
        rows = find_ids(images.ids, scores.errors.ids)
        groups = scores_by_group(scores, [one.take(rows) for one in cuts], seed=seed)
    title = scores_title(linear_map, scores)
    if outputs.report is not None:
        shown = images.subset(find_ids(images.ids, scores.errors.ids[:_SHOWN]))
        moved = relocate(linear_map, source, target, shown, coder)
        outputs.add_to_report(
            lambda: fit_section(linear_map, scores, moved, probes, groups, title=title)
        )
    show_scores(scores, probes, groups, title=title, as_json=outputs.as_json)


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


def require_fitted_groups(linear_map: LinearMap, data: DataOptions, map_path: Path) -> None:
    """Without the groups of the fit, other images of its groups would count as unseen."""
    from latentmap.cli.output import warn
    from latentmap.errors import MapError

    groups = linear_map.record.get("group_by")
    if not groups or data.group_by is not None:
        return
    if data.split is not None:
        raise MapError(
            f"{map_path} was fitted on a split by the groups of {groups}, and the split "
            f"{data.split} without them holds other images of the same groups: add --group-by "
            f"{groups}"
        )
    warn(
        f"{map_path} was fitted on a split by the groups of {groups}: other images of its groups "
        f"are scored as well; add --split test --group-by {groups} to leave them out"
    )
