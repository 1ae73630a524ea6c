"""What ``latentmap fit`` finds as a section of a report: a map, several methods, or a curve."""

from __future__ import annotations

from latentmap.mapping import LinearMap
from latentmap.relocation.curve_baselines import best_level
from latentmap.relocation.curve_table import figure_titles, level_in_words, verdict_of
from latentmap.relocation.distances import shares_in_words
from latentmap.relocation.group_tables import cut_tables
from latentmap.relocation.groups import ScoresByGroup
from latentmap.relocation.learning import LearningCurve
from latentmap.relocation.probes import Probes
from latentmap.relocation.relocating import Relocated
from latentmap.relocation.scores import Scores
from latentmap.relocation.several_maps import MethodComparison
from latentmap.report import (
    ImageGrid,
    ImageRow,
    ImageRows,
    Measure,
    Section,
    image_grid,
    section_id,
    titled,
)
from latentmap.report.embedding import image_strip
from latentmap.report.parts import Curve
from latentmap.report.words import SCORED_CHOICE


def fit_section(
    linear_map: LinearMap,
    scores: Scores,
    examples: Relocated,
    probes: Probes | None = None,
    groups: ScoresByGroup | None = None,
    *,
    title: str,
) -> Section:
    """A map, with the ``title`` that says whether it was just fitted: its scores, the same by
    ``groups`` of the images, what ``probes`` tell of it, and the rows of some relocated images,
    where the target decodes.
    """
    source, target = linear_map.source.model, linear_map.target.model
    by = {} if groups is None else {"by": [one.by for one in groups]}
    id = section_id(f"fit {source} {target}", {**linear_map.provenance, **scores.record, **by})
    text = f"A linear map from {linear_map}. Intervals are 95 % over images, or their groups."
    tables = [
        *scores.tables(),
        *([] if groups is None else cut_tables(groups)),
        *([] if probes is None else probes.tables()),
    ]
    if examples.relocated is None:
        return Section(id, title, [text], tables, scores.record)
    rows = [
        ("original", examples.originals, f"{len(examples.originals)} original images"),
        (f"by {source}", examples.reconstructions, f"the same, reconstructed by {source}"),
        (f"by {target}", examples.relocated, f"the same, relocated to {target}"),
    ]
    by_source = ", reconstruction by the source" * (examples.reconstructions is not None)
    shares = ", ".join(shares_in_words(examples.distances))
    nearer = f" Of the fitted codes are nearer than that of each: {shares}." if shares else ""
    figure = ImageRows(
        f"{id}-images",
        f"{source} to {target}",
        [
            ImageRow(
                label,
                [image_strip(images, text)],
                examples.ids if images is examples.originals else (),
            )
            for label, images, text in rows
            if images is not None
        ],
        f"Original{by_source}, image by the target from the mapped code.{nearer}",
    )
    return Section(id, title, [text], [*tables, figure], scores.record)


def fit_title(linear_map: LinearMap, scores: Scores) -> str:
    """What a map is called in the result of its fit."""
    way = f"{linear_map.source.model} to {linear_map.target.model}"
    return titled(f"Map from {way} by {linear_map.method}", scores.record)


def scores_title(linear_map: LinearMap, scores: Scores) -> str:
    """What the scores of a map on other images are called."""
    way = f"{linear_map.source.model} to {linear_map.target.model}"
    return titled(f"Scores from {way}", scores.record, SCORED_CHOICE)


def relocation_grid(moved: Relocated, source: str, target: str) -> ImageGrid:
    """The three rows of a relocation: original, reconstruction by the source, image by the target
    from the mapped code; without that of a model that has no decoder. Below each stands the share
    of the fitted codes that are nearer than its code, where that is known. ``source`` and
    ``target`` are the names of the two models.
    """
    rows = [
        ("original", moved.originals),
        (f"{source} reconstruction", moved.reconstructions),
        (f"relocated to {target}", moved.relocated),
    ]
    shares = shares_in_words(moved.distances)
    return image_grid(
        [(label, images) for label, images in rows if images is not None],
        below=("fitted codes that are nearer", shares) if shares else None,
    )


def methods_section(compared: MethodComparison) -> Section:
    """All methods between two spaces, on the same pairs and images."""
    first = compared.results[0]
    source, target = first.linear_map.source.model, first.linear_map.target.model
    text = [f"{name} has no map: {why}." for name, why in compared.failed.items()]
    maps = [one.linear_map.provenance for one in compared.results]
    identity = {**first.scores.record, "maps": maps, "failed": compared.failed}
    return Section(
        section_id(f"methods {source} {target}", identity),
        methods_title(compared),
        text,
        compared.tables(),
        # What was chosen for the first method was not chosen for the others.
        {name: value for name, value in first.scores.record.items() if name != "selection"},
    )


def methods_title(compared: MethodComparison) -> str:
    """What a comparison of methods is called."""
    first = compared.results[0]
    source, target = first.linear_map.source.model, first.linear_map.target.model
    return titled(f"Methods from {source} to {target}", first.scores.record)


def curve_section(curve: LearningCurve) -> Section:
    """The scores against the number of pairs, and how many are enough."""
    source, target = curve.source.model, curve.target.model
    return Section(
        section_id(f"curve {source} {target}", curve.to_json()),
        curve_title(curve),
        [],
        [*_curves(curve), *curve.tables()],
        curve.record,
    )


def curve_title(curve: LearningCurve) -> str:
    """What a learning curve is called."""
    way = f"{curve.source.model} to {curve.target.model}"
    return titled(f"Learning curve from {way} by {curve.method}", curve.record)


def _curves(curve: LearningCurve) -> list[Curve]:
    """R2 and efficiency, where defined at every number of pairs."""
    curves = []
    for name, title in figure_titles(curve).items():
        measures = [Measure.of(point.figures[name]) for point in curve.points]
        first, last = curve.points[0], curve.points[-1]
        text = (
            f"{title}: {first.figures[name].value:.3f} with {first.n_pairs:,} pairs, "
            f"{last.figures[name].value:.3f} with {last.n_pairs:,}"
        )
        at = [point.n_pairs for point in curve.points]
        said = [*verdict_of(curve, name), *level_in_words(curve, name)]
        best = best_level(curve.baselines, name)
        level = None
        if best is not None:
            level = best.figures[name].value
            text += f"; dashed the best baseline, {level:.3f}"
            said.append("dashed: the best baseline")
        curves.append(Curve(title, "pairs", at, measures, text, "; ".join(said), level))
    return curves
