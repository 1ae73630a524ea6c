"""The options of what a checkpoint does not say of its network."""

from __future__ import annotations

import click

from latentmap.cli.declaring import option, together
from latentmap.cli.kinds import NumberRange, Size, Text
from latentmap.cli.lists import NumberList
from latentmap.encoders.checkpoints.unsaid import (
    ACTIVATIONS,
    FUSED_SCALES,
    OUTPUTS,
    RANGES,
    Unsaid,
)

_MOST = 1024  # Pixels; no kernel is larger.

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
    option(
        "--activation",
        type=click.Choice(ACTIVATIONS),
        help="Between the layers of a plain chain.",
    ),
    option(
        "--output",
        type=click.Choice(OUTPUTS),
        help="What the last layer of a plain decoder goes through: tanh for images in [-1, 1], "
        "sigmoid for [0, 1].",
    ),
    option(
        "--strides",
        type=NumberList("strides", "2,2,1", least=1, most=_MOST),
        metavar="LIST",
        help="Of the convolutions of a plain chain: one for each, or one for all.",
    ),
    option(
        "--paddings",
        type=NumberList("paddings", "1,1,0", most=_MOST),
        metavar="LIST",
        help="Of the same.",
    ),
    option(
        "--output-paddings",
        type=NumberList("output paddings", "0,1,1", most=_MOST),
        metavar="LIST",
        help="Of the same, where they are transposed.  [default: 0]",
    ),
    option(
        "--pools",
        type=NumberList("sides of poolings", "2,2,1", least=1, most=_MOST),
        metavar="LIST",
        help="Sides of the max pooling behind each of the same; 1 is none.  [default: 1]",
    ),
    option(
        "--range",
        type=click.Choice(RANGES),
        help="The values of images that a plain chain knows.  [default: those of --output, else "
        "0..1]",
    ),
    option(
        "--until",
        type=Text(),
        metavar="LAYER",
        help="The layer of a plain encoder, by its name in the file, whose outputs are the codes.  "
        "[default: the last one]",
    ),
)
