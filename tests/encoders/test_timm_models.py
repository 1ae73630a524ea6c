"""Vision encoders of timm. It needs torchvision, which has to match torch: most tests skip here."""

import pytest
import torch

from latentmap.encoders import load
from latentmap.errors import ModelError
from latentmap.model.testing import check_model


@pytest.fixture
def timm():
    try:
        return __import__("timm")
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"timm cannot be imported: {error}")


@pytest.fixture
def weights(timm, tmp_path):
    """A file with random weights of a small encoder, by its name."""
    from safetensors.torch import save_file

    def written(name):
        path = tmp_path / f"{name}.safetensors"
        save_file(timm.create_model(name, pretrained=False).state_dict(), path)
        return path

    return written


@pytest.mark.parametrize("features", ["pooled", "cls", "patches"])
@pytest.mark.parametrize("name", ["test_vit", "test_convnext"])
def test_an_encoder_keeps_the_contract(weights, name, features):
    reference = f"timm:{name}:{weights(name)}?features={features}"
    if (name, features) == ("test_convnext", "cls"):
        with pytest.raises(ModelError, match="has no class token"):
            load(reference)
        return
    model = load(reference)
    check_model(model)
    assert len(model.latent_shape) == (3 if features == "patches" else 1)


def test_features_are_those_of_the_library(timm, weights):
    path = weights("test_vit")
    network = timm.create_model("test_vit", checkpoint_path=str(path)).eval()
    network.reset_classifier(0)
    images = torch.rand(1, 3, 160, 160)
    mean, std = (
        torch.tensor(network.pretrained_cfg[key]).view(1, 3, 1, 1) for key in ("mean", "std")
    )
    with torch.no_grad():
        expected = network((images - mean) / std)
    assert torch.allclose(load(f"timm:test_vit:{path}").encode(images), expected, atol=1e-5)


def test_weights_of_something_else_are_refused(weights):
    path = weights("test_vit")
    with pytest.raises(ModelError, match=r"lacks .* of the weights, such as"):
        load(f"timm:test_convnext:{path}")
    with pytest.raises(ModelError, match="is no safetensors file"):
        load("timm:test_vit:weights.pth")
    with pytest.raises(ModelError, match="cannot make 'no_such_encoder'"):
        load("timm:no_such_encoder")


def test_without_the_library_the_extra_is_said():
    try:
        __import__("timm")
    except (ImportError, RuntimeError):
        with pytest.raises(ModelError, match=r'pip install "latentmap\[timm\]"'):
            load("timm:resnet18")
