"""Gated DeltaNet: the state decays by exp(-exp(A) softplus(g + bias)), then a value replaces what stood under its key.

Yang et al. 2025, https://arxiv.org/abs/2412.06464, equation 10.
"""

import numpy as np
from formulas import normal, recurrence, unit

SIZES = {"B": [1, 2, 3, 1], "N": [1, 17, 65, 200]}


def inputs(rng, B, N):
    shapes = {"q": (4, 16), "k": (4, 16), "v": (4, 32), "b": (4,), "g": (4,)}
    arrays = {name: normal(rng, B, N, *shape) for name, shape in shapes.items()}
    return {**arrays, "A": np.log(rng.uniform(0.1, 4, 4)).astype(np.float32), "bias": normal(rng, 4)}


def outputs(q, k, v, b, g, A, bias):
    decay = np.exp(-np.exp(A) * np.log(1 + np.exp(g + bias)))
    return {"y": recurrence(unit(q) * q.dtype.type(0.25), unit(k), v, decay[..., None], 1 / (1 + np.exp(-b)))}
