import numpy as np

from latentmap.chances import holm


def test_holm_is_that_of_a_case_by_hand():
    # 4 * 0.01, 3 * 0.02, 2 * 0.03 (as the one before), 0.5.
    given = np.array([0.5, 0.01, 0.03, np.nan, 0.02])
    expected = [0.5, 0.04, 0.06, np.nan, 0.06]
    np.testing.assert_allclose(holm(given), expected)
    assert holm(np.array([0.6, 0.9])).tolist() == [1.0, 1.0]
