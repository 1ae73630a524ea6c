"""latentmap support: a few real images that are far apart in a model's latent space."""

from __future__ import annotations

import click

from latentmap.cli.declaring import Group
from latentmap.cli.support_build import build
from latentmap.cli.support_compare import compare
from latentmap.cli.support_order import order
from latentmap.cli.support_show import show


@click.group(cls=Group)
def support() -> None:
    """Support sets: a few real images that are far apart in a model's latent space.

    \b
    Examples:
      latentmap support order svae.safetensors --data faces.zip --figures gains
      latentmap support build svae.safetensors --data faces.zip --out support.h5
      latentmap support show support.h5 --data faces.zip --figures support
    """


for _command in (order, build, show, compare):
    support.add_command(_command)
