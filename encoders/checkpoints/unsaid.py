"""What some files do not say of their network, and whoever imports one may know."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields
from typing import Literal, get_args

from latentmap.errors import CheckpointError

FusedScale = Literal["auto", "all", "none"]
FUSED_SCALES: tuple[FusedScale, ...] = get_args(FusedScale)
Output = Literal["tanh", "sigmoid", "none"]
OUTPUTS: tuple[Output, ...] = get_args(Output)
Range = Literal["0..1", "-1..1"]
RANGES: tuple[Range, ...] = get_args(Range)
# What may stand between layers; a test compares them with what the networks know.
ACTIVATIONS = (
    *("relu", "leaky-relu-0.01", "leaky-relu-0.2", "elu", "gelu", "silu", "tanh", "sigmoid"),
    "none",
)


@dataclass(frozen=True)
class Unsaid:
    """What is known of a network beside its file; None is assumed where the file leaves it open,
    and a note says what.

    ``instance_norm_epsilon`` is added to the variances of StyleGAN1's instance normalisation.
    ``final_tanh``: whether the images end in a tanh. ``fused_scale``: where StyleGAN1 doubles the
    size and convolves in one step, whose weights are stored turned: "all" sizes, "none", or "auto",
    from 128 pixels on. ``size`` is height and width, in pixels, of the images of a network that
    takes any.

    Of chains of layers: ``activation`` stands between them, ``output`` after the last of a decoder;
    ``strides``, ``paddings``, ``output_paddings`` and ``pools`` (the side of the pooling behind it)
    are those of the convolutions, one for each or one for all; ``range`` is which values the layers
    know of an image; ``until`` is the layer whose outputs are the codes of an encoder.
    """

    instance_norm_epsilon: float | None = None
    final_tanh: bool | None = None
    fused_scale: FusedScale | None = None
    size: tuple[int, int] | None = None
    activation: str | None = None
    output: Output | None = None
    strides: tuple[int, ...] | None = None
    paddings: tuple[int, ...] | None = None
    output_paddings: tuple[int, ...] | None = None
    pools: tuple[int, ...] | None = None
    range: Range | None = None
    until: str | None = None

    def refuse_beside(self, names: Collection[str], network: str) -> None:
        """Passes where nothing is given but the fields ``names``.

        Raises:
            CheckpointError: something else is, which ``network`` does not have or leave open.
        """
        given = [field.name for field in fields(self) if getattr(self, field.name) is not None]
        idle = [flag_of(name) for name in given if name not in names]
        if idle:
            has, them = ("has", "it") if len(idle) == 1 else ("have", "them")
            raise CheckpointError(
                f"{' and '.join(idle)} {has} no effect on {network}: leave {them} out"
            )


def flag_of(name: str) -> str:
    """The option of a field."""
    return f"--{name.replace('_', '-')}"
