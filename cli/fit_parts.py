"""What `latentmap fit` and `evaluate` do where workers share the work: all from moments."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from latentmap.cli.by_parts import PartRun, check_parts, fitted_split, made_of
from latentmap.cli.fit_options import check_choices, check_spaces
from latentmap.cli.output import print_json, say, show_result, warn

if TYPE_CHECKING:
    from latentmap.cli.fit_request import FitRequest
    from latentmap.cli.outputs import Outputs
    from latentmap.cli.score_request import ScoreRequest
    from latentmap.cli.workers import Workers
    from latentmap.mapping.options import FitOptions
    from latentmap.relocation.part_fits import PartScores


def fit_by_workers(
    context: click.Context,
    request: FitRequest,
    options: FitOptions,
    workers: Workers,
    outputs: Outputs,
) -> None:
    """The map and its errors on the codes of the split test."""
    from latentmap.images.part_splits import part_splits
    from latentmap.mapping.fit_moments import choices_by_moments
    from latentmap.mapping.held_out_error import HELD_OUT
    from latentmap.mapping.patches import patches_between
    from latentmap.relocation.part_fits import fit_parts, score_parts
    from latentmap.relocation.part_task import part_task

    check_parts(context, request.data, workers, request.loading.device)
    check_choices(context, options)
    outputs.check()
    split = fitted_split(request.data)
    run = PartRun(
        (request.src, request.dst), request.data, request.coding, request.loading, workers
    )
    models, images = run.open()
    source, target = models
    check_spaces(options, source, target)
    patches = patches_between(source.space, target.space, options.patch)
    by_folds = any(one == "kfold" for one, _ in choices_by_moments(options, patches))
    splits = part_splits(images)
    entries = run.entries(models, images)
    task = part_task(
        entries,
        splits=(split, "test"),
        split_rule=splits.key,
        folds=options.folds if by_folds else 1,
        patches=patches,
        precision=options.moments,
    )
    with run.moments(task, images) as moments:
        moments.all("test")  # Refuses before anything is fitted.
        linear_map = fit_parts(
            moments,
            entries,
            options,
            split=split,
            patches=patches,
            references=request.references(source, target),
            record={**made_of(request.data, images, splits), "seed": request.seed},
        )
        scores = score_parts(linear_map, moments, seed=request.seed)
        if patches is None:
            kept = {HELD_OUT: scores.held_out.to_json()}
            linear_map = replace(linear_map, record={**linear_map.record, **kept})
        if outputs.out is not None:
            linear_map.save(outputs.out)
    if not outputs.as_json:
        say(linear_map if outputs.out is None else f"{outputs.out}: {linear_map}")
    _say(scores, outputs)
    if not outputs.as_json:
        path = "MAP" if outputs.out is None else shlex.quote(str(outputs.out))
        data = shlex.quote(str(request.data.path))
        say(
            "these are errors of codes alone; of some images, decoded: "
            f"latentmap evaluate {path} --data {data} --split test --limit 1000"
        )


def evaluate_by_workers(
    context: click.Context, request: ScoreRequest, workers: Workers, outputs: Outputs
) -> None:
    """The errors of a map on the codes of a split, by default test."""
    from latentmap.cli.output import tell_left_out
    from latentmap.codes import FITTED
    from latentmap.errors import MapError
    from latentmap.images.part_splits import part_splits
    from latentmap.mapping.map_checks import UNKEPT
    from latentmap.relocation import require_models
    from latentmap.relocation.part_fits import score_parts
    from latentmap.relocation.part_task import part_task

    data, map_path = request.data, request.map_path
    check_parts(context, data, workers, request.loading.device)
    outputs.check()
    linear_map = request.map()
    run = PartRun(
        request.references(linear_map),
        data,
        request.coding,
        request.loading,
        workers,
        recorded=linear_map.record.get("precision"),
    )
    split = data.split or "test"
    if linear_map.record.get(UNKEPT):
        if split != "test":
            raise MapError(
                f"{map_path} was fitted on too many images to keep which they were, and so those "
                f"of the split {split} cannot be left out: score the split test"
            )
        warn(
            f"{map_path} was fitted on too many images to keep which they were: score it on the "
            "same data, whose split test it has not seen, or on data of which it has seen nothing"
        )
    models, images = run.open()
    require_models(linear_map, *models)
    splits = part_splits(images)
    entries = run.entries(models, images)
    without = linear_map.train_digests
    task = part_task(
        entries,
        splits=(split,),
        split_rule=splits.key,
        patches=linear_map.patches,
        without=without,
    )
    made = made_of(data, images, splits)
    with run.moments(task, images, without=without) as moments:
        scores = score_parts(linear_map, moments, split=split, seed=request.seed, record=made)
    if scores.record["n_left_out"]:
        tell_left_out({FITTED: scores.record["n_left_out"]})
    _say(scores, outputs)


def _say(scores: PartScores, outputs: Outputs) -> None:
    if outputs.as_json:
        print_json(scores.to_json())
        return
    what = f"{scores.n_test:,} images of the split {scores.record['scored_split']}"
    show_result(scores, title=f"Errors of codes on {what}, fitted on {scores.n_pairs:,}")
