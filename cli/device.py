"""What ``--device`` stands for."""

from __future__ import annotations

import re
from typing import Any

import click

from latentmap.cli.kinds import Text


class Device(Text):
    """A device that is there, as torch calls it; ``auto`` becomes one."""

    name = "device"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        device: str = super().convert(value, param, ctx)
        if device == "cpu" or (ctx is not None and ctx.resilient_parsing):
            return device
        import torch

        if device == "auto":
            return "cuda" if torch.cuda.is_available() else "cpu"
        found = re.fullmatch(r"cuda(?::(0|[1-9][0-9]{0,5}))?", device)
        if found is None:
            self.fail(f"{device!r} is no device: give auto, cpu, cuda or cuda:1", param, ctx)
        if not torch.cuda.is_available():
            self.fail(
                f"{device!r} is asked for, but torch sees no GPU here: use --device cpu", param, ctx
            )
        last = torch.cuda.device_count() - 1
        if int(found[1] or 0) > last:
            self.fail(
                f"{device!r} is asked for, but the last GPU that torch sees is cuda:{last}",
                param,
                ctx,
            )
        return device
