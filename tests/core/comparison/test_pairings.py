import numpy as np
import torch

from latentmap.comparison.pairings import Triangle, random_overlaps, random_products
from latentmap.comparison.steps import Steps


def relations(m=3, n=9, seed=0):
    generator = torch.Generator().manual_seed(seed)
    found = torch.randn(m, n, n, generator=generator, dtype=torch.float64)
    found = found + found.transpose(1, 2)
    for one in found:
        one.fill_diagonal_(0)
    return found


def orders(n=9, b=5):
    generator = torch.Generator().manual_seed(1)
    return [torch.randperm(n, generator=generator) for _ in range(b)]


def by_hand(found, order):
    mixed = found[:, order][:, :, order]
    return torch.einsum("iab,jab->ij", found, mixed).numpy()


def test_products_are_those_of_permuted_rows_and_columns():
    found, other = relations(), relations(seed=7)
    triangle, seen = Triangle(9), []
    packed = {"one": triangle.pack(found), "other": triangle.pack(other)}
    steps = Steps(lambda done, total: seen.append(done), 5)
    products = random_products(triangle, packed, orders(), steps)
    for number, order in enumerate(orders()):
        np.testing.assert_allclose(products["one"][number], by_hand(found, order), rtol=1e-5)
        np.testing.assert_allclose(products["other"][number], by_hand(other, order), rtol=1e-5)
    assert seen == [1, 2, 3, 4, 5]


def test_the_order_that_changes_nothing_gives_the_products_themselves():
    found = relations()
    triangle = Triangle(9)
    steps = Steps(None, 1)
    (products,) = random_products(
        triangle, {"one": triangle.pack(found)}, [torch.arange(9)], steps
    )["one"]
    np.testing.assert_allclose(products, np.einsum("iab,jab->ij", found, found), rtol=1e-5)


def test_overlaps_of_few_entries_are_the_same_products():
    generator = torch.Generator().manual_seed(2)
    few = (torch.rand(3, 9, 9, generator=generator) < 0.3).double()
    found = random_overlaps(few, orders())
    for number, order in enumerate(orders()):
        expected = by_hand(few, order)
        upper = np.triu_indices(3, 1)
        np.testing.assert_allclose(found[number][upper], expected[upper])
        np.testing.assert_allclose(found[number].T[upper], expected[upper])
