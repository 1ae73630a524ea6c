"""How often the ratio of a group to the rest holds the truth, and what is told of equal groups.

    python benchmarks/group_ratios.py [--rounds 2000] [--images 300] [--group 30] [--per-unit 1]

Images of the group are 1.8 times as hard for any model, and scatter more; a model is no worse on
them than its reference. `coverage` is that of the 95 % interval of the ratio of errors over the
reference's, `size` how often p is at most 5 % where the truth is 1, and `blind` how often the
verdict is; `any` is the same of any of 12 random groups, corrected. With several images a unit,
these share half of what makes them hard. All numbers are percent; 2000 rounds have a standard error
of 0.5.
"""

from __future__ import annotations

import argparse
from collections import Counter

import numpy as np

from latentmap.chances import SIGNIFICANCE
from latentmap.expressiveness.blindness import verdict
from latentmap.images.attribute_groups import ImageGroups
from latentmap.images.group_ratios import group_ratios

HARD, GROUPS = 1.8, 12


def draw(seed: int, n: int, group: int, per_unit: int) -> tuple[np.ndarray, ...]:
    """The group of each image, its errors, those of the reference, and its unit, ``(n,)``."""
    generator = np.random.default_rng(seed)
    units = np.arange(n) // per_unit
    inside = np.isin(np.arange(n), generator.choice(n, group, replace=False))
    scatter = np.where(inside, generator.lognormal(0, 0.3, n), 1) * np.where(inside, HARD, 1)
    hardness = scatter * generator.lognormal(0, 0.4, n)
    alike = generator.lognormal(0, 0.2, n)[units]
    errors = hardness * alike * generator.lognormal(0, 0.2, n)
    return (~inside).astype(int), errors, 0.5 * hardness * generator.lognormal(0, 0.15, n), units


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--group", type=int, default=30)
    parser.add_argument("--per-unit", type=int, default=1)
    given = parser.parse_args()
    found: Counter[str] = Counter()
    for seed in range(given.rounds):
        number, errors, reference, units = draw(seed, given.images, given.group, given.per_unit)
        two = ImageGroups("Hat", ("Hat", "not Hat"), number)
        hat, _ = group_ratios(two, errors, reference, units=units, seed=seed)
        found["coverage"] += hat.ratio.low <= 1 <= hat.ratio.high
        found["size"] += hat.p_value is not None and hat.p_value <= SIGNIFICANCE
        found["blind"] += verdict(hat) == "blind"
        some = np.random.default_rng(seed).permutation(np.arange(given.images) % GROUPS)
        many = ImageGroups("kind", tuple(map(str, range(GROUPS))), some)
        told = group_ratios(many, errors, reference, units=units, seed=seed)
        found["any"] += any(one.differs for one in told)
    print(
        f"{given.group} of {given.images} images, {given.per_unit} a unit, {given.rounds} rounds:"
    )
    print({name: round(100 * count / given.rounds, 1) for name, count in found.items()})


if __name__ == "__main__":
    main()
