"""latentmap map: what a fitted map says, and maps made of maps."""

from __future__ import annotations

from pathlib import Path

import click

from latentmap.cli.declaring import Group
from latentmap.cli.kinds import InputPath, OutputFile
from latentmap.cli.map_export import export
from latentmap.cli.map_factors import factors
from latentmap.cli.map_methods import curve, methods
from latentmap.cli.map_options import map_argument
from latentmap.cli.options import force_option, json_option
from latentmap.cli.output import say, show_result

_out_option = click.option(
    "--out",
    required=True,
    type=OutputFile(),
    metavar="MAP",
    help="The map to write.",
)


@click.group("map", cls=Group)
def map_group() -> None:
    """Describe maps, compose, turn and export them; compare methods; show shared factors.

    \b
    Examples:
      latentmap map show vae-to-svae.safetensors
      latentmap map methods --src svae --dst stylegan
      latentmap map factors vae-to-svae.safetensors --data faces.zip --figure factors.png
    """


map_group.add_command(methods)
map_group.add_command(curve)
map_group.add_command(factors)
map_group.add_command(export)


@map_group.command()
@map_argument
@json_option
def show(map_path: Path, as_json: bool) -> None:
    """Describe a map: its spaces, how it was fitted, and what it explains.

    Over the pairs that it was fitted on: how much of the target's variance the map explains, its
    effective rank, the target variables that it explains best and least, and the source variables
    that matter most (what would be lost without each).

    \b
    Example:
      latentmap map show vae-to-svae.safetensors
    """
    from latentmap.cli.output import print_json
    from latentmap.mapping.stored_map import StoredMap
    from latentmap.mapping.summary import describe
    from latentmap.mapping.tables import map_table
    from latentmap.report import as_text

    linear_map = StoredMap.load(map_path)
    if as_json:
        print_json({"file": str(map_path), **describe(linear_map)})
        return
    say(f"{map_path}: {linear_map.method}")
    show_result(as_text([map_table(linear_map).without("method")]))


@map_group.command()
@click.argument("first", metavar="MAP", type=InputPath())
@click.argument("then", metavar="MAP", type=InputPath())
@_out_option
@json_option
@force_option
def compose(first: Path, then: Path, out: Path, as_json: bool, force: bool) -> None:
    """Make one map of two: from A to B, then from B to C.

    Where the second leads back to the source of the first, the cycle error is printed: the share of
    the source's variance that does not come back.

    \b
    Example:
      latentmap map compose a-to-b.safetensors b-to-c.safetensors --out a-to-c.safetensors
    """
    from latentmap.cli.output import print_json
    from latentmap.files import refuse_existing
    from latentmap.mapping import LinearMap
    from latentmap.mapping.summary import describe

    refuse_existing(out, force=force)
    one, two = LinearMap.load(first), LinearMap.load(then)
    composed = one.compose(two)
    composed.save(out)
    cycle = None
    if one.source.same_as(two.target) and one.moments is not None:
        cycle = one.cycle_error(two)
    if as_json:
        print_json({"file": str(out), **describe(composed), "cycle_error": cycle})
        return
    say(f"{out}: {composed}")
    if cycle is not None:
        say(f"cycle error {cycle:.4g} of the source's variance")


@map_group.command()
@map_argument
@_out_option
@json_option
@force_option
def inverse(map_path: Path, out: Path, as_json: bool, force: bool) -> None:
    """Make the map back, by the pseudo-inverse, and say how much of the source comes back.

    A map that is fitted in the other direction predicts better; the inverse is the one that undoes
    this map.

    \b
    Example:
      latentmap map inverse vae-to-svae.safetensors --out svae-to-vae.safetensors
    """
    from latentmap.cli.output import print_json
    from latentmap.files import refuse_existing
    from latentmap.mapping import LinearMap
    from latentmap.mapping.summary import describe

    refuse_existing(out, force=force)
    back = LinearMap.load(map_path).inverse()
    back.save(out)
    if as_json:
        print_json({"file": str(out), **describe(back)})
        return
    say(f"{out}: {back}")
    if "kept_variance" in back.figures:
        say(f"there and back keeps {back.figures['kept_variance']:.4g} of the variance")
