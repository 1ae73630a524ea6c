"""How far rounding may take what a network computes, on whatever processor computes it.

Processors add the products of a layer in orders of their own, so that a tolerance that was tried on
one of them is that of one.
"""

import copy
import math

import torch


def rounding_error(network, compute):
    """How far ``compute(network)`` in float32 may be from its value without rounding.

    A sum of k products that is rounded at every step is the exact sum of products that are off by
    about sqrt(k) half epsilons, since roundings up and down mostly cancel (Higham & Mary, 2019);
    twice that, since what is multiplied was rounded before. So this is what ``compute`` makes, in
    float64, of weights that are off by sqrt(k) epsilons, k that of the longest sum: epsilon times
    what the network amplifies. The largest difference of four draws.

    ``compute`` is given a network in float64 and returns a tensor in float64.
    """
    longest = max(math.prod(weight.shape[1:]) for weight in network.parameters())
    off = math.sqrt(longest) * torch.finfo(torch.float32).eps
    exact = compute(copy.deepcopy(network).double()).detach()
    assert exact.dtype == torch.float64
    generator = torch.Generator().manual_seed(0)
    errors = []
    for _ in range(4):
        other = copy.deepcopy(network).double()
        for weight in other.parameters():
            signs = torch.randint(2, weight.shape, generator=generator).to(weight) * 2 - 1
            weight.data = weight.data * (1 + off * signs)
        errors.append((compute(other).detach() - exact).abs().max())
    return float(max(errors))
