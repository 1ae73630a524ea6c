"""What ``latentmap fit`` finds as a section of a report: a map, several methods, or a curve."""

from __future__ import annotations

from PIL import Image

from latentmap.intervals import Estimate
from latentmap.mapping import LinearMap
from latentmap.relocation.relocating import Relocated
from latentmap.relocation.scores import FIGURES, MEANINGS, Scores
from latentmap.relocation.several_maps import LearningCurve, MethodComparison
from latentmap.report import (
    Column,
    ImageRow,
    ImageRows,
    Measure,
    Row,
    Section,
    Table,
    image_grid,
    section_id,
)
from latentmap.report.embedding import image_strip
from latentmap.report.parts import Curve

_FIGURES = {
    "r_mse": Column("R_mse", MEANINGS["r_mse"]),
    "l_mse": Column("L_mse", MEANINGS["l_mse"], "low"),
    "r2": Column("R2", MEANINGS["r2"], "high"),
    "m_mse": Column("M_mse", MEANINGS["m_mse"], "low"),
    "floor_mse": Column("floor", MEANINGS["floor_mse"]),
    "baseline_mse": Column("baseline", MEANINGS["baseline_mse"]),
    "efficiency": Column("efficiency", MEANINGS["efficiency"], "high"),
}
_OF_METHODS = ("r2", "l_mse", "m_mse", "efficiency")


def fit_section(linear_map: LinearMap, scores: Scores, examples: Relocated) -> Section:
    """A map: its scores, and the three rows of some relocated images."""
    source, target = linear_map.source.model, linear_map.target.model
    id = section_id(f"fit {source} {target}", {**linear_map.provenance, **scores.record})
    rows = [
        ("original", examples.originals, f"{len(examples.originals)} original images"),
        (f"by {source}", examples.reconstructions, f"the same, reconstructed by {source}"),
        (f"by {target}", examples.relocated, f"the same, relocated to {target}"),
    ]
    figure = ImageRows(
        f"{id}-images",
        f"{source} to {target}",
        [ImageRow(label, [image_strip(images, text)]) for label, images, text in rows],
        "Original, reconstruction by the source, image by the target from the mapped code.",
    )
    cells = [Measure.of(getattr(scores, name)) for name in FIGURES]
    table = Table("Scores", [_FIGURES[name] for name in FIGURES], [Row(cells)])
    text = (
        f"A linear map from {linear_map.source} to {linear_map.target}, by {linear_map.method}, "
        f"fitted on {scores.n_pairs:,} pairs and scored on {scores.n_test:,} images. "
        "Intervals are 95 % over images."
    )
    title = f"Map from {source} to {target} by {linear_map.method}"
    return Section(id, title, [text], [table, figure], scores.record)


def relocation_grid(moved: Relocated, source: str, target: str) -> Image.Image:
    """The three rows of a relocation: original, reconstruction by the source, image by the target
    from the mapped code. ``source`` and ``target`` are the names of the two models.
    """
    return image_grid(
        [
            ("original", moved.originals),
            (f"{source} reconstruction", moved.reconstructions),
            (f"relocated to {target}", moved.relocated),
        ]
    )


def methods_section(compared: MethodComparison) -> Section:
    """All methods between two spaces, on the same pairs and images."""
    first = compared.results[0]
    source, target = first.linear_map.source.model, first.linear_map.target.model
    columns = [Column("method"), *(_FIGURES[name] for name in _OF_METHODS)]
    columns.append(Column("seconds", "to fit, selection included"))
    rows = [
        Row(
            [
                one.linear_map.method,
                *(Measure.of(getattr(one.scores, name)) for name in _OF_METHODS),
                one.seconds,
            ]
        )
        for one in compared.results
    ]
    text = [
        f"Fitted on {first.scores.n_pairs:,} pairs, scored on {first.scores.n_test:,} images. The "
        f"floor of M_mse is {first.scores.floor_mse.value:.4f}, the baseline "
        f"{first.scores.baseline_mse.value:.4f}."
    ]
    text += [f"{name} has no map: {why}." for name, why in compared.failed.items()]
    maps = [one.linear_map.provenance for one in compared.results]
    identity = {**first.scores.record, "maps": maps, "failed": compared.failed}
    return Section(
        section_id(f"methods {source} {target}", identity),
        f"Methods from {source} to {target}",
        text,
        [Table("Methods", columns, rows)],
        # What was chosen for the first method was not chosen for the others.
        {name: value for name, value in first.scores.record.items() if name != "selection"},
    )


def curve_section(curve: LearningCurve) -> Section:
    """The scores against the number of pairs."""
    source, target = curve.source.model, curve.target.model
    columns = [Column("pairs"), Column("draws"), *(_FIGURES[name] for name in _OF_METHODS)]
    rows = [
        Row(
            [
                point.n_pairs,
                point.draws,
                *(Measure.of(Estimate(*point.figures[name])) for name in _OF_METHODS),
            ]
        )
        for point in curve.points
    ]
    text = (
        f"Maps by {curve.method}, scored on {curve.n_test:,} images. Ranges hold 95 % of the draws "
        f"of the pairs. The floor of M_mse is {curve.floor_mse:.4f}, the baseline "
        f"{curve.baseline_mse:.4f}."
    )
    return Section(
        section_id(f"curve {source} {target}", curve.to_json()),
        f"Learning curve from {source} to {target} by {curve.method}",
        [text],
        [*_curves(curve), Table("Scores by number of pairs", columns, rows)],
        curve.record,
    )


def _curves(curve: LearningCurve) -> list[Curve]:
    """R2 and efficiency, where defined at every number of pairs."""
    curves = []
    for name, title in (("r2", "R2 of the codes"), ("efficiency", "Efficiency of the images")):
        measures = [Measure.of(Estimate(*point.figures[name])) for point in curve.points]
        if all(one.value is not None for one in measures):
            first, last = curve.points[0], curve.points[-1]
            text = (
                f"{title}: {first.figures[name][0]:.3f} with {first.n_pairs:,} pairs, "
                f"{last.figures[name][0]:.3f} with {last.n_pairs:,}"
            )
            at = [point.n_pairs for point in curve.points]
            curves.append(Curve(title, "pairs", at, measures, text))
    return curves
