"""Mamba: each channel's 8 states decay by exp(dt A) and take in dt B x, read by C, with a skip D x.

Gu and Dao 2023, https://arxiv.org/abs/2312.00752, algorithm 2, between the convolution and the gate.
"""

import numpy as np
from formulas import normal

SIZES = {"B": [1, 2, 3, 1], "N": [1, 17, 65, 200]}


def inputs(rng, B, N):
    arrays = {"x": normal(rng, B, N, 24), "Bt": normal(rng, B, N, 8), "Ct": normal(rng, B, N, 8), "dt": normal(rng, B, N, 24)}
    rates = np.log(np.tile(np.arange(1, 9), (24, 1))).astype(np.float32)
    return {**arrays, "A": rates, "bias": normal(rng, 24), "D": normal(rng, 24)}


def outputs(x, Bt, Ct, dt, A, bias, D):
    step = np.log(1 + np.exp(dt + bias))
    y, h = np.zeros_like(x), np.zeros((x.shape[0], *A.shape), x.dtype)
    for t in range(x.shape[1]):
        h = np.exp(-np.exp(A) * step[:, t, :, None]) * h + (step * x)[:, t, :, None] * Bt[:, t, None, :]
        y[:, t] = np.add.accumulate(h * Ct[:, t, None, :], -1)[..., -1]
    return {"y": y + D * x}
