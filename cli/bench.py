"""latentmap bench: what a generator cannot make."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from latentmap.cli.bench_sets import BenchSets
from latentmap.cli.by_options import ask_for_groups, by_option, without_table
from latentmap.cli.data_options import DataOptions, data_options
from latentmap.cli.declaring import Command
from latentmap.cli.kinds import InputFile, Reference
from latentmap.cli.lists import NameList
from latentmap.cli.options import (
    CoderOptions,
    Loading,
    batch_size_option,
    cache_option,
    class_option,
    loading_options,
    refuse_given,
    seed_option,
    truncation_option,
)
from latentmap.cli.output import say, show_result
from latentmap.cli.outputs import Outputs, figures_option, report_option, result_outputs
from latentmap.cli.search_options import (
    METHODS,
    SearchOptions,
    decoder_precision_option,
    search_options,
)
from latentmap.cli.unseen import tell_seen, unseen_option

if TYPE_CHECKING:
    from latentmap.expressiveness import Expressiveness
    from latentmap.expressiveness.sample_distances import SampleDistances
    from latentmap.mapping import LinearMap
    from latentmap.model import Model


@click.command(cls=Command)
@click.argument("references", nargs=-1, required=True, metavar="MODEL...", type=Reference())
@click.option(
    "--set",
    "set_texts",
    type=Reference(),
    multiple=True,
    required=True,
    metavar="IMAGES",
    help="What shall be reproduced: own:256 (images of the generator itself), support.h5, or "
    "images as --data takes them, as faces.zip:256 for 256 random ones. Repeat it for several.",
)
@functools.partial(data_options, required=False)  # For support sets that hold no images.
@unseen_option
@click.option(
    "--methods",
    type=NameList("method", METHODS),
    default=(),
    metavar="NAME,NAME,...",
    help=f"How codes are found, of {', '.join(METHODS)} (a search that begins with the network).  "
    "[default: network where there is one, and search]",
)
@search_options
@click.option(
    "--encoder",
    type=Reference(),
    metavar="MODEL",
    help="Groups the images of a data set by their codes in this model, to find where a generator "
    "is blind, and measures coverage on these codes.",
)
@by_option
@click.option(
    "--distances",
    is_flag=True,
    help="Reproduce nothing: measure how far images of random codes (own:5000 says how many) are "
    "from those of the data sets, in the codes of --encoder.",
)
@click.option(
    "--map",
    "map_path",
    type=InputFile(exists=True),
    metavar="MAP",
    help="Also decode codes that this map carries from --src.",
)
@click.option(
    "--src",
    type=Reference(),
    metavar="MODEL",
    help="For --map: the model that it comes from.",
)
@class_option
@truncation_option()
@seed_option
@cache_option
@batch_size_option
@loading_options
@decoder_precision_option
@result_outputs(
    figures_option(
        "Draw images over their reproductions, and errors by sector, into this folder; with "
        "--distances images of one seed, the most and least realistic, and suspicious ones."
    ),
    report_option,
)
@click.pass_context
def bench(
    context: click.Context,
    references: tuple[str, ...],
    set_texts: tuple[str, ...],
    data: DataOptions,
    unseen: bool,
    methods: tuple[Any, ...],
    search: SearchOptions,
    encoder: str | None,
    by: tuple[tuple[str, ...], ...],
    distances: bool,
    map_path: Path | None,
    src: str | None,
    label: int | None,
    truncation: float,
    seed: int,
    cache: Path,
    batch_size: int | None,
    loading: Loading,
    precision: Any,
    outputs: Outputs,
) -> None:
    """Measure which images generators can reproduce: their own, those of a data set, a support set.

    Errors have 95 % intervals over images, or their groups. Own images can be reproduced without
    any error, so they are the calibration of the search: where it misses more than 5 % of their
    variance, what it says of others is marked unreliable.

    Whether a set is more than a generator can make, random real images tell: the first of several
    sets that is no support set, or else as many of --data as the support set has. How many times as
    hard a set is, is also given over the mean image's error, over the variance of each set, and
    over the error of --encoder; a sentence says what follows. The ratio to the error of the
    generator's own images measures these: it is left out where they are reproduced exactly.

    A search is held where 99.9 % of the generator's samples lie, and goes on beyond for images that
    need it: two limits.

    --split, --limit, --ids, --exclude, --where and --group-by choose among the images of data sets;
    own images and support sets are taken as they are.

    A sector, or a group of similar images (--encoder), is blind when it is at least 1.5 times as
    bad as the rest, and too bad for chance. With --encoder, how bad an image is, is its error over
    that of the encoder itself, where it has a decoder: some images are hard for any model.

    --by NAME says whether a generator is blind to what is known of images: per group the error,
    over that of the rest, and both over the error of --encoder; a test, corrected for all groups of
    the run; and a sentence. Images of which it is not known are in no group.

    --distances compares models, or priors of one, by their images of random codes: Fréchet and
    kernel distance from each data set, and what a model gains over the first one, paired; coverage,
    plain and clipped; diversity; realism of each image; and whether they are nearer to training
    images than to others. All of it is in the codes of --encoder, and no FID.

    \b
    Examples:
      latentmap bench gan.safetensors --set own:256 --set faces.zip:256 --split test
      latentmap bench gan.safetensors vae.safetensors --set support.h5 --data faces.zip \\
          --figures bench
      latentmap bench stylegan svae --set support.h5 --set faces.zip:256 --data faces.zip \\
          --encoder vae --methods network
      latentmap bench gan.safetensors --set faces.zip:1000 --encoder svae.safetensors
      latentmap bench stylegan --set own:256 --set faces.zip --split test --encoder svae \\
          --methods network --attributes faces.csv --by Wearing_Hat --by Male,Young
      latentmap bench vae mixture.safetensors --set own:5000 --set faces.zip:5000 \\
          --encoder vae-b --distances
    """
    from latentmap.cli.output import command_line, warn
    from latentmap.encoders.sampling import adjust
    from latentmap.expressiveness import BenchOptions
    from latentmap.expressiveness import bench as measure
    from latentmap.expressiveness.by_attribute import cut_sets
    from latentmap.expressiveness.sample_distances import compare_samples

    if (map_path is None) != (src is None):
        raise click.UsageError("--map and --src belong together: give both, or neither")
    if set(methods) == {"network"}:
        reason = "with no --methods but network, which does not search"
        refuse_given(context, ("steps", "starts"), reason)
    groups = ask_for_groups(by, data)
    data = without_table(by, data)
    asked = BenchSets.parse(context, set_texts, data, by=groups is not None)
    if distances:
        _check_distances(context, encoder, asked)
    outputs.check(plot=True)
    outputs.refuse_folder()
    models = [
        adjust(loading.one(reference), label=label, precision=precision) for reference in references
    ]
    seen_by = models if unseen else ()
    image_sets = asked.open(seed=seed, unseen_by=seen_by, beside=not distances)
    coder = CoderOptions(cache, batch_size=batch_size).open(data)
    if groups is not None:
        with coder.stage("looking at the images of groups") as progress:
            image_sets = cut_sets(image_sets, groups, progress=progress)
    seer = None if encoder is None else loading.one(encoder)
    if seer is not None and not (seer.can_decode or distances):
        warn(f"{seer.name} has no decoder: how bad an image is, is its error alone")
    record = {"command": command_line()}
    if distances and seer is not None:
        n = asked.own or len(image_sets[0].ids)
        compared = compare_samples(
            models, image_sets, coder, seer, n=n, seed=seed, truncation=truncation, record=record
        )
        _tell_distances(compared, outputs)
        return
    options = BenchOptions(
        methods=methods or None, search=search.to_library(), truncation=truncation
    )
    results = measure(
        models,
        image_sets,
        coder,
        options=replace(options, own=asked.own or options.own),
        encoder=seer,
        mapped=_mapped(map_path, src, loading),
        seed=seed,
        record=record,
    )
    _tell(results, models, outputs)


def _check_distances(context: click.Context, encoder: str | None, asked: BenchSets) -> None:
    if encoder is None:
        raise click.UsageError("--distances are of codes: say of which model (--encoder)")
    if all(name.path is None for name in asked.names):
        raise click.UsageError("--distances are from the images of a set: give one with --set")
    given = ("methods", "steps", "starts", "map_path", "src", "by")
    refuse_given(context, given, "with --distances, which reproduce nothing")


def _tell_distances(result: SampleDistances, outputs: Outputs) -> None:
    from latentmap.cli.output import print_json, warn_skipped
    from latentmap.expressiveness.sample_tables import (
        distances_section,
        distances_title,
        sample_figures,
    )

    warn_skipped(result.skipped)
    for one in result.models[0].sets:
        tell_seen(result.record["n_seen"][one.name], one.n_real, f"images of {one.name}")
    outputs.draw_all(sample_figures(result).items())
    outputs.add_to_report(lambda: distances_section(result))
    if outputs.as_json:
        print_json(result.to_json())
        return
    show_result(result, title=distances_title(result))
    if outputs.figures is not None:
        say("", f"the pictures are in {outputs.figures}")


def _mapped(
    map_path: Path | None, src: str | None, loading: Loading
) -> tuple[LinearMap, Model] | None:
    """A map and the model that it comes from."""
    from latentmap.mapping import LinearMap

    if map_path is None or src is None:
        return None
    return LinearMap.load(map_path), loading.one(src)


def _tell(results: Sequence[Expressiveness], models: Sequence[Model], outputs: Outputs) -> None:
    from latentmap.cli.output import print_json, warn, warn_skipped
    from latentmap.expressiveness.figures import bench_figures
    from latentmap.expressiveness.section import bench_section, bench_title
    from latentmap.expressiveness.tables import bench_tables
    from latentmap.report import as_text

    warn_skipped(list(dict.fromkeys(s for one in results for t in one.sets for s in t.skipped)))
    for scores in results[0].sets:
        n_seen = results[0].record["n_seen"][scores.name]
        tell_seen(n_seen, len(scores.ids), f"images of {scores.name}")
    for name, left_out in results[0].record["left_out"].items():
        warn(f"{name} has no encoder: left out {', '.join(left_out)}")
    outputs.draw_all(bench_figures(results, models))
    outputs.add_to_report(lambda: bench_section(results, models))
    if outputs.as_json:
        print_json({"generators": [result.to_json() for result in results]})
        return
    show_result(as_text(bench_tables(results)), title=bench_title(results))
    if outputs.figures is not None:
        say("", f"the pictures are in {outputs.figures}")
