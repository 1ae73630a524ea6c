"""The options of what a checkpoint does not say of its network."""

from __future__ import annotations

import click

from latentmap.cli.declaring import option, together
from latentmap.cli.kinds import NumberRange, Size
from latentmap.encoders.checkpoints.unsaid import FUSED_SCALES, Unsaid

unsaid_options = together(
    "unsaid",
    Unsaid,
    option(
        "--instance-norm-epsilon",
        type=NumberRange(0, 1, min_open=True, max_open=True),
        metavar="NUMBER",
        help="Of StyleGAN1: 1e-5 for what huangzh13's port trained, 1e-8 for what was converted "
        "from NVIDIA's.  [default: what the file makes likely]",
    ),
    option(
        "--final-tanh/--no-final-tanh",
        default=None,
        help="Whether images of genforce's generators end in a tanh.  [default: they do not]",
    ),
    option(
        "--fused-scale",
        type=click.Choice(FUSED_SCALES),
        help="Where genforce's StyleGAN1 doubles the size within a convolution; auto is from 128 "
        "pixels on.  [default: auto]",
    ),
    option(
        "--size",
        type=Size(),
        metavar="N|HxW",
        help="Height and width in pixels of the images of a network that takes any.  [default: "
        "256x256]",
    ),
)
