"""What is decoded is checked a batch late: nobody waits for a device, and errors name the image."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch.utils._python_dispatch import TorchDispatchMode

from latentmap.cache import encoding
from latentmap.codes import Codes, pair
from latentmap.comparison.pictures import image_figures
from latentmap.diagnostics.sums import sum_by_blocks
from latentmap.diagnostics.worth import measure_worth
from latentmap.errors import ModelError
from latentmap.images import ImageSource
from latentmap.images.arrays import ArrayImages
from latentmap.inversion.inverting import decoding_errors
from latentmap.mapping import fit
from latentmap.model import Posterior, decode_all
from latentmap.model.testing import LinearModel
from latentmap.relocation.measuring import measure
from latentmap.support.meter import Meter
from latentmap.transfers import a_batch_late, to_channels_last, upload


class Waits(TorchDispatchMode):
    """Counts how often a number of a tensor is asked for, which on a GPU is to wait for it."""

    def __init__(self):
        super().__init__()
        self.n = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.n += function is torch.ops.aten._local_scalar_dense.default
        return function(*args, **(kwargs or {}))


class Spoiled(LinearModel):
    """Gives pixels of 2 for codes whose first variable is above 0.9."""

    def _decode(self, codes):
        images = super()._decode(codes)
        return torch.where((codes[:, 0] > 0.9)[:, None, None, None], 2.0, images)


def scene(n=24, *, kind=LinearModel):
    source, target = LinearModel(seed=1, name="a"), kind(seed=2, name="b")
    shown = source.decode(source.sample(n, seed=3).clamp(-0.8, 0.8))
    pixels = (shown * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    images = ImageSource(ArrayImages(pixels, "images"), np.arange(n))
    seen = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
    codes = [
        Codes.from_array(images.ids, one.encode(seen), space=one.space, digests=images.digests)
        for one in (source, target)
    ]
    return source, target, images, seen, pair(*codes)


def waits(work, *given, **options):
    with Waits() as counted:
        work(*given, **options)
    return counted.n


def test_asking_for_a_number_is_counted():
    model = LinearModel()
    codes = model.sample(4, seed=0)
    assert waits(lambda: [float(row.sum()) for row in codes]) == 4


def test_the_number_of_waits_does_not_grow_with_the_number_of_batches():
    source, target, images, seen, pairs = scene()
    maps = [fit(pairs, settings={"penalty": 1.0})] * 2
    counts = {
        size: [
            waits(decode_all, target, pairs.target.vectors, batch_size=size),
            waits(measure, maps, pairs, source, target, images, batch_size=size),
            waits(decoding_errors, target, pairs.target.vectors, seen, batch_size=size),
        ]
        for size in (24, 2)
    }
    assert counts[2] == counts[24]
    assert counts[2][0] == counts[2][2] == 0


def test_figures_of_a_comparison_and_of_a_vae_are_measured_without_waits(monkeypatch):
    source, target, images, _, pairs = scene()
    maps = {(0, 1): fit(pairs, settings={"penalty": 1.0})}
    maps[1, 0] = fit(pair(pairs.target, pairs.source), settings={"penalty": 1.0})
    models, codes = [source, target], [pairs.source, pairs.target]
    summed, told = sums_of(target, images, batch_size=24), worth_of(target, images)
    for size in (24, 5):
        monkeypatch.setattr("latentmap.diagnostics.worth._BATCH", size)
        assert waits(image_figures, models, codes, maps, images, batch_size=size) == 0
        assert waits(sums_of, target, images, batch_size=size) == 0
        assert waits(worth_of, target, images) == 0
        assert_allclose(sums_of(target, images, batch_size=size).errors, summed.errors)
        assert_allclose(worth_of(target, images).gain, told.gain, rtol=1e-5)


def sums_of(model, images, *, batch_size):
    return sum_by_blocks(
        model,
        images,
        np.arange(len(images)) % 3,
        sampled=None,
        precision="float32",
        batch_size=batch_size,
        on_error="stop",
        progress=None,
    )


def worth_of(model, images):
    return measure_worth(
        model,
        images,
        np.arange(len(images)),
        center=np.zeros(4),
        inactive=np.array([True, False, False, True]),
        gain_images=7,
        precision="float32",
        seed=0,
        progress=None,
    )


@pytest.mark.parametrize("size", [2, 24])
def test_figures_name_the_image_whose_reconstruction_is_wrong(size, monkeypatch):
    source, target, images, _, pairs = scene(kind=Spoiled)
    bad = pairs.target.vectors.clone()
    bad[7, 0] = 0.95
    codes = [
        pairs.source,
        Codes.from_array(images.ids, bad, space=target.space, digests=images.digests),
    ]
    maps = {(0, 1): fit(pairs, settings={"penalty": 1.0})}
    maps[1, 0] = fit(pair(pairs.target, pairs.source), settings={"penalty": 1.0})
    with pytest.raises(ModelError, match=rf"to 2 \(image {images.ids[7]}\)"):
        image_figures([source, target], codes, maps, images, batch_size=size)
    monkeypatch.setattr("latentmap.diagnostics.worth._BATCH", size)
    with monkeypatch.context() as patched:
        patched.setattr(Spoiled, "_posterior", lambda self, x: moved(self, x))
        for measured in (worth_of, lambda *given: sums_of(*given, batch_size=size)):
            with pytest.raises(ModelError, match=r"must be in \[0, 1\], .* \(image "):
                measured(target, images)


def moved(model, images):
    found = LinearModel._posterior(model, images)
    return Posterior(found.mean + 0.95, found.variance)


def test_codes_that_are_not_finite_are_told_late(monkeypatch):
    _, target, images, seen, _ = scene()
    monkeypatch.setattr(LinearModel, "_posterior", lambda self, x: damaged(self, x))
    for call in (lambda: worth_of(target, images), lambda: target.posterior(seen)):
        with pytest.raises(ModelError, match="gave codes that are not finite"):
            call()


def damaged(model, images):
    codes = images.flatten(1)[:, :4] * torch.nan
    return Posterior(codes, codes)


def test_the_gain_of_variables_is_measured_without_waits():
    _, target, images, _, pairs = scene()
    codes = pairs.target
    meter = Meter(target, images, np.arange(24), codes=codes, center=np.zeros(4))
    meter.batch_size = 5
    assert waits(meter, np.arange(24), np.arange(4)) == 0
    assert meter.decodes == 24 * 5


@pytest.mark.parametrize("size", [2, 24])
def test_an_error_that_comes_late_names_the_image(size):
    source, target, images, _, pairs = scene(kind=Spoiled)
    linear_map = fit(pairs, settings={"penalty": 1.0})
    bad = pairs.target.vectors.clone()
    bad[7, 0] = 0.95
    spoiled = pair(
        pairs.source,
        Codes.from_array(images.ids, bad, space=target.space, digests=images.digests),
    )
    message = rf"decoded by b must be in \[0, 1\], .* to 2 \(image {images.ids[7]}\)"
    with pytest.raises(ModelError, match=message):
        measure([linear_map], spoiled, source, target, images, batch_size=size)
    with pytest.raises(ModelError, match=r"must be in \[0, 1\]"):
        decode_all(target, bad, batch_size=size)
    meter = Meter(target, images, np.arange(24), codes=spoiled.target, center=np.zeros(4))
    meter.batch_size = size
    with pytest.raises(ModelError, match=message):
        meter(np.arange(24)[::-1], np.array([1]))


def test_a_check_that_is_not_asked_for_says_nothing():
    target = scene(kind=Spoiled)[1]
    images, check = target.launch(torch.ones(3, 4))
    assert images.shape == (3, 1, 4, 4)
    with pytest.raises(ModelError, match=r"reach from 2 to 2 \(image y\)"):
        check.require(["y", "z", "w"])
    images, check = target.launch(torch.full((1, 4), torch.nan))
    with pytest.raises(ModelError, match=r"these are not finite \(image x\)"):
        check.require(["x"])


def test_each_is_given_after_the_next_was_launched():
    seen = []

    def launched():
        for number in range(3):
            seen.append(f"launched {number}")
            yield number

    for number in a_batch_late(launched()):
        seen.append(f"taken {number}")
    assert seen == [
        *("launched 0", "launched 1", "taken 0"),
        *("launched 2", "taken 1", "taken 2"),
    ]


def test_models_that_see_alike_have_an_image_uploaded_once(monkeypatch):
    images = scene()[2]
    models = [LinearModel(seed=seed) for seed in range(3)]
    models.append(LinearModel(image_shape=(1, 2, 2)))
    uploaded = []

    def counting(pixels, device):
        uploaded.append(tuple(pixels.shape))
        return upload(pixels, device)

    monkeypatch.setattr(encoding, "upload", counting)
    list(encoding.encode_batches(models, images, batch_size=12))
    assert uploaded == 2 * [(12, 1, 4, 4), (12, 1, 2, 2)]


def test_weights_in_channels_last_are_the_same_weights():
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3), torch.nn.Flatten(), torch.nn.Linear(4, 2)
    )
    before = [one.clone() for one in network.parameters()]
    to_channels_last(network)
    for one, other in zip(before, network.parameters(), strict=True):
        assert torch.equal(one, other)
    assert network[0].weight.is_contiguous(memory_format=torch.channels_last)
