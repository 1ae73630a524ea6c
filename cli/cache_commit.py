"""latentmap cache commit: what the workers of plans have made, into the entries of the cache."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from latentmap.cli.declaring import Command
from latentmap.cli.kinds import Text
from latentmap.cli.options import cache_option, json_option
from latentmap.cli.output import print_json, say, warn
from latentmap.errors import CacheError

if TYPE_CHECKING:
    from latentmap.cache.plan import Plan
    from latentmap.cache.shard_commit import Committed

_NAMED = 10  # Missing shards that the message names; --json lists all.


@click.command(cls=Command)
@click.argument("name", required=False, metavar="[PLAN]", type=Text())
@cache_option
@json_option
@click.pass_context
def commit(context: click.Context, name: str | None, cache: Path, as_json: bool) -> None:
    """Take in what the workers of a plan have made (`latentmap encode --shard`).

    Every byte is compared with what the workers said. Shards that are missing are named, and the
    exit code is 1 then; what is there is kept, and the command may be run again at any time, while
    workers work as well. A plan is done with its last shard. Without PLAN all plans are committed.

    \b
    Example:
      latentmap cache commit --cache codes
    """
    from latentmap.cache import LatentCache
    from latentmap.cache.shard_commit import commit_shards

    opened = LatentCache(cache)
    opened.entries.require()
    plans = _chosen(cache, name)
    results = [(plan, commit_shards(plan, opened, timeout=60, notify=warn)) for plan in plans]
    if as_json:
        described = [
            {
                "plan": plan.id,
                "data": plan.data,
                "shards": len(plan),
                "missing": list(found.missing),
                "images": plan.images,
                "done": found.images,
                "repairs": list(found.repairs),
                "entries": [entry.key.id for entry in plan.entries],
            }
            for plan, found in results
        ]
        print_json({"cache": str(cache), "plans": described})
    else:
        for plan, found in results:
            say(_line(cache, plan, found))
        if not results:
            say(f"{cache}: there is no plan, so that nothing is to be committed")
    if any(found.missing for _, found in results):
        context.exit(1)


def _chosen(cache: Path, name: str | None) -> list[Plan]:
    """The plans that are asked for.

    Raises:
        CacheError: none is called so, or several are.
    """
    from latentmap.cache.plan_folder import find_plans

    plans = find_plans(cache)
    if name is None:
        return plans
    chosen = [plan for plan in plans if plan.id.startswith(name)]
    if len(chosen) != 1:
        there = ", ".join(f"{plan.id} ({plan.data})" for plan in plans) or "none"
        many = "several plans begin" if chosen else "no plan begins"
        raise CacheError(f"{many} with {name!r} in {cache}: those there are {there}")
    return chosen


def _line(cache: Path, plan: Plan, found: Committed) -> str:
    if not found.missing:
        return (
            f"{cache}: plan {plan.id} is done: {found.images} images of {plan.data} in "
            f"{len(plan)} shards"
        )
    named = ", ".join(map(str, found.missing[:_NAMED]))
    more = ", ..." if len(found.missing) > _NAMED else ""
    return (
        f"{cache}: plan {plan.id} lacks {len(found.missing)} of {len(plan)} shards: {named}{more}; "
        f"{found.images} of {plan.images} images are committed. Run the workers again whose part "
        "they are, then this"
    )
