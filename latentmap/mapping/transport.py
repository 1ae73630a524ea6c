"""Gaussian optimal transport: the map that only the two clouds of codes decide, without pairs."""

from __future__ import annotations

import torch

from latentmap.mapping.moments import Moments
from latentmap.mapping.solution import Solution, affine, condition_of, inverse_root


def solve_gaussian_ot(moments: Moments) -> Solution:
    """The optimal transport between the Gaussians of the two spaces' means and covariances.

    Equal sizes: ``Sx^-1/2 (Sx^1/2 Sy Sx^1/2)^1/2 Sx^-1/2`` (Olkin and Pukelsheim 1982), which uses
    no pair. Unequal sizes have no common coordinates; there it is the Gaussian Gromov-Wasserstein
    map (Delon, Desolneux and Salmona 2022), principal axis to principal axis by their variances. No
    covariance tells the signs of these axes: they are those of the pairs' covariance where
    ``moments`` have it, otherwise positive.
    """
    x = moments.source_spectrum
    if moments.p == moments.q:
        half = (x.directions * x.values.sqrt()) @ x.directions.T
        inverse = inverse_root(x) @ x.directions.T
        values, directions = torch.linalg.eigh(half @ moments.products_y @ half)
        middle = (directions * values.clamp(min=0).sqrt()) @ directions.T
        weight = inverse @ middle @ inverse
        return affine(moments, weight, rank=len(x.values), condition=condition_of(x.values))
    y = moments.target_spectrum
    k = min(len(x.values), len(y.values))
    source, target = x.directions[:, :k], y.directions[:, :k]
    signs = torch.where((source * (moments.xy @ target)).sum(0) < 0, -1.0, 1.0)
    stretch = signs * (y.values[:k] / x.values[:k]).sqrt()
    weight = (source * stretch) @ target.T
    return affine(moments, weight, rank=k, condition=condition_of(x.values[:k]))
