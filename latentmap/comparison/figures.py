"""The images of two compared models: relocated ones, and walks along shared directions."""

from __future__ import annotations

from latentmap.comparison.result import ModelComparison, ModelPair
from latentmap.relocation.scored_figures import figures_in_words
from latentmap.report import ImageRow, ImageRows
from latentmap.report.embedding import image_strip
from latentmap.report.words import in_percent, pair_id


def relocation_rows(result: ModelComparison, pair: ModelPair) -> ImageRows:
    """The three rows: original, reconstruction by the source, image by the target; without that of
    a model that has no decoder.
    """
    i, j = pair.source, pair.target
    source, target = result.models[i].label, result.models[j].label
    examples = result.examples
    n = len(examples.ids)
    rows = [
        ("original", examples.originals[i], f"{n} original images as {source} sees them"),
        (f"by {source}", examples.reconstructions[i], f"the same, reconstructed by {source}"),
        (
            f"by {target}",
            examples.relocated.get((i, j)),
            f"the same, decoded by {target} from mapped codes of {source}",
        ),
    ]
    return ImageRows(
        pair_id(i, j),
        f"{source} to {target}",
        [
            ImageRow(
                label,
                [image_strip(images, text)],
                examples.ids.tolist() if label == "original" else (),
            )
            for label, images, text in rows
            if images is not None
        ],
        f"type {pair.kind}, {figures_in_words(pair.figures, 2)}",
    )


def factor_rows(result: ModelComparison, pair: ModelPair) -> ImageRows:
    """Walks along the leading shared directions, source at the left, target at the right, where
    they decode.
    """
    source, target = result.models[pair.source].label, result.models[pair.target].label
    share, correlation = pair.factors.share, pair.factors.correlation
    walks = {source: pair.source_walk, target: pair.target_walk}
    walks = {name: walk for name, walk in walks.items() if len(walk)}
    rows = []
    for number in range(min(map(len, walks.values()), default=0)):
        images = [
            image_strip(walk[number], f"{name} along shared direction {number + 1}")
            for name, walk in walks.items()
        ]
        label = f"{in_percent(float(share[number]))}, r {float(correlation[number]):.2f}"
        rows.append(ImageRow(label, images))
    shown = "the share of the target's variance, and the correlation of both sides"
    return ImageRows(
        f"{pair_id(pair.source, pair.target)}-factors",
        "Shared directions",
        rows,
        f"With each, {shown}." if rows else "There are none to be seen.",
        tuple(walks),
    )
