"""MossFormer: a whole block: squared ReLU attention in groups of 32 and linear attention over all, by one query and key, and a triple gate.

Zhao and Ma 2023, https://arxiv.org/abs/2302.11824, section 2.2, with ScaleNorm; 12 channels, queries and keys of 8.
"""

import numpy as np
from formulas import normal, positions, product, scores, total

SIZES = {"B": [1, 2, 3, 1], "N": [1, 17, 65, 200]}
SHAPES = {"wvu": (12, 48), "tvu": (48, 17), "wz": (12, 8), "tz": (8, 17), "wo": (24, 12), "to": (12, 17)}


def inputs(rng, B, N):
    weights = {name: (normal(rng, *shape) / shape[-2 if name[0] == "w" else -1] ** 0.5).astype(np.float32)
               for name, shape in SHAPES.items()}
    near_one = lambda *shape: (1 + normal(rng, *shape) / 4).astype(np.float32)
    return {"x": normal(rng, B, N, 12), "gains": near_one(3), **weights, "factors": near_one(4, 8), "offsets": normal(rng, 4, 8) / 4}


def ffconvm(x, gain, weight, taps):
    scaled = gain * x / np.maximum(np.sqrt(total(x * x) / x.dtype.type(x.shape[-1])), x.dtype.type(1e-5))
    hidden = product(scaled, weight)
    hidden = hidden / (1 + np.exp(-hidden))
    padded = np.pad(hidden, ((0, 0), (8, 8), (0, 0)))
    return hidden + sum(padded[:, t:t + x.shape[1]] * taps[:, t] for t in range(17))


def turned(x):
    """Pairs of neighbouring channels as complex numbers, turned by n 10000^(-2 c / 8)."""
    angles = np.arange(x.shape[1])[:, None] * 10000.0 ** (-np.arange(4) / 4)
    cosine, sine = np.cos(angles).astype(x.dtype), np.sin(angles).astype(x.dtype)
    a, b = x[..., 0::2], x[..., 1::2]
    return np.stack([a * cosine - b * sine, a * sine + b * cosine], -1).reshape(x.shape)


def outputs(x, gains, wvu, tvu, wz, tz, factors, offsets, wo, to):
    n = x.shape[1]
    late = np.concatenate([np.zeros_like(x[:, :1]), x[:, :-1]], 1)
    shifted = np.concatenate([late[..., :6], x[..., 6:]], -1)
    vu, z = ffconvm(shifted, gains[0], wvu, tvu), ffconvm(shifted, gains[1], wz, tz)
    qlocal, qlinear, klocal, klinear = (turned(z * f + s) for f, s in zip(factors, offsets))
    i, j = positions(n)
    relu = np.maximum(scores(qlocal, klocal) / x.dtype.type(32), 0)
    local = product(np.where(i // 32 == j // 32, relu * relu, 0), vu)
    linear = product(qlinear, product(np.swapaxes(klinear, 1, 2), vu)) / x.dtype.type(n)
    (av, au), (v, u) = np.split(local + linear, 2, -1), np.split(vu, 2, -1)
    return {"y": x + ffconvm(au * v / (1 + np.exp(-av * u)), gains[2], wo, to)}
