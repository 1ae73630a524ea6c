"""How hard a set is for a generator, beside random real images, and what follows from that.

The error of other images over that of a generator's own says how well the own ones are reproduced.
Whether it can make a set is told by random images of the same data: the set is harder than these or
it is not, and may be so because its images lie far from the mean image, differ much among
themselves, or are hard for any model. So the errors are also held against these. Shapes: ``n``
images of a set.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from latentmap.expressiveness.blindness import EXCESS
from latentmap.expressiveness.ratios import ratio_in_words, ratio_of_shares, share_of
from latentmap.intervals import Estimate

PLAIN = "plain"
Verdict = Literal["blind", "harder", "explained", "not told apart", "easier"]
# What errors are held against, and why a set that is harder is no harder over that.
WHOLES = {
    "mean_image": "how far its images lie from the mean image",
    "variance": "how much its images differ",
    "reference": "how hard the reference model finds them",
}


@dataclass(frozen=True, eq=False)
class Held:
    """Errors of a set and what they are held against.

    ``errors`` ``(n,)`` are those by its name: of the ``network``, the ``limit`` inside the range,
    and the limit ``anywhere``. ``wholes`` ``(n,)`` are, of each image, the error of the mean of the
    random images (``mean_image``), the squared difference from the mean of its own set
    (``variance``), and the error of the encoder (``reference``); what is not known is missing.
    ``units`` ``(n,)`` are those of the images.
    """

    errors: Mapping[str, np.ndarray]
    wholes: Mapping[str, np.ndarray]
    units: np.ndarray

    def take(self, index: np.ndarray) -> Held:
        """The same of the images at ``index``."""
        errors, wholes = (
            {name: values[index] for name, values in of.items()}
            for of in (self.errors, self.wholes)
        )
        return Held(errors, wholes, self.units[index])

    @property
    def decisive(self) -> str:
        """The error that says what the generator can make: its limit, where it was searched."""
        return "limit" if "limit" in self.errors else next(iter(self.errors))

    @property
    def n_units(self) -> int:
        """How many images, or groups of them, there are."""
        return len(np.unique(self.units))

    def shares(self, *, seed: int = 0) -> dict[str, dict[str, Estimate]]:
        """Each error over each whole."""
        return {
            kind: {
                name: share_of(mse, whole, self.units, seed=seed)
                for name, whole in self.wholes.items()
            }
            for kind, mse in self.errors.items()
        }


@dataclass(frozen=True, eq=False)
class Difficulty:
    """How many times as hard a set is as the random images ``beside`` it: its mean error over
    theirs, ``plain``, and the same of errors over what they are held against (see ``Held``).
    """

    beside: str
    ratios: Mapping[str, Estimate]

    @property
    def verdict(self) -> Verdict:
        """What follows.

        ``easier`` or ``not told apart``: the interval of the plain ratio is below 1, or holds it.
        Else the set is harder; ``explained`` when over one of the wholes it is not, that is, when
        the interval of that ratio reaches down to 1; ``blind`` when every ratio is at least 1.5;
        and ``harder`` when it is less than that.
        """
        plain = self.ratios[PLAIN]
        if plain.high < 1:
            return "easier"
        if not plain.low > 1:
            return "not told apart"
        if not all(one.low > 1 for one in self.ratios.values()):
            return "explained"
        return "blind" if all(one.value >= EXCESS for one in self.ratios.values()) else "harder"

    @property
    def excludes_blindness(self) -> bool:
        """Whether the interval of a ratio stays below 1.5; else more images might tell that the
        generator is blind to the set.
        """
        return any(one.high < EXCESS for one in self.ratios.values())

    @property
    def explained_by(self) -> list[str]:
        """The wholes over which the set is not told to be harder."""
        return [name for name, one in self.ratios.items() if name != PLAIN and not one.low > 1]

    def to_json(self) -> dict[str, Any]:
        """All of it; the ratio over a whole as ``over_`` its name."""
        figures: dict[str, Any] = self.ratios[PLAIN].to_json("ratio")
        for name, one in self.ratios.items():
            if name != PLAIN:
                figures |= one.to_json(f"over_{name}")
        return {**figures, "verdict": self.verdict}


def compare_difficulty(
    one: Held, random: Held, *, beside: str, seed: int = 0
) -> dict[str, Difficulty]:
    """How much harder one set is than ``random`` images, by each error that both have; the two
    are resampled each by itself.

    Example:
        >>> ones = np.ones(40)
        >>> errors = np.linspace(0.9, 1.1, 40)
        >>> random = Held({"limit": errors}, {"variance": ones}, np.arange(40))
        >>> far = Held({"limit": 2 * errors}, {"variance": 2 * ones}, np.arange(40))
        >>> compare_difficulty(far, random, beside="faces")["limit"].verdict
        'explained'
    """
    units = (one.units, random.units)
    found = {}
    for kind in one.errors.keys() & random.errors.keys():
        mse, theirs = one.errors[kind], random.errors[kind]
        wholes = {PLAIN: (np.ones_like(mse), np.ones_like(theirs))}
        for name in WHOLES:
            if name in one.wholes and name in random.wholes:
                wholes[name] = (one.wholes[name], random.wholes[name])
        ratios = {
            name: ratio_of_shares((mse, mine), (theirs, other), units=units, seed=seed)
            for name, (mine, other) in wholes.items()
        }
        found[kind] = Difficulty(beside, ratios)
    return {kind: found[kind] for kind in one.errors if kind in found}


def in_words(model: str, name: str, one: Difficulty, *, kind: str, reference: str) -> str:
    """The sentence that follows from how hard a model finds a set; ``kind`` says by which error,
    and ``reference`` names the reference model.
    """
    plain = ratio_in_words(one.ratios[PLAIN])
    by = "its network" if kind == "network" else "search inside its range"
    said = f"{model} finds {name} {plain} times as hard as {one.beside} (by {by}): "
    names = {**WHOLES, "reference": f"how hard {reference} finds them"}
    over = [f"{names[which]} ({ratio_in_words(one.ratios[which])})" for which in one.explained_by]
    rest = "not blind to it" if one.excludes_blindness else "not told to be blind to it"
    return (
        said
        + {
            "blind": "blind to it",
            "harder": f"harder by every measure, but {rest}",
            "explained": f"{rest}, since it is not told to be more than {' and '.join(over)} says",
            "not told apart": f"{rest}, since the two are not told apart",
            "easier": "not blind to it, since it is easier",
        }[one.verdict]
    )
