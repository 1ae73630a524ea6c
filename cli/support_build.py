"""latentmap support build: a few real images far apart in a model's latent space."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import click

from latentmap.cli.data_options import DataOptions, data_options
from latentmap.cli.declaring import (
    Command,
    number_option,
    output_option,
    together,
)
from latentmap.cli.kinds import Reference
from latentmap.cli.lists import NumberList
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
from latentmap.cli.outputs import Outputs, result_outputs
from latentmap.cli.sector_options import center_option, threshold_option

# A test compares these with the library's own list, which cannot be imported here without torch.
STRATEGIES = ("sectors", "random", "farthest", "kmeans", "doptimal", "leverage")


@dataclass(frozen=True)
class AskedSet:
    """How the set is built, as given on the command line; see ``SupportOptions``."""

    strategy: Any
    k: int | None
    variables: tuple[int, ...] | None
    threshold: float | Literal["auto"]
    size: int | None
    strict: bool
    center: Any
    with_images: bool

    def check(self, context: click.Context) -> None:
        """Refuses options that have no effect beside others.

        Raises:
            click.UsageError: some were given.
        """
        if self.k is not None and self.variables is not None:
            raise click.UsageError(
                "--leading are the variables: leave out --variables, their number"
            )
        if self.strategy != "sectors":
            rival = f"with --strategy {self.strategy}"
            refuse_given(context, ["strict"], f"{rival}, which does not go by sectors")
            if self.variables is None:
                reason = f"{rival} unless --leading says what sectors its images are numbered by"
                refuse_given(context, ("k", "threshold", "center"), reason)


set_options = together(
    "asked",
    AskedSet,
    variables_option,
    threshold_option(
        "How far from the center a member of a sector lies along every leading variable; auto "
        "is the lowest at which the images are nearly as far apart as they can be."
    ),
    center_option,
    number_option(
        "-n",
        "--members",
        "size",
        help="Images in the set.  [default: the latent size, at least one a sector]",
    ),
    click.option(
        "--strategy",
        type=click.Choice(STRATEGIES),
        default="sectors",
        show_default=True,
        help="How images are chosen.",
    ),
    click.option("--strict", is_flag=True, help="Leave a sector empty that has no members."),
    click.option(
        "--leading",
        "variables",
        type=NumberList("variables", "3,17,40"),
        metavar="I,J,...",
        help="The leading variables, instead of finding those with the largest information gain.",
    ),
    click.option("--with-images", is_flag=True, help="Keep the images in the file too."),
)


@click.command(cls=Command)
@click.argument("model", metavar="MODEL", type=Reference())
@data_options
@set_options
@seed_option
@coder_options
@loading_options
@result_outputs(output_option("--out", "The support set, .h5.", required=True))
@click.pass_context
def build(
    context: click.Context,
    model: str,
    data: DataOptions,
    asked: AskedSet,
    seed: int,
    coding: CoderOptions,
    loading: Loading,
    outputs: Outputs,
) -> None:
    """Build a support set: a few real images far apart in a model's latent space.

    Sectors are the sign combinations of the K variables with the largest information gain: bit i of
    a sector's number is set where the i-th of them is above its center. One random image of each
    sector is taken; a sector without members takes the image that reaches furthest into it
    (relaxed), and how far these fall short, and on which side, is said. Then the most crowded
    sectors give one more each, up to the size. The other strategies choose by the codes alone.

    \b
    Examples:
      latentmap support build svae.safetensors --data faces.zip --out support.h5
      latentmap support build svae.safetensors --data faces.zip --threshold 1 --strict --out far.h5
      latentmap support build svae.safetensors --data faces.zip --strategy kmeans --out centers.h5
    """
    from latentmap.cli.output import command_line, print_json, warn, warn_skipped
    from latentmap.encoders.references import full_reference
    from latentmap.report import as_text
    from latentmap.support import SupportOptions, build_support_set
    from latentmap.support.section import support_title
    from latentmap.support.spread import Spread
    from latentmap.support.tables import built_tables

    asked.check(context)
    outputs.check()
    assert outputs.out is not None, "it is required"
    options = SupportOptions(**asdict(asked))
    (loaded,) = data.complete([loading.one(model)])
    options.check(loaded.space)
    images = data.open()
    options.check(loaded.space, len(images))
    record: dict[str, Any] = {
        "command": command_line(),
        "reference": full_reference(model, loaded),
        "image_shape": list(loaded.image_shape),
    }
    coder = coding.open(data)
    if loaded.can_decode and options.finds_leading(loaded.space):
        warn(
            f"first the variables of {loaded.name} are ordered by information gain, which takes "
            "the most time; --leading I,J,... takes those that `latentmap support order` has named"
        )
    support = build_support_set(loaded, images, coder, options, seed=seed, record=record)
    support.save(outputs.out)
    warn_skipped(support.settings["skipped"])
    if "variance" in support.settings:
        warn(f"{loaded.name} has no decoder: its leading variables are those of largest variance")
    if support.settings["warning"] is not None:
        warn(support.settings["warning"])
    if outputs.as_json:
        print_json(support.to_json())
        return
    spread = support.settings.get("spread")
    say(f"{outputs.out}: {support.summary}")
    tables = built_tables(support, spread and Spread.from_json(spread))
    show_result(as_text(tables), title=support_title(support, outputs.out.stem))
