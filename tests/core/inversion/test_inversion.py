"""Codes of images by encoder, search, and both."""

import numpy as np
import pytest
import torch

from latentmap.cache import Coder, LatentCache
from latentmap.errors import ImageError, ModelError
from latentmap.images import open_images
from latentmap.inversion import SearchSettings, code_search, invert_images, invert_tensor
from latentmap.inversion.code_search import search_codes
from latentmap.inversion.inverting import INVERSION_METHODS
from latentmap.inversion.ranges import range_of
from latentmap.inversion.searches import new_searches, step_searches
from latentmap.inversion.starts import draw_samples, nearest_samples
from latentmap.model.testing import LinearModel
from latentmap.ssim import ssim

SHORT = SearchSettings(steps=60, starts=2, trial=10)


class Curved(LinearModel):
    """A generator that bends its codes, so that a search has something to do."""

    can_encode = False

    def _decode(self, codes):
        self.decodes = getattr(self, "decodes", 0) + len(codes)
        return super()._decode(torch.tanh(2 * codes) * (1 + codes.roll(1, 1)) / 2)


def own(model, n=6, *, seed=1):
    codes = model.sample(n, seed=seed)
    return codes, model.decode(codes)


def error_of(model, codes, images):
    return (model.decode(codes) - images).square().mean(dim=(1, 2, 3))


def test_a_search_finds_the_only_code_of_an_image():
    model = LinearModel()
    codes, images = own(model)
    found = search_codes(model, images, seed=0)
    torch.testing.assert_close(found.codes, codes, atol=0.02, rtol=0)


def test_what_is_outside_the_range_is_projected():
    # The nearest image of a linear model is that of its encoder, while no pixel is cut off.
    model = LinearModel()
    images = torch.rand(4, *model.image_shape, generator=torch.Generator().manual_seed(0))
    images = 0.5 + 0.05 * (images - 0.5)
    found = search_codes(model, images, seed=0)
    best = error_of(model, model.encode(images), images)
    torch.testing.assert_close(error_of(model, found.codes, images), best, atol=2e-6, rtol=0)


def test_own_images_are_reproduced_by_a_curved_model():
    model = Curved()
    _, images = own(model)
    inverted = invert_tensor(model, images, method="search", seed=0)
    assert inverted.mse.max() < 1e-4
    torch.testing.assert_close(inverted.mse, error_of(model, inverted.codes, images))
    torch.testing.assert_close(inverted.ssim, ssim(model.decode(inverted.codes), images))


def test_the_best_code_seen_is_kept():
    # With steps this large the loss goes up and down; nothing is worse than the start.
    model = Curved()
    _, images = own(model)
    samples = draw_samples(model, seed=0)
    starts = nearest_samples(model, images, samples, count=1, batch_size=64)[:, 0]
    settings = SearchSettings(steps=30, starts=1, rate=3.0)
    found = search_codes(model, images, search=settings, seed=0)
    assert (error_of(model, found.codes, images) <= error_of(model, starts, images)).all()


def test_a_result_depends_on_the_seed_and_not_on_the_company():
    model = Curved()
    _, images = own(model, 7)
    found = search_codes(model, images, search=SHORT, seed=3)
    again = search_codes(model, images, search=SHORT, seed=3)
    assert torch.equal(found.codes, again.codes)
    order = torch.tensor([5, 0, 3])
    some = search_codes(model, images[order], search=SHORT, seed=3, batch_size=2)
    torch.testing.assert_close(some.codes, found.codes[order], atol=1e-4, rtol=1e-4)
    assert torch.equal(some.steps, found.steps[order])
    assert torch.equal(some.chosen, found.chosen[order])
    other = search_codes(model, images, search=SHORT, seed=4)
    assert not torch.equal(found.codes, other.codes)


def test_no_image_finds_its_own_code_among_the_starts():
    model = LinearModel()
    for seed in (0, 5):
        mine = model.sample(8, seed=seed)
        assert torch.cdist(mine, draw_samples(model, seed=seed)).min() > 1e-4


def test_the_starts_are_those_whose_images_are_nearest():
    model = Curved()
    _, images = own(model)
    samples = draw_samples(model, seed=0)
    starts = nearest_samples(model, images, samples, count=3, batch_size=50)
    candidates = torch.cat([samples.mean(0, keepdim=True), samples[:512]])
    errors = torch.stack([error_of(model, candidates, image[None]) for image in images])
    expected = candidates[errors.argsort(1)[:, :3]]
    torch.testing.assert_close(starts, expected)


def test_steps_are_counted_and_limited():
    model = Curved()
    images = torch.rand(5, *model.image_shape, generator=torch.Generator().manual_seed(0))
    found = search_codes(model, images, search=SearchSettings(steps=7, starts=3), seed=0)
    assert found.steps.tolist() == [21] * 5
    found = search_codes(model, images, search=SearchSettings(steps=25, starts=3, trial=4), seed=0)
    assert found.steps.tolist() == [2 * 4 + 25] * 5


def test_an_image_that_is_done_makes_room(monkeypatch):
    # Started at their codes, images need no step but the one that shows that they are right.
    model = Curved()
    codes, images = own(model, 9)
    model.decodes = 0
    settings = SearchSettings(steps=50, starts=1)
    found = search_codes(model, images, start=codes, search=settings, seed=0, batch_size=3)
    assert found.steps.tolist() == [1] * 9
    assert model.decodes == 9 * code_search._STRIDE


def test_only_full_batches_are_decoded():
    # Hard and easy images mixed: the batch is full while anything waits.
    model = Curved()
    codes, images = own(model, 12)
    codes[::3] = 0.9
    seen = []
    decode = model.decode_with_gradient

    def spy(codes):
        seen.append(len(codes))
        return decode(codes)

    model.decode_with_gradient = spy
    settings = SearchSettings(steps=40, starts=1)
    found = search_codes(model, images, start=codes, search=settings, seed=0, batch_size=4)
    needed = int(found.steps.sum())
    assert (found.steps == 1).sum() == 8
    assert seen == sorted(seen, reverse=True)
    assert sum(seen) <= needed + 12 * code_search._STRIDE


def test_many_starts_are_no_worse_than_one():
    model = Curved(latent_dim=6)
    images = torch.rand(12, *model.image_shape, generator=torch.Generator().manual_seed(0))
    one = invert_tensor(
        model, images, method="search", search=SearchSettings(starts=1, steps=80), seed=0
    )
    many = invert_tensor(
        model, images, method="search", search=SearchSettings(starts=6, steps=80), seed=0
    )
    assert many.mse.mean() <= one.mse.mean() + 1e-6
    assert (many.chosen > 0).any()
    assert (many.steps > one.steps).all()


def test_a_hybrid_search_starts_at_the_code_of_the_encoder():
    model = LinearModel()
    codes, images = own(model)
    network = invert_tensor(model, images, method="network", seed=0)
    torch.testing.assert_close(network.codes, codes, atol=1e-5, rtol=0)
    assert network.steps.tolist() == [0] * len(images)
    hybrid = invert_tensor(model, images, method="hybrid", search=SearchSettings(starts=1), seed=0)
    # The code is right, so that it is kept, after the one step that shows it.
    torch.testing.assert_close(hybrid.codes, network.codes, atol=1e-6, rtol=0)
    assert hybrid.steps.tolist() == [1] * len(images)


def test_the_perceptual_term_gives_similar_images():
    model = Curved(latent_dim=3, image_shape=(1, 12, 12))
    images = torch.rand(6, *model.image_shape, generator=torch.Generator().manual_seed(0))
    plain = invert_tensor(model, images, method="search", seed=0)
    settings = SearchSettings(perceptual=1.0)
    seen = invert_tensor(model, images, method="search", search=settings, seed=0)
    assert seen.ssim.mean() > plain.ssim.mean()
    assert seen.mse.mean() > plain.mse.mean()


def test_the_prior_draws_codes_to_its_mean():
    model = LinearModel()
    images = model.decode(torch.full((1, 4), 0.9))
    norms = [
        float(search_codes(model, images, search=settings, seed=0).codes.norm())
        for settings in (SearchSettings(prior=weight, inside=False) for weight in (0.0, 1e-3, 10.0))
    ]
    assert norms[0] == pytest.approx(1.8, abs=0.03)
    assert norms[0] > norms[1] + 0.02
    assert norms[2] < 0.1


def test_the_penalty_of_the_prior_is_the_mahalanobis_distance():
    model = LinearModel()
    mixing = torch.randn(4, 4, generator=torch.Generator().manual_seed(0)).double()
    samples = draw_samples(model, seed=0).double() @ mixing + 5
    places = range_of(model, samples).places(samples)
    centered = samples - samples.mean(0)
    distances = torch.einsum("ni,ij,nj->n", centered, torch.cov(samples.T).inverse(), centered)
    torch.testing.assert_close(places.square().sum((1, 2)), distances)


def test_one_search_is_adam_of_torch():
    """While the loss falls; the rate of a search is lowered only later."""
    target = torch.tensor([[1.0, -2.0, 3.0]])
    scale = torch.tensor([[1.0, 10.0, 0.1]])
    mine = new_searches(torch.zeros(1, 3), 0.05)
    theirs = torch.zeros(1, 3, requires_grad=True)
    adam = torch.optim.Adam([theirs], lr=0.05, betas=(0.9, 0.95), eps=1e-12)
    for _ in range(15):
        gradient = 2 * scale * (mine.codes - target)
        loss = (scale * (mine.codes - target).square()).sum(1)
        mine = step_searches(mine, loss, gradient, limit=100)
        theirs.grad = 2 * scale * (theirs.detach() - target)
        adam.step()
    torch.testing.assert_close(mine.codes, theirs.detach(), rtol=1e-5, atol=1e-6)


def test_a_search_that_gets_no_better_slows_down_and_ends():
    searches = new_searches(torch.zeros(1, 2), 1.0)
    rates = []
    while bool(searches.going(1000)):
        searches = step_searches(searches, torch.ones(1), torch.ones(1, 2), limit=1000)
        rates.append(float(searches.rate))
    assert rates[0] == 1
    assert rates == sorted(rates, reverse=True)
    assert 40 < len(rates) < 150


def test_a_loss_that_is_no_number_is_never_the_best():
    searches = new_searches(torch.zeros(1, 2), 1.0)
    for loss in (torch.tensor([2.0]), torch.tensor([torch.nan])):
        searches = step_searches(searches, loss, torch.ones(1, 2), limit=10)
    assert searches.loss.tolist() == [2.0]
    assert searches.best.tolist() == [[0.0, 0.0]]


def test_progress_counts_steps_up_to_the_total():
    model = Curved()
    _, images = own(model, 5)
    told = []
    invert_tensor(
        model,
        images,
        method="search",
        search=SHORT,
        seed=0,
        batch_size=2,
        progress=lambda done, total: told.append((done, total)),
    )
    assert {total for _, total in told} == {5 * (10 + 60)}
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1][0] == told[-1][1]


def test_json_says_what_made_it():
    model = LinearModel()
    _, images = own(model, 3)
    found = invert_tensor(model, images, method="search", search=SHORT, seed=4).to_json()
    assert found["method"] == "search"
    assert found["seed"] == 4
    assert found["settings"]["steps"] == 60
    keys = {"mse", "ssim", "steps", "start", "distance"}
    assert [set(entry) for entry in found["images"]] == [keys] * 3
    assert all(entry["distance"] <= found["distance_limit"] for entry in found["images"])
    assert found["mse"] == pytest.approx(np.mean([entry["mse"] for entry in found["images"]]))
    assert invert_tensor(model, images, method="network", seed=4).to_json()["settings"] is None


def test_a_source_is_inverted_with_its_ids(tmp_path):
    model = LinearModel()
    _, images = own(model, 5)
    path = tmp_path / "images.npy"
    np.save(path, (images * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy())
    source = open_images(path)
    codes, shown, inverted = invert_images(model, source, tmp_path / "cache", method="network")
    assert codes.ids.tolist() == source.ids.tolist()
    assert np.array_equal(codes.digests, source.digests)
    torch.testing.assert_close(shown, images, atol=0.002, rtol=0)
    torch.testing.assert_close(codes.vectors, inverted.codes)


def test_images_that_cannot_be_read_are_skipped(tmp_path):
    model = LinearModel()
    coder = Coder(LatentCache(tmp_path / "cache"), on_error="skip")
    (tmp_path / "bad.png").write_bytes(b"no image")
    with pytest.raises(ImageError, match=r"none of the 1 images of .* can be read"):
        invert_images(model, open_images(tmp_path), coder, method="network")


def test_methods_that_are_not_there_are_refused():
    _, images = own(LinearModel())
    with pytest.raises(ModelError, match="unknown method 'best': choose one of network, search, h"):
        invert_tensor(LinearModel(), images, method="best", seed=0)
    for method in set(INVERSION_METHODS) - {"search"}:
        with pytest.raises(ModelError, match=r"has no encoder for the method .*--method search"):
            invert_tensor(Curved(), images, method=method, seed=0)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"steps": 0}, "steps of a search must be at least 1, not 0"),
        ({"starts": 0}, "starts of a search must be at least 1"),
        ({"trial": 0}, "trial of a search must be at least 1"),
        ({"rate": 0}, "rate of a search must be above 0 and finite, not 0"),
        ({"prior": -1}, "prior of a search must be at least 0 and finite, not -1"),
        ({"perceptual": float("nan")}, "perceptual of a search must be at least 0 and finite"),
    ],
)
def test_settings_out_of_range_are_refused(setting, message):
    with pytest.raises(ModelError, match=message):
        SearchSettings(**setting)


def test_images_out_of_range_are_refused():
    with pytest.raises(ModelError, match=r"must be in \[0, 1\]"):
        search_codes(LinearModel(), torch.full((1, 1, 4, 4), 2.0), seed=0)
