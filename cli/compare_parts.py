"""What `latentmap compare` does where workers share the work: all from moments."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from latentmap.cli.by_parts import PartRun, check_parts, fitted_split, made_of
from latentmap.cli.output import print_json, say, show_result
from latentmap.cli.progress import progress_bar

if TYPE_CHECKING:
    from latentmap.cli.compare_request import CompareRequest
    from latentmap.cli.outputs import Outputs
    from latentmap.cli.workers import Workers


def compare_by_workers(
    context: click.Context, request: CompareRequest, workers: Workers, outputs: Outputs
) -> None:
    """The maps between all spaces, and how alike these are."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped, unused-ignore]

    from latentmap.comparison.models import require_different
    from latentmap.comparison.part_comparison import compare_parts, require_flat
    from latentmap.images.part_splits import part_splits
    from latentmap.relocation.part_task import part_task

    data = request.data
    check_parts(context, data, workers, request.loading.device)
    split = fitted_split(data)
    run = PartRun(request.references, data, request.coding, request.loading, workers)
    models, images = run.open()
    require_different(models)
    splits = part_splits(images)
    entries = run.entries(models, images)
    require_flat(entries)
    task = part_task(entries, splits=(split, "test"), split_rule=splits.key, norms=True)
    with run.moments(task, images) as moments:
        # As in ``compare_models``: two threads wait for each other in work this small.
        with progress_bar("comparing spaces", "steps") as progress, threadpool_limits(1):
            result = compare_parts(
                moments,
                entries,
                names=[model.name for model in models],
                split=split,
                seed=request.seed,
                record=made_of(data, images, splits),
                progress=progress,
            )
    if outputs.as_json:
        print_json(result.to_json())
        return
    what = f"{result.n_test:,} images of the split test, maps fitted on {result.n_fit:,}"
    show_result(result, title=f"Spaces compared on {what}")
    say(
        "of all images, from sums of their codes alone; what is decoded, chance and neighbours are "
        "told of some of them, without --workers"
    )
