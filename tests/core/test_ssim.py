"""SSIM by its laws, and against another way to compute it."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from latentmap.errors import ImageError
from latentmap.ssim import ssim


def images_of(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def slow_ssim(x, y):
    """One channel, as in the paper: means over Gaussian windows, of which the whole ones count."""

    def blur(values):
        # A radius of 5 pixels, as truncate says in sigmas.
        return gaussian_filter(values, 1.5, truncate=3.4)[5:-5, 5:-5]

    mean_x, mean_y = blur(x), blur(y)
    var_x, var_y = blur(x * x) - mean_x**2, blur(y * y) - mean_y**2
    covariance = blur(x * y) - mean_x * mean_y
    c1, c2 = 0.01**2, 0.03**2
    top = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    return np.mean(top / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2)))


@pytest.mark.parametrize("noise", [0.02, 0.3, 1.0])
def test_it_is_that_of_the_paper(noise):
    x = images_of(3, 3, 24, 17).cumsum(3) / 17
    y = (x + noise * (images_of(3, 3, 24, 17, seed=1) - 0.5)).clamp(0, 1)
    expected = [
        np.mean([slow_ssim(a.numpy(), b.numpy()) for a, b in zip(one, other, strict=True)])
        for one, other in zip(x, y, strict=True)
    ]
    np.testing.assert_allclose(ssim(x, y).numpy(), expected, rtol=1e-9)
    np.testing.assert_allclose(ssim(x.float(), y.float()).numpy(), expected, rtol=1e-6)


def test_equal_images_have_one_and_the_order_does_not_matter():
    x, y = images_of(4, 1, 16, 16), images_of(4, 1, 16, 16, seed=1)
    torch.testing.assert_close(ssim(x, x), torch.ones(4, dtype=torch.float64))
    torch.testing.assert_close(ssim(x, y), ssim(y, x))
    assert (ssim(x, y) < 0.5).all()


def test_images_without_structure_are_compared_by_brightness():
    x, y = torch.full((1, 1, 12, 12), 0.2), torch.full((1, 1, 12, 12), 0.6)
    expected = (2 * 0.2 * 0.6 + 1e-4) / (0.2**2 + 0.6**2 + 1e-4)
    torch.testing.assert_close(ssim(x, y), torch.tensor([expected]))


def test_float32_images_lose_no_digits_where_they_are_flat():
    edge = (torch.arange(40) >= 20).float().expand(2, 1, 40, 40)
    x, y = edge, torch.stack([edge[0], 0.7 * edge[1].roll(3, dims=1) + 0.2])
    # Rounding of the result alone.
    torch.testing.assert_close(ssim(x, y).double(), ssim(x.double(), y.double()), rtol=1e-7, atol=0)


def test_a_small_image_has_a_small_window():
    # One window of 3 x 3 in an image of 4 x 3 leaves two places.
    x, y = images_of(1, 1, 4, 3), images_of(1, 1, 4, 3, seed=1)
    places = [ssim(x[:, :, i : i + 3], y[:, :, i : i + 3]) for i in (0, 1)]
    torch.testing.assert_close(ssim(x, y), torch.stack(places).mean(0))


def test_its_gradient_is_that_of_finite_differences():
    x = images_of(1, 2, 12, 12).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: ssim(x, images_of(1, 2, 12, 12, seed=1)), x)


def test_images_of_other_shapes_are_refused():
    with pytest.raises(ImageError, match=r"one shape \(n, c, h, w\), not \(1, 1, 8, 8\) and \(1"):
        ssim(torch.rand(1, 1, 8, 8), torch.rand(1, 1, 8, 9))
