"""HGRN2: what a row of the state does not forget is what it writes, k = 1 - f; a lower bound for f.

Qin et al. 2024, https://arxiv.org/abs/2404.07904, section 3.
"""

import numpy as np
from formulas import normal, recurrence

SIZES = {"B": [1, 2, 3, 1], "N": [1, 17, 65, 200]}


def inputs(rng, B, N):
    arrays = {name: normal(rng, B, N, 4, depth) for name, depth in {"q": 16, "f": 16, "v": 32}.items()}
    return {**arrays, "low": rng.random((4, 16)).astype(np.float32)}


def outputs(q, f, v, low):
    one = q.dtype.type
    gate = low + (1 - low) / (1 + np.exp(-f))
    return {"y": recurrence(q / (1 + np.exp(-q)) * one(0.25), 1 - gate, v, gate)}
