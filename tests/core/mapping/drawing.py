"""Codes to fit maps to, and the map of any method with hardly any penalty."""

import numpy as np
import torch

from latentmap.codes import Codes, Space, pair
from latentmap.mapping import METHODS, moments_of


def draw(n=400, p=12, q=5, *, decades=2.0, mean=1.0, noise=0.1, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, p, generator=generator) * torch.logspace(0, -decades, p) + mean
    y = x @ torch.randn(p, q, generator=generator) + noise * torch.randn(n, q, generator=generator)
    return x, y


def codes_of(x, name="a"):
    ids = [f"{i}.png" for i in range(len(x))]
    return Codes.from_array(ids, x, space=Space("z", x.shape[1], name, 2 * name))


def solve(name, x, y, *, zero=False, **others):
    """The map of a method with hardly any penalty and of full size."""
    moments = moments_of(x, y)
    moments = moments.about_zero() if zero else moments
    given = {
        "penalty": 1e-6 if name == "sparse" else 1e-3,
        "rank": min(moments.p, moments.q),
        "components": moments.p if name == "pls" else min(moments.p, moments.q),
        "noise": torch.zeros(moments.p),
    }
    method = METHODS[name]
    needed = {*method.free, *(("noise", "penalty") if name == "errors-in-variables" else ())}
    given = {key: value for key, value in given.items() if key in needed}
    if "pairs" in method.needs:
        given["pairs"] = pair(codes_of(x), codes_of(y, "b"))
    return method.solve(moments, **given, **others)


def centred(*arrays):
    arrays = [np.asarray(array, dtype=float) for array in arrays]
    return [array - array.mean(0) for array in arrays]


def rotation_of(p, seed=1):
    return torch.linalg.qr(torch.randn(p, p, generator=torch.manual_seed(seed)).double())[0]


def error_of(x, y, weight):
    xc, yc = centred(x, y)
    return float(np.square(yc - xc @ np.asarray(weight)).sum())
