"""What ``--device`` stands for."""

from __future__ import annotations

import re

import click


def resolve_device(ctx: click.Context, _: click.Parameter, value: str) -> str:
    if ctx.resilient_parsing or value == "cpu":
        return value
    import torch

    if value == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    found = re.fullmatch(r"cuda(?::(0|[1-9][0-9]*))?", value)
    if found is None:
        raise click.BadParameter(f"{value!r} is no device: give auto, cpu, cuda or cuda:1")
    if not torch.cuda.is_available():
        raise click.BadParameter(
            f"{value!r} is asked for, but torch sees no GPU here: use --device cpu"
        )
    last = torch.cuda.device_count() - 1
    if int(found[1] or 0) > last:
        raise click.BadParameter(
            f"{value!r} is asked for, but the last GPU that torch sees is cuda:{last}"
        )
    return value
