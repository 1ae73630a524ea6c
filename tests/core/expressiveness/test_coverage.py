import json

import numpy as np
import pytest
import torch

from latentmap.errors import ModelError
from latentmap.expressiveness.coverage import FIGURES, measure_coverage


def values(real, generated, **options):
    measured = measure_coverage(real, generated, seed=0, **options)
    return {name: getattr(measured, name).value for name in FIGURES}


def by_definition(real, generated, k, k_density):
    """The formulas of the two papers, written with loops over plain numpy."""
    real, generated = real.double().numpy(), generated.double().numpy()

    def radius(points, i, k):
        return np.sort(np.linalg.norm(points - points[i], axis=1))[k]

    def balls(points, k):
        return [(centre, radius(points, i, k)) for i, centre in enumerate(points)]

    def inside(point, ball):
        return np.linalg.norm(point - ball[0]) <= ball[1]

    real_balls, fake_balls, wide = (
        balls(real, k),
        balls(generated, k),
        balls(real, k_density),
    )
    return {
        "precision": np.mean([any(inside(g, b) for b in real_balls) for g in generated]),
        "recall": np.mean([any(inside(r, b) for b in fake_balls) for r in real]),
        "density": sum(inside(g, b) for g in generated for b in wide) / k_density / len(generated),
        "coverage": np.mean([any(inside(g, b) for g in generated) for b in wide]),
    }


def test_a_case_solved_by_hand():
    # On a line: balls of real images reach to the neighbour, 1 or 6 away.
    real = torch.tensor([[0.0], [1.0], [2.0], [8.0]])
    generated = torch.tensor([[0.5], [30.0], [31.0], [33.0]])
    found = values(real, generated, k=1, k_density=1)
    # Only 0.5 lies in balls: in those of 0 and 1, whose radius is 1.
    assert found["precision"] == 1 / 4
    assert found["density"] == 2 / 4
    assert found["coverage"] == 2 / 4
    # The ball of 0.5 reaches 29.5 far and holds every real image.
    assert found["recall"] == 1


@pytest.mark.parametrize(("n", "m", "k", "k_density"), [(30, 41, 3, 5), (52, 20, 5, 2)])
def test_the_figures_are_those_of_their_definitions(n, m, k, k_density):
    generator = torch.Generator().manual_seed(n)
    real = torch.randn(n, 3, generator=generator)
    generated = 0.7 * torch.randn(m, 3, generator=generator) + 0.4
    found = values(real, generated, k=k, k_density=k_density)
    assert found == pytest.approx(by_definition(real, generated, k, k_density))


def test_blocks_change_nothing(monkeypatch):
    generator = torch.Generator().manual_seed(1)
    real, generated = torch.randn(2, 40, 4, generator=generator)
    whole = values(real, generated)
    monkeypatch.setattr("latentmap.expressiveness.coverage._NUMBERS", 7 * 40)
    assert values(real, generated) == whole


def test_turning_shifting_and_scaling_all_codes_changes_nothing():
    generator = torch.Generator().manual_seed(2)
    real, generated = torch.randn(2, 60, 4, generator=generator, dtype=torch.float64)
    turn = torch.linalg.qr(torch.randn(4, 4, generator=generator, dtype=torch.float64)).Q
    moved = [3 * codes @ turn + 5 for codes in (real, generated)]
    assert values(*moved) == pytest.approx(values(real, generated))


def test_the_same_codes_are_precise_recalled_and_covered():
    codes = torch.randn(50, 4, generator=torch.Generator().manual_seed(3))
    found = values(codes, codes)
    assert (found["precision"], found["recall"], found["coverage"]) == (1, 1, 1)


def test_a_perfect_generator_has_density_one_and_the_coverage_of_the_paper():
    generator = torch.Generator().manual_seed(4)
    real, generated = torch.randn(2, 1000, 8, generator=generator)
    found = measure_coverage(real, generated, seed=0)
    assert found.density.value == pytest.approx(1, abs=0.05)
    assert found.coverage.value == pytest.approx(1 - 2**-5, abs=0.02)
    assert found.coverage.low < found.coverage.value < found.coverage.high


def test_a_generator_of_one_of_two_modes_is_precise_and_covers_half():
    generator = torch.Generator().manual_seed(5)
    real = torch.randn(400, 4, generator=generator)
    real[200:] += 20
    generated = torch.randn(400, 4, generator=generator)
    found = values(real, generated)
    assert found["precision"] > 0.9
    assert found["coverage"] == pytest.approx(0.5, abs=0.03)
    assert found["recall"] <= 0.5
    exchanged = values(generated, real)
    assert exchanged["precision"] == pytest.approx(found["recall"])


def test_the_result_is_json_and_says_what_made_it():
    codes = torch.randn(20, 3, generator=torch.Generator().manual_seed(6))
    result = json.loads(
        json.dumps(measure_coverage(codes, codes, seed=0, record={"encoder": "vae"}).to_json())
    )
    assert result["record"] == {"k": 3, "k_density": 5, "encoder": "vae"}
    assert (result["n_real"], result["n_generated"], result["precision"]) == (20, 20, 1)
    assert result["density_low"] <= result["density"] <= result["density_high"]


def test_too_few_images_are_refused():
    with pytest.raises(ModelError, match=r"takes at least 6 images of each kind .* not 5 images"):
        measure_coverage(torch.randn(5, 2), torch.randn(9, 2), seed=0)
    with pytest.raises(ModelError, match="at least 1 neighbour"):
        measure_coverage(torch.randn(9, 2), torch.randn(9, 2), k=0, seed=0)


def test_codes_of_two_encoders_are_refused():
    with pytest.raises(ModelError, match=r"of one encoder, not \(9, 2\) and \(9, 3\)"):
        measure_coverage(torch.randn(9, 2), torch.randn(9, 3), seed=0)
