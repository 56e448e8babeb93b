"""Pathformer: the seasonality of its router, the three strongest frequencies of each series of 96 steps.

Chen et al. 2024, https://arxiv.org/abs/2402.05956, section 3.2: a transform, the three greatest amplitudes, and their cosines
in time again.
"""

import numpy as np
from formulas import normal, product

SIZES = {"B": [1, 2, 3], "V": [1, 7, 33]}


def inputs(rng, B, V):
    return {"x": normal(rng, B, 96, V)}


def outputs(x):
    turns = np.arange(48)[:, None] * np.arange(96) % 96 * (2 * np.pi / 96)
    cosines, sines = np.cos(turns).astype(x.dtype), np.sin(turns).astype(x.dtype)
    real, imaginary = product(cosines, x), -product(sines, x)
    amplitude = np.hypot(real, imaginary)
    strongest = 1 + np.argsort(-amplitude[:, 1:], axis=1, kind="stable")[:, :3]
    y = np.zeros_like(x)
    for b, v in np.ndindex(len(x), x.shape[2]):
        for k in strongest[b, :, v]:
            phase = np.arctan2(imaginary[b, k, v], real[b, k, v])
            y[b, :, v] += 2 * amplitude[b, k, v] / 96 * np.cos(turns[k].astype(x.dtype) + phase)
    return {"y": y}
