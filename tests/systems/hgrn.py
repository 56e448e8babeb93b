"""HGRN: every channel a recurrence of its own, h = f h + (1 - f) silu(i).

Qin et al. 2023, https://arxiv.org/abs/2311.04823, equations 2 to 4, real-valued; the lower bound is 1/8.
"""

import numpy as np
from formulas import normal

SIZES = {"B": [1, 2, 3, 1], "N": [1, 17, 65, 200]}


def inputs(rng, B, N):
    return {"i": normal(rng, B, N, 48), "f": normal(rng, B, N, 48)}


def outputs(i, f):
    one = i.dtype.type
    gate = one(0.125) + one(0.875) / (1 + np.exp(-f))
    taken = (1 - gate) * (i / (1 + np.exp(-i)))
    y, h = np.zeros_like(i), np.zeros_like(i[:, 0])
    for t in range(i.shape[1]):
        h = gate[:, t] * h + taken[:, t]
        y[:, t] = h
    return {"y": y}
