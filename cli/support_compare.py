"""latentmap support compare: are support sets better to fit a map on than random images."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import click

from latentmap.cli.data_options import DataOptions, data_options
from latentmap.cli.declaring import Command, number_option, together
from latentmap.cli.fit_request import dst_option, src_option
from latentmap.cli.lists import NameList, NumberList
from latentmap.cli.options import (
    CoderOptions,
    Loading,
    coder_options,
    loading_options,
    refuse_given,
    seed_option,
    variables_option,
)
from latentmap.cli.output import say, show_result
from latentmap.cli.outputs import Outputs, figure_option, result_outputs
from latentmap.cli.sector_options import center_option, threshold_option
from latentmap.cli.support_build import STRATEGIES
from latentmap.cli.unseen import tell_seen, unseen_images, unseen_option
from latentmap.mapping.methods import METHODS

if TYPE_CHECKING:
    from latentmap.support import StrategyOptions


@dataclass(frozen=True)
class AskedSets:
    """Which sets are compared, as given on the command line; see ``StrategyOptions``."""

    sizes: tuple[int, ...]
    strategies: tuple[Any, ...]
    draws: int
    k: int | None
    threshold: float | Literal["auto"]
    center: Any
    chosen_in: Literal["src", "dst"]
    n_images: int

    def to_library(self) -> StrategyOptions:
        """The same for the library."""
        from latentmap.support import StrategyOptions

        given: Any = asdict(self)
        given["space"] = {"src": "source", "dst": "target"}[given.pop("chosen_in")]
        return StrategyOptions(**given)


sets_options = together(
    "asked",
    AskedSets,
    click.option(
        "-n",
        "--members",
        "sizes",
        default="64,128,150,256,512",
        show_default=True,
        type=NumberList("numbers of images", "64,128,256", least=2),
        metavar="N,N,...",
        help="How many images the sets have.",
    ),
    click.option(
        "--strategies",
        type=NameList("strategy", STRATEGIES),
        default="all",
        metavar="NAME,NAME,...",
        help=f"How the sets are chosen, of {', '.join(STRATEGIES)}; random images are always among "
        "them.  [default: all]",
    ),
    number_option(
        "--draws",
        least=2,
        default=5,
        help="How often each strategy chooses a set of each size, by other seeds.",
    ),
    variables_option,
    threshold_option(
        "For sectors: how far from the center a member of a sector lies, see `support build`."
    ),
    center_option,
    click.option(
        "--in",
        "chosen_in",
        type=click.Choice(("src", "dst")),
        default="src",
        show_default=True,
        help="The model in whose space sets are chosen.",
    ),
    number_option(
        "--images",
        "n_images",
        least=2,
        default=256,
        help="Test images that every map relocates, for the efficiency; R2 is of all.",
    ),
)


@click.command(cls=Command)
@src_option
@dst_option
@data_options
@unseen_option
@sets_options
@click.option(
    "--method",
    type=click.Choice(tuple(METHODS)),
    default="ridge",
    show_default=True,
    metavar="NAME",
    help=f"How maps are fitted: {', '.join(METHODS)}.",
)
@seed_option
@coder_options
@loading_options
@result_outputs(figure_option("A picture of R2 and efficiency against the size."))
@click.pass_context
def compare(
    context: click.Context,
    src: str,
    dst: str,
    data: DataOptions,
    unseen: bool,
    asked: AskedSets,
    method: str,
    seed: int,
    coding: CoderOptions,
    loading: Loading,
    outputs: Outputs,
) -> None:
    """Compare maps fitted on support sets with maps fitted on as many random images.

    Sets are chosen among the images of the split train (or --split val), several times by other
    seeds; all maps are scored on the split test. Error bars are 95 % intervals of the mean over
    these draws. Where a size is below 2^K, sectors use fewer leading variables.

    \b
    Examples:
      latentmap support compare --src svae.safetensors --dst vae.safetensors --data faces.zip
      latentmap support compare --src vae.safetensors --dst svae.safetensors --data faces.zip \\
          --in dst --members 128,256 --strategies sectors,doptimal --figure sets.png
    """
    from latentmap.cli.output import (
        command_line,
        print_json,
        tell_left_out,
        warn,
        warn_skipped,
    )
    from latentmap.mapping import FitOptions
    from latentmap.relocation import training_pairs
    from latentmap.report import titled
    from latentmap.support import compare_strategies
    from latentmap.support.curves import support_plot

    if "sectors" not in asked.strategies:
        refuse_given(
            context, ("k", "threshold", "center"), "where sectors are not among the --strategies"
        )
    outputs.check(plot=True)
    source, target = data.complete(loading.all([src, dst]))
    model = source if asked.chosen_in == "src" else target
    coder = coding.open(data)
    images = data.open_to_fit()
    test = images.split("test")
    if unseen:
        test = unseen_images(test, (source, target), coder)
    options = asked.to_library()
    options.check(model, len(images.split(data.fitted_split)))
    training = training_pairs(source, target, images, coder, split=data.fitted_split, seed=seed)
    compared = compare_strategies(
        training,
        test,
        coder,
        options=options,
        fitting=FitOptions(method=method),
        seed=seed,
        record={"command": command_line(), "group_by": data.group_by and data.group_by.name},
    )
    warn_skipped(compared.record["fit_skipped"])
    tell_left_out(compared.record["left_out"])
    for warning in compared.record["warnings"]:
        warn(warning)
    tell_seen(compared.record["n_seen"], compared.n_test)
    way = f"{source.name} to {target.name}, sets chosen in {model.name}"
    title = titled(way, compared.record)
    if outputs.figure is not None:
        outputs.draw(support_plot(compared, title=title), outputs.figure)
    if outputs.as_json:
        print_json(compared.to_json())
        return
    say(titled(f"{way}, by {compared.record['method']}", compared.record))
    show_result(compared)
