"""Figures of samples against the programs of their authors: against numbers that these gave, and
against the programs themselves where they are installed (prdc, torch-fidelity, vendi-score).

The numbers are of prdc 0.2, torch-fidelity 0.4.0, vendi-score 0.0.3, and ClippedDensityCoverage of
github.com/nicolassalvy at 5e477ae, by the arrays of ``arrays`` below.
"""

import numpy as np
import pytest
import torch

from latentmap.expressiveness.coverage import measure_coverage
from latentmap.expressiveness.distances import kernel_distance, plain_frechet
from latentmap.expressiveness.diversity import vendi_score

CASES = {"small": (0, 60, 50, 6, 0), "half bad": (1, 120, 150, 12, 60)}
NUMBERS = {
    "small": {
        "precision": 0.92,
        "recall": 0.7833333333333333,
        "density": 1.088,
        "coverage": 0.9166666666666666,
        "clipped_density": 1.0,
        "clipped_coverage": 0.8627450980392157,
        "frechet": 1.3972638762246827,
        "kernel": 0.3893877444768008,
        "vendi": 5.705289318537854,
    },
    "half bad": {
        "precision": 0.5666666666666667,
        "recall": 0.43333333333333335,
        "density": 0.9733333333333333,
        "coverage": 0.9,
        "clipped_density": 0.9762237762237762,
        "clipped_coverage": 0.7152317880794702,
        "frechet": 179.04309057232732,
        "kernel": 17497.5206016579,
        "vendi": 11.393901687699415,
    },
}


def arrays(case):
    """Real codes ``(n, d)`` and generated ones ``(m, d)``, the first of which are far away."""
    seed, n, m, d, bad = CASES[case]
    chance = np.random.default_rng(seed)
    real, made = chance.normal(size=(n, d)), 0.8 * chance.normal(size=(m, d)) + 0.3
    made[:bad] += 6
    return real, made


def ours(case):
    real, made = arrays(case)
    found = measure_coverage(torch.from_numpy(real), torch.from_numpy(made))
    names = [name for name in NUMBERS[case] if hasattr(found, name)]
    k = min(len(real), len(made))  # Of as many of both, as torch-fidelity takes them.
    kernel = kernel_distance(torch.from_numpy(real[:k]), torch.from_numpy(made[:k])).value
    return {
        **{name: getattr(found, name).value for name in names},
        "frechet": plain_frechet(real, made),
        "kernel": kernel,
        "vendi": vendi_score(torch.from_numpy(real)).plain,
    }


@pytest.mark.parametrize("case", CASES)
def test_the_figures_are_those_that_the_published_programs_gave(case):
    assert ours(case) == pytest.approx(NUMBERS[case], rel=1e-9)


@pytest.mark.parametrize("case", CASES)
def test_precision_recall_density_and_coverage_are_those_of_prdc(case, capsys):
    prdc = pytest.importorskip("prdc")
    real, made = arrays(case)
    found = ours(case)
    narrow, wide = (prdc.compute_prdc(real, made, k) for k in (3, 5))
    for theirs, names in ((narrow, ("precision", "recall")), (wide, ("density", "coverage"))):
        for name in names:
            assert found[name] == pytest.approx(theirs[name], abs=1e-6)


@pytest.mark.parametrize("case", CASES)
def test_the_distances_are_those_of_torch_fidelity(case):
    metric_fid = pytest.importorskip("torch_fidelity.metric_fid")
    metric_kid = pytest.importorskip("torch_fidelity.metric_kid")
    real, made = (torch.from_numpy(one) for one in arrays(case))
    found = ours(case)
    statistics = [metric_fid.fid_features_to_statistics(one) for one in (real, made)]
    (fid,) = metric_fid.fid_statistics_to_metric(*statistics, False).values()
    assert found["frechet"] == pytest.approx(fid, rel=1e-6)
    k = min(len(real), len(made))
    kid = metric_kid.kid_features_to_metric(
        *(real[:k], made[:k]),
        kid_subsets=1,
        kid_subset_size=k,
        kid_kernel="poly",
        rng_seed=0,
        kid_kernel_poly_degree=3,
        kid_kernel_poly_gamma=None,
        kid_kernel_poly_coef0=1,
        verbose=False,
    )
    assert found["kernel"] == pytest.approx(kid["kernel_inception_distance_mean"], rel=1e-6)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # It imports what SciPy renamed.
@pytest.mark.parametrize("case", CASES)
def test_the_vendi_score_is_that_of_its_authors(case):
    vendi = pytest.importorskip("vendi_score.vendi")
    real, _ = arrays(case)
    rows = real / np.linalg.norm(real, axis=1, keepdims=True)
    assert ours(case)["vendi"] == pytest.approx(vendi.score_K(rows @ rows.T), rel=1e-6)
