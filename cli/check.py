"""latentmap models check: whether a model keeps the contract that commands rely on."""

from __future__ import annotations

import click

from latentmap.cli.declaring import Command
from latentmap.cli.kinds import Reference
from latentmap.cli.options import Loading, json_option, loading_options, seed_option
from latentmap.cli.output import say


@click.command(cls=Command)
@click.argument("model", metavar="MODEL", type=Reference())
@seed_option
@loading_options
@json_option
def check(model: str, seed: int, loading: Loading, as_json: bool) -> None:
    """Check that a model keeps its contract: shapes, ranges, batches, chance, gradients.

    For models of your own code and of other packages, before they are used. The first promise that
    is broken is named, and the exit code is 1.

    \b
    Examples:
      latentmap models check python:mine:load
      latentmap models check svae --json
    """
    from latentmap.cli.model_text import model_to_json, say_facts
    from latentmap.cli.output import print_json
    from latentmap.errors import ModelError
    from latentmap.model.testing import check_model

    loaded = loading.one(model)
    broken: ModelError | None = None
    try:
        check_model(loaded, seed=seed)
    except ModelError as error:
        broken = error
    if as_json:
        facts = model_to_json(model, loaded)
        print_json({**facts, "keeps": broken is None, "broken": broken and str(broken)})
    if broken is not None:
        raise broken
    if not as_json:
        say(f"{model} keeps the contract")
        say_facts(loaded)
        if "fingerprint_of" in loaded.config:
            say(f"  fingerprint  of {loaded.config['fingerprint_of']}")
