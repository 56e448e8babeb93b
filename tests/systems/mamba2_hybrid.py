"""Mamba-2 hybrid: a whole Mamba-2 layer, causal attention of 4 heads on 2 key heads, and an MLP, each behind an RMS norm.

Waleffe et al. 2024, https://arxiv.org/abs/2406.07887, section 3: no position embedding, no bias. The Mamba-2 layer is
that of Dao and Gu 2024, https://arxiv.org/abs/2405.21060, section 7: four heads of 12 channels, two groups of B and C,
eight states, a norm for each group behind the gate. The MLP squares what is positive.
"""

import numpy as np
from formulas import normal, positions, product, recurrence, rms, scores, softmax

SIZES = {"B": [1, 2, 3, 1], "N": [1, 17, 65, 200]}
SHAPES = {"norm1": (24,), "norm2": (24,), "norm3": (24,), "into": (24, 132), "taps": (80, 4), "shift": (80,), "bias": (4,), "D": (4,),
          "scale": (2, 24), "out": (48, 24), "wqkv": (24, 48), "wo": (24, 24), "up": (24, 48), "down": (48, 24)}


def inputs(rng, B, N):
    weights = {name: (normal(rng, *shape) / shape[0] ** 0.5).astype(np.float32) for name, shape in SHAPES.items()}
    return {"x": normal(rng, B, N, 24), **weights, "A": np.log(rng.uniform(1, 16, 4)).astype(np.float32)}


def silu(x):
    return x / (1 + np.exp(-x))


def mamba2(x, into, taps, shift, A, bias, D, scale, out):
    b, n, _ = x.shape
    z, xbc, dt = np.split(product(x, into), [48, 128], -1)
    padded = np.concatenate([np.zeros((b, 3, 80), x.dtype), xbc], 1)
    xbc = silu(sum(padded[:, t:t + n] * taps[:, t] for t in range(4)) + shift)
    values, Bt, Ct = (part.reshape(b, n, -1, size) for part, size in zip(np.split(xbc, [48, 64], -1), (12, 8, 8)))
    step = np.logaddexp(dt + bias, x.dtype.type(0))
    of_heads = lambda groups: np.repeat(groups, 2, axis=2)
    y = recurrence(of_heads(Ct), of_heads(Bt), values * step[..., None], np.exp(-np.exp(A) * step)[..., None])
    y = (y + D[:, None] * values).reshape(b, n, 48) * silu(z)
    return product((rms(y.reshape(b, n, 2, 24), 1e-5) * scale).reshape(b, n, 48), out)


def attention(x, wqkv, wo):
    b, n, _ = x.shape
    q, k, v = (part.reshape(b, n, -1, 6).swapaxes(1, 2) for part in np.split(product(x, wqkv), [24, 36], -1))
    i, j = positions(n)
    weights = softmax(scores(q, np.repeat(k, 2, 1)) / x.dtype.type(6) ** x.dtype.type(0.5), j <= i)
    return product(product(weights, np.repeat(v, 2, 1)).swapaxes(1, 2).reshape(b, n, 24), wo)


def outputs(x, norm1, norm2, norm3, wqkv, wo, up, down, **mamba):
    x = x + mamba2(rms(x, 1e-5) * norm1, **mamba)
    x = x + attention(rms(x, 1e-5) * norm2, wqkv, wo)
    hidden = np.maximum(product(rms(x, 1e-5) * norm3, up), 0)
    return {"y": x + product(hidden * hidden, down)}
