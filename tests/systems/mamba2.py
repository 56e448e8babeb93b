"""Mamba-2: a scalar decay exp(dt A) for each head, B and C shared by all of them, and a skip D x.

Dao and Gu 2024, https://arxiv.org/abs/2405.21060, section 7, between the convolution and the norm.
"""

import numpy as np
from formulas import normal, recurrence

SIZES = {"B": [1, 2, 3, 1], "N": [1, 17, 65, 200]}


def inputs(rng, B, N):
    arrays = {"x": normal(rng, B, N, 4, 32), "Bt": normal(rng, B, N, 1, 16), "Ct": normal(rng, B, N, 1, 16),
              "dt": normal(rng, B, N, 4)}
    return {**arrays, "A": np.log(rng.uniform(0.1, 4, 4)).astype(np.float32), "bias": normal(rng, 4), "D": normal(rng, 4)}


def outputs(x, Bt, Ct, dt, A, bias, D):
    step = np.log(1 + np.exp(dt + bias))
    shared = lambda rows: np.repeat(rows, 4, axis=2)
    y = recurrence(shared(Ct), shared(Bt), x * step[..., None], np.exp(-np.exp(A) * step)[..., None])
    return {"y": y + D[:, None] * x}
