"""FNet: the real part of a Fourier transform over tokens and channels.

Lee-Thorp et al. 2022, https://arxiv.org/abs/2105.03824, equation 3.
"""

import numpy as np
from formulas import normal, product

SIZES = {"B": [1, 2, 5]}


def inputs(rng, B):
    return {"x": normal(rng, B, 96, 24)}


def outputs(x):
    """The transform by its definition, real and imaginary parts apart."""
    def wave(n):
        angle = (2 * np.pi * (np.outer(np.arange(n), np.arange(n)) % n) / n)
        return np.cos(angle).astype(x.dtype), np.sin(angle).astype(x.dtype)

    (cn, sn), (cd, sd) = wave(x.shape[1]), wave(24)
    return {"y": product(cn, product(x, cd)) - product(sn, product(x, sd))}
