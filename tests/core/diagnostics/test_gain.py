"""Information gains, by what linear decoders lose."""

import numpy as np
import pytest
import torch

from latentmap.diagnostics.gain import at_center, image_errors, information_gains

GENERATOR = torch.Generator().manual_seed(0)
WEIGHT = torch.randn(3, 12, generator=GENERATOR)
CODES = torch.randn(5, 3, generator=GENERATOR)
CENTER = torch.tensor([0.5, -1.0, 2.0], dtype=torch.float64)
IMAGES = torch.rand(5, 3, 2, 2, generator=GENERATOR)


def decode(codes):
    return (codes @ WEIGHT).view(-1, 3, 2, 2)


def by_hand(variable):
    """Of a linear decoder what is added is (c - z) w: its square, and twice its product with the
    residual.
    """
    w, z, x = WEIGHT.double().numpy(), CODES.double().numpy(), IMAGES.double().flatten(1).numpy()
    added = np.outer(CENTER[variable].item() - z[:, variable], w[variable])
    return (added**2 + 2 * added * (z @ w - x)).mean(1)


def test_gains_are_those_of_a_linear_decoder_by_hand():
    found = information_gains(decode, IMAGES, CODES, CENTER)
    assert (found.shape, found.dtype) == ((5, 3), torch.float64)
    for variable in range(3):
        np.testing.assert_allclose(found[:, variable], by_hand(variable), rtol=1e-5, atol=1e-6)


def test_chosen_variables_and_known_errors_change_nothing():
    whole = information_gains(decode, IMAGES, CODES, CENTER)
    errors = image_errors(decode, IMAGES, CODES)
    chosen = information_gains(decode, IMAGES, CODES, CENTER, variables=[2, 0], errors=errors)
    assert torch.equal(chosen, whole[:, [2, 0]])


def test_a_variable_at_its_center_or_unread_has_no_gain():
    codes = at_center(CODES, 1, CENTER)
    blind = WEIGHT.clone()
    blind[0] = 0
    found = information_gains(
        lambda z: (z @ blind).view(-1, 3, 2, 2), IMAGES, codes, CENTER, variables=[0, 1]
    )
    assert not found.any()


@pytest.mark.parametrize("mask", [[True, False, True], [False] * 3])
def test_several_variables_are_moved_together_and_codes_stay(mask):
    before = CODES.clone()
    moved = at_center(CODES, torch.tensor(mask), CENTER)
    expected = np.where(mask, CENTER.float().numpy(), before.numpy())
    np.testing.assert_array_equal(moved.numpy(), expected)
    assert torch.equal(CODES, before)
