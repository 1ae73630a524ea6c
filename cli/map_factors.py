"""latentmap map factors: what two spaces share."""

from __future__ import annotations

import functools
from pathlib import Path

import click

from latentmap.cli.code_options import CodeOptions, code_options
from latentmap.cli.data_options import DataOptions, data_options
from latentmap.cli.declaring import Command, number_option
from latentmap.cli.map_options import dst_override, map_argument, src_override
from latentmap.cli.options import CoderOptions, Loading, coder_options, loading_options, seed_option
from latentmap.cli.output import say, show_result
from latentmap.cli.outputs import Outputs, figure_option, result_outputs


@click.command(cls=Command)
@map_argument
@src_override
@dst_override
@functools.partial(data_options, required=False)  # Files of codes do without images.
@code_options
@number_option(
    "-n", "--factors", "n_factors", default=4, help="How many factors the picture shows."
)
@number_option(
    "--permutations",
    least=19,
    default=99,
    help="Random pairings that the number of shared factors is held against.",
)
@number_option(
    "--folds",
    least=2,
    default=5,
    metavar="K",
    help="For the held-out curve; the groups of --group-by stay together.",
)
@seed_option
@functools.partial(coder_options, recorded=True)
@loading_options
@result_outputs(figure_option("A picture: both models' images along each factor, side by side."))
def factors(
    map_path: Path,
    src: str | None,
    dst: str | None,
    data: DataOptions,
    n_factors: int,
    permutations: int,
    folds: int,
    seed: int,
    coding: CoderOptions,
    loading: Loading,
    outputs: Outputs,
    codes: CodeOptions,
) -> None:
    """Show the factors that two spaces share: pairs of directions, one in each.

    They are ordered by the share of the target's variance that they carry. How many there are is
    judged on held-out pairs, against random pairings of the same codes.

    Of a map of patches they are of patches and cells. The picture moves all cells of the mean codes
    alike, and how many are shared is judged on codes about their mean at each position.

    \b
    Examples:
      latentmap map factors vae-to-svae.safetensors --data faces.zip --figure factors.png
      latentmap map factors clip-to-dino.safetensors
    """
    from latentmap.cli.map_options import load_models_of
    from latentmap.cli.output import print_json
    from latentmap.mapping import LinearMap, shared_factors
    from latentmap.mapping.shared_rank import shared_rank
    from latentmap.mapping.tables import factors_table
    from latentmap.relocation import require_models, training_pairs
    from latentmap.relocation.factors import factors_figure
    from latentmap.report import as_text

    outputs.check()
    linear_map = LinearMap.load(map_path)
    references = (src or linear_map.source_reference, dst or linear_map.target_reference)
    of_codes = codes.check(references, data)
    if data.path is None and not of_codes:
        raise click.UsageError("give the images that the factors are held against (--data)")
    moments = linear_map.require_moments("the factors of a map")
    source, target = load_models_of(
        linear_map, src=src, dst=dst, map_path=map_path, loading=loading
    )
    outputs.require_images(source, target)
    if of_codes:
        images, (source, target) = codes.images_of((source, target), data)
        images = data.limited(images, scored=False)
    else:
        source, target = codes.named(data.complete((source, target)), data)
        images = data.open_to_fit(scored=False)
    require_models(linear_map, source, target)
    coder = coding.open(data, recorded=linear_map.record.get("precision"))
    training = training_pairs(source, target, images, coder, split=data.fitted_split, seed=seed)
    with coder.stage("permuting", "rounds") as progress:
        rank = shared_rank(
            training.pairs,
            folds=folds,
            groups=training.groups,
            penalty=linear_map.penalty or 0.0,
            permutations=permutations,
            patches=linear_map.patches,
            seed=seed,
            progress=progress,
        )
    found = shared_factors(moments, linear_map.weight)
    if outputs.figure is not None:
        picture = factors_figure(
            found,
            moments,
            source,
            target,
            n_factors=n_factors,
            patches=linear_map.patches,
            pairs=training.pairs,
        )
        outputs.draw(picture, outputs.figure)
    if outputs.as_json:
        print_json({"shared": rank.to_json(), "factors": found.to_json()})
        return
    show_result(as_text([factors_table(found, rank)]))
    if outputs.figure is not None:
        say(f"{outputs.figure}: {min(n_factors, len(found.share))} factors")
