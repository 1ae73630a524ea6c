"""What maps of a learning curve miss, and those of baselines beside them, on the same images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from latentmap.cache import Coder
from latentmap.images import ImageSource
from latentmap.images.finding import positions_of
from latentmap.mapping import LinearMap
from latentmap.relocation.baselines import Baseline, codes_beside
from latentmap.relocation.curve_figures import CurveFigures
from latentmap.relocation.draws import Missed, in_turn, mapped_in_turn, turns_of
from latentmap.relocation.judged import Judged
from latentmap.relocation.measuring import Measured, measure
from latentmap.relocation.measuring_codes import AsTheyAre


def scored_curve(
    maps: Mapping[int, Sequence[LinearMap]],
    baselines: Sequence[Baseline],
    judged: Judged,
    images: ImageSource,
    coder: Coder,
    n_images: int,
    seed: int,
) -> tuple[Measured, CurveFigures]:
    """What the last map gives of codes, and the figures of the maps of each size, and after these
    of each baseline.
    """
    # In the order in which images are read, which is that of all errors then.
    pairs = judged.pairs.take(np.argsort(positions_of(images, judged.pairs.ids)))
    source, target = judged.source, judged.target
    beside = [codes_beside(one.model, pairs, images, coder) for one in baselines]
    found = measure(
        [],
        pairs,
        source,
        target,
        images,
        others=[
            *((one, pairs.source) for of in maps.values() for one in of),
            *((one.linear_map, codes) for one, codes in zip(baselines, beside, strict=True)),
        ],
        decoding=(),
    )
    codes, rest = [], iter(found)
    for of in [*maps.values(), *([one.linear_map] for one in baselines)]:
        mine = np.stack([next(rest).errors.code for _ in of])
        codes.append(Missed(mine.mean(0), mine.mean(1)))
    few = np.random.default_rng(seed).permutation(len(pairs))[:n_images]
    few = np.sort(few)
    shown = pairs.take(few)
    turns = [turns_of(len(shown), len(of), seed=seed) for of in maps.values()]
    with coder.stage("scoring") as progress:
        decoded = measure(
            [],
            shown,
            source,
            target,
            images,
            others=[
                *(
                    (AsTheyAre(), mapped_in_turn(of, shown.source, target.space, turn))
                    for of, turn in zip(maps.values(), turns, strict=True)
                ),
                *(
                    (one.linear_map, mine.take(few))
                    for one, mine in zip(baselines, beside, strict=True)
                ),
            ],
            decoding=("target",),
            batch_size=coder.batch_size,
            progress=progress,
        )
    rows, levels = (
        [one.errors.relocation for one in part]
        for part in (decoded[: len(maps)], decoded[len(maps) :])
    )
    bounds = [decoded[-1].errors.floor, decoded[-1].errors.baseline]
    moved = [
        in_turn(row, turn, np.mean([*bounds, *rows[:number], *rows[number + 1 :]], axis=0))
        for number, (row, turn) in enumerate(zip(rows, turns, strict=True))
    ]
    moved += [Missed(row, row.mean()[None]) for row in levels]
    figures = CurveFigures.of(found[0].errors, decoded[0].errors, codes, moved, seed)
    return found[sum(map(len, maps.values())) - 1], figures
