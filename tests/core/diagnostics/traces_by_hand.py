"""A small trace whose figures are all different, with what gates or noise add to it."""

import numpy as np

from latentmap.diagnostics.traces import Epochs, Paths, Steps, Trace

SETTINGS = {"config": {"image_shape": [1, 2, 5]}, "tau": 3.0, "tau_mse": None, "variable": 1}


def trace_by_hand(*, epochs=4, steps=9, d=3, images=5, gates=False, noise=False):
    """So many epochs of 10 steps, after the moment before them; ``steps`` of these are recorded."""
    generator = np.random.default_rng(0)

    def some(*shape):
        return generator.uniform(0.01, 0.99, shape).astype(np.float32)

    number = np.linspace(1, 10 * epochs, steps).astype(np.int64)
    done = np.arange(epochs + 1) * 10
    more = (some(steps, d), some(steps)) if gates else ()
    worth = {
        "noise": some(epochs + 1),
        "gain_nats": some(epochs + 1),
        "cost_nats": some(epochs + 1),
    }
    return Trace(
        Steps(number, *(some(steps) for _ in range(3)), *(some(steps, d) for _ in range(3)), *more),
        Epochs(done, *(some(epochs + 1, d) for _ in range(4)), **(worth if noise else {})),
        Paths(done.copy(), some(epochs + 1, images, d), some(epochs + 1, images, d)),
        tuple(f"{i}.png" for i in range(images)),
        tuple("ab"[i % 2] for i in range(images)),
        {"settings": SETTINGS},
    )
