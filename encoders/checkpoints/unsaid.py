"""What some files do not say of their network, and whoever imports one may know."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields
from typing import Literal, get_args

from latentmap.errors import CheckpointError

FusedScale = Literal["auto", "all", "none"]
FUSED_SCALES: tuple[FusedScale, ...] = get_args(FusedScale)


@dataclass(frozen=True)
class Unsaid:
    """What is known of a network beside its file; None is assumed where the file leaves it open,
    and a note says what.

    ``instance_norm_epsilon`` is added to the variances of StyleGAN1's instance normalisation.
    ``final_tanh``: whether the images end in a tanh. ``fused_scale``: where StyleGAN1 doubles the
    size and convolves in one step, whose weights are stored turned: "all" sizes, "none", or "auto",
    from 128 pixels on. ``size`` is height and width, in pixels, of the images of a network that
    takes any.
    """

    instance_norm_epsilon: float | None = None
    final_tanh: bool | None = None
    fused_scale: FusedScale | None = None
    size: tuple[int, int] | None = None

    def refuse_beside(self, names: Collection[str], network: str) -> None:
        """Passes where nothing is given but the fields ``names``.

        Raises:
            CheckpointError: something else is, which ``network`` does not have or leave open.
        """
        given = [field.name for field in fields(self) if getattr(self, field.name) is not None]
        idle = [f"--{name.replace('_', '-')}" for name in given if name not in names]
        if idle:
            has, them = ("has", "it") if len(idle) == 1 else ("have", "them")
            raise CheckpointError(
                f"{' and '.join(idle)} {has} no effect on {network}: leave {them} out"
            )
