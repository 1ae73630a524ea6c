"""The latent plane: what is drawn of it, the grid over the prior, and the distances beside it."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import norm

from latentmap.diagnostics import energy, plane_figures
from latentmap.diagnostics.energy import energy_distance
from latentmap.diagnostics.plane import look_at_plane, require_plane
from latentmap.diagnostics.plane_figures import (
    codes_plot,
    grid_images,
    plane_plot,
    plane_section,
)
from latentmap.diagnostics.prior_grid import prior_grid, quantiles
from latentmap.errors import ImageError, ModelError
from latentmap.frames import Frame
from latentmap.images import open_images
from latentmap.model import Mixture, Posterior
from latentmap.model.testing import LinearModel
from latentmap.report import save_figure
from latentmap.report.page import render
from latentmap.report.parts import Report


@pytest.fixture(autouse=True)
def few_resamplings(monkeypatch):
    monkeypatch.setattr(energy, "N_BOOTSTRAP", 100)


@pytest.fixture
def images(tmp_path):
    path = tmp_path / "images.npy"
    np.save(path, np.random.default_rng(0).integers(0, 256, (60, 4, 4), dtype=np.uint8))
    return open_images(path)


def pixels_of(images):
    pixels = torch.stack([torch.tensor(images.read(i)) for i in range(len(images))])
    return pixels.permute(0, 3, 1, 2).float() / 255


class Uneven(LinearModel):
    """Posterior variances that differ by variable."""

    def _posterior(self, images):
        found = super()._posterior(images)
        return Posterior(found.mean, found.variance * torch.arange(1, self.latent_dim + 1))


class NoNews(LinearModel):
    """Every posterior is the prior."""

    def _posterior(self, images):
        mean = torch.zeros(len(images), self.latent_dim)
        return Posterior(mean, torch.ones_like(mean))

    def _sample(self, n, generator):
        return torch.randn(n, self.latent_dim, generator=generator)


def test_quantiles_cut_the_prior_into_equal_parts():
    np.testing.assert_allclose(norm.cdf(quantiles(20)), np.arange(0.025, 1, 0.05))


@pytest.mark.parametrize(("d", "squares", "side"), [(2, 1, 20), (3, 5, 5), (4, 9, 3), (5, 1, 20)])
def test_the_grid_shows_what_the_codes_decode_to(d, squares, side):
    model = LinearModel(latent_dim=d)
    center = torch.linspace(-0.5, 0.5, d)
    grid = prior_grid(model, (1, 0), center)
    assert grid.images.shape == (squares, side, side, 1, 4, 4)
    values = torch.from_numpy(quantiles(side)).float()
    others = {3: [(k,) for k in range(5)], 4: [(k, j) for j in (2, 1, 0) for k in range(3)]}
    for square, places in enumerate(others.get(d, [()])):
        code = center.clone()
        code[1], code[0] = values[-1], values[1]  # At the right, in the second row from below.
        for variable, place in enumerate(places, 2):
            code[variable] = values[place]
            assert f"variable {variable} at {values[place]:.2f}" in grid.captions[square]
        shown = grid.images[square, side - 2, side - 1]
        torch.testing.assert_close(shown, model.decode(code[None])[0])


@pytest.mark.parametrize("d", [2, 3])
def test_all_of_two_or_three_variables_are_drawn(images, d):
    model = Uneven(latent_dim=d)
    labels = [str(i % 11) for i in range(60)]
    plane = look_at_plane(model, images, labels=labels)
    assert plane.variables == tuple(range(d))
    assert plane.gains is None
    assert len(plane.pairs) == d * (d - 1) // 2
    x = pixels_of(images)
    np.testing.assert_allclose(plane.mean, model.encode(x).numpy(), rtol=1e-5, atol=1e-6)
    # radius^2 is the geometric mean: of 0.25 and 0.5.
    np.testing.assert_allclose(plane.radii((0, 1)) ** 2, np.full(60, np.sqrt(0.125)), rtol=1e-5)
    assert [plane.names[group] for group in plane.groups] == labels
    assert plane.names[-1] == "10"


def test_of_more_variables_those_of_most_gain_are_drawn(images):
    model = LinearModel(latent_dim=6, seed=3)
    plane = look_at_plane(model, images)
    x = pixels_of(images)
    codes = model.encode(x)
    base = (model.decode(codes) - x).square().mean()
    gains = []
    for variable in range(6):
        moved = codes.clone()
        moved[:, variable] = codes[:, variable].mean()
        gains.append(float((model.decode(moved) - x).square().mean() - base))
    first, second = np.argsort(gains)[::-1][:2]
    assert plane.variables == (first, second)
    assert plane.gains == pytest.approx((gains[first], gains[second]), rel=1e-3)
    told = look_at_plane(model, images, gains=np.array([0.1, 0.3, 0.0, 0.2, 0.0, 0.0]))
    assert (told.variables, told.gains) == ((1, 3), (0.3, 0.2))
    np.testing.assert_allclose(plane.mean, codes[:, [first, second]].numpy(), atol=1e-6)
    assert f"{first}, {second} of 6" in str(plane)
    assert plane.names == ("",)
    assert plane.grid.variables == (first, second)


def test_distances_are_those_of_the_rows_that_are_named(images):
    model, encoder = LinearModel(latent_dim=2), LinearModel(latent_dim=3, name="other")
    plain = look_at_plane(model, images, seed=4)
    x, made = pixels_of(images), model.decode(model.sample(60, seed=4))
    expected = energy_distance(x.flatten(1), made.flatten(1), seed=4)
    assert plain.distances.images == pytest.approx(expected, rel=1e-6)
    assert plain.distances.space == "pixels"
    by_codes = look_at_plane(model, images, seed=4, encoder=encoder)
    expected = energy_distance(encoder.encode(x), encoder.encode(made), seed=4)
    assert by_codes.distances.images == pytest.approx(expected, rel=1e-6)
    assert "codes of other" in str(by_codes)
    assert by_codes.distances.codes == plain.distances.codes
    found = json.loads(json.dumps(plain.to_json()))
    for name in ("energy_codes", "energy_codes_floor", "energy_images", "energy_images_floor"):
        assert found[f"{name}_low"] <= found[name] <= found[f"{name}_high"]
    assert found["energy_n"] == 60
    assert plain.to_json() != look_at_plane(model, images, seed=5).to_json()
    assert plain.to_json() == look_at_plane(model, images, seed=4).to_json()


def test_an_encoder_of_another_size_sees_both_sides_at_its_own(images):
    encoder = LinearModel(latent_dim=3, image_shape=(3, 8, 8), name="large")
    plane = look_at_plane(LinearModel(latent_dim=2), images, encoder=encoder)
    assert plane.distances.images.value > plane.distances.images_floor.value


def test_posteriors_that_are_the_prior_are_not_far_from_it(images):
    values = [
        look_at_plane(NoNews(latent_dim=8), images, seed=k).distances.codes.value for k in range(30)
    ]
    # The samples of both are independent: where they had one noise, all would be below 0.
    error = np.std(values) / np.sqrt(len(values))
    assert abs(np.mean(values)) < 3.5 * error
    assert min(values) < 0 < max(values)


def test_many_images_are_drawn_by_the_seed_with_their_labels(images, monkeypatch):
    monkeypatch.setattr("latentmap.diagnostics.plane._ROWS", 10)
    labels = [f"image {i}" for i in range(60)]
    plane = look_at_plane(LinearModel(latent_dim=2), images, labels=labels, seed=1)
    codes = LinearModel(latent_dim=2).encode(pixels_of(images)).numpy()
    for mean, group in zip(plane.mean, plane.groups, strict=True):
        number = int(plane.names[group].split()[1])
        np.testing.assert_allclose(mean, codes[number], atol=1e-6)
    assert len(plane.mean) == plane.distances.n == 10
    others = look_at_plane(LinearModel(latent_dim=2), images, labels=labels, seed=2)
    assert plane.names != others.names


def test_images_that_cannot_be_read_are_left_out_with_their_labels(tmp_path):
    for number in range(12):
        Image.fromarray(np.full((4, 4), 10 * number + 50, np.uint8)).save(
            tmp_path / f"{number}.png"
        )
    (tmp_path / "4.png").write_bytes(b"no picture")
    source = open_images(tmp_path)
    model, labels = LinearModel(latent_dim=2), [f"image {i}" for i in range(12)]
    with pytest.raises(ImageError, match=r"image '4\.png'"):
        look_at_plane(model, source, labels=labels)
    plane = look_at_plane(model, source, labels=labels, on_error="skip")
    assert plane.skipped == ("4.png",)
    assert [plane.names[group] for group in plane.groups] == labels[:4] + labels[5:]
    codes = model.encode(pixels_of(source.subset([5])))
    np.testing.assert_allclose(plane.mean[4], codes[0].numpy(), atol=1e-6)


def test_a_fitted_prior_is_not_said_to_be_what_the_grid_is_over(images):
    model = LinearModel(latent_dim=2)
    own = look_at_plane(model, images)
    page = render(Report("r", [plane_section(own, record={})]))
    assert "95 % of the prior" in page
    assert "as likely as every other" in page
    assert own.to_json()["plane_prior"] is None
    model.prior = Mixture.normal(torch.full((2,), 9.0), torch.eye(2))
    plane = look_at_plane(model, images)
    page = render(Report("r", [plane_section(plane, record={})]))
    assert "95 % of N(0, 1)" in page
    assert "as likely as every other" not in page
    assert plane.to_json()["plane_prior"] == "a normal distribution"
    assert "a normal distribution" in str(plane)
    torch.testing.assert_close(plane.grid.images, own.grid.images)
    assert plane.distances.codes.value > own.distances.codes.value + 1


def test_what_has_no_plane_is_refused(images):
    with pytest.raises(ModelError, match="one latent variable, and a plane needs two"):
        look_at_plane(LinearModel(latent_dim=1), images)
    other = LinearModel(frame=Frame("center"), name="other")
    with pytest.raises(ModelError, match="other sees frame center of a picture, and linear makes"):
        require_plane(LinearModel(), other)
    with pytest.raises(ImageError, match=r"at least 10 images .* and there are 9"):
        look_at_plane(LinearModel(), images.subset(range(9)))


@pytest.mark.parametrize("d", [2, 3, 4, 5])
def test_pictures_and_section_are_drawn(images, tmp_path, d):
    plane = look_at_plane(LinearModel(latent_dim=d), images, labels=["x<b>$", "y"] * 30)
    save_figure(plane_plot(plane), tmp_path / "plane.png")
    assert (tmp_path / "plane.png").stat().st_size > 10_000
    section = plane_section(plane, record={"command": "c"})
    page = render(Report("r", [section]))
    assert "Energy distances" in page
    assert page.count("data:image/") == 2
    assert plane_section(plane, record={"command": "c"}).id == section.id
    save_figure(plane_plot(plane), tmp_path / "plane.pdf", width=8)


def test_a_grid_shows_its_images_pixel_by_pixel():
    model = LinearModel(latent_dim=2, image_shape=(3, 4, 4))
    grid = prior_grid(model, (0, 1), torch.zeros(2))
    picture = np.asarray(grid_images(grid).picture())
    factor = picture.shape[0] // 80
    assert picture.shape == (80 * factor, 80 * factor, 3)
    shown = picture[factor // 2 :: factor, factor // 2 :: factor]
    expected = (grid.images[0, 2, 7] * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(shown[8:12, 28:32], expected)


def test_large_images_of_a_grid_are_made_smaller(monkeypatch):
    monkeypatch.setattr(plane_figures, "_TALLEST", 3)
    grid = prior_grid(LinearModel(latent_dim=2), (0, 1), torch.zeros(2))
    assert grid_images(grid).picture().size == (60, 60)


def test_codes_have_the_colours_of_their_labels(images):
    plane = look_at_plane(LinearModel(latent_dim=2), images, labels=["only"] * 60)
    picture = np.asarray(codes_plot(plane).picture()).reshape(-1, 3)
    assert (picture == (0x00, 0x72, 0xB2)).all(1).sum() > 60
