import pytest

from latentmap.encoders import build
from latentmap.encoders.architectures import architecture_of

SHAPE = {"image_shape": [1, 8, 8], "latent_dim": 3}


@pytest.mark.parametrize(
    ("family", "config", "kind"),
    [
        ("vae", {"architecture": "dense", "widths": [4]}, "dense"),
        ("vae", {"architecture": "conv", "widths": [4]}, "convolutional"),
        ("split-vae", {"width": 4, "embedding": 8}, "residual"),
        ("gan", {"base": 4, "widths": [4], "norm": "batch"}, "other"),
    ],
)
def test_every_family_has_a_kind(family, config, kind):
    assert architecture_of(build(family, {**SHAPE, **config})) == kind
