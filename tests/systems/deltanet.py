"""DeltaNet: a value replaces what stood under its key, by a rate sigmoid(b); keys of length one.

Yang et al. 2024, https://arxiv.org/abs/2406.06484, equation 2.
"""

import numpy as np
from formulas import normal, recurrence, unit

SIZES = {"B": [1, 2, 3, 1], "N": [1, 17, 65, 200]}


def inputs(rng, B, N):
    shapes = {"q": (4, 16), "k": (4, 16), "v": (4, 32), "b": (4,)}
    return {name: normal(rng, B, N, *shape) for name, shape in shapes.items()}


def outputs(q, k, v, b):
    return {"y": recurrence(unit(q) * q.dtype.type(0.25), unit(k), v, None, 1 / (1 + np.exp(-b)))}
