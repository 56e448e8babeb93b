"""FactFormer, a whole block on a 2-D grid.

Li et al. 2023, https://arxiv.org/abs/2305.17560, section 3; 16 channels, 2 heads of 8, kernels 16 wide (so not scaled).
"""

import math

import numpy as np
from formulas import normal, product, total

SIZES = {"B": [1, 2, 1], "X": [2, 7, 20], "Y": [1, 9, 33]}
erf = np.vectorize(math.erf, otypes=[float])


def axis_inputs(rng, name, size):
    weight = lambda *shape: normal(rng, *shape) / np.float32(4)
    return {f"at{name}": np.linspace(0, 1, size, dtype=np.float32), f"w{name}": weight(16, 16), f"g{name}": 1 + weight(16), f"s{name}": weight(16),
            f"a{name}": weight(16, 32), f"ab{name}": weight(32), f"f{name}": weight(16, 16), f"fb{name}": weight(16),
            f"wq{name}": weight(16, 2, 16), f"wk{name}": weight(16, 2, 16)}


def block_inputs(rng, B, **grid):
    weight = lambda *shape: normal(rng, *shape) / np.float32(4)
    given = {"u": normal(rng, B, *grid.values(), 16), "pos": normal(rng, *grid.values(), 16), "g": 1 + weight(16), "s": weight(16),
             "wv": weight(16, 2, 8), "win": weight(16, 16), "wo": weight(2, 8, 16), "wp": weight(16, 16)}
    for name, size in grid.items():
        given |= axis_inputs(rng, name.lower(), size)
    return given


def inputs(rng, B, X, Y):
    return block_inputs(rng, B, X=X, Y=Y)


def layer_norm(x, scale, shift):
    width = x.dtype.type(x.shape[-1])
    centred = x - total(x) / width
    return centred / np.sqrt(total(centred * centred) / width + x.dtype.type(1e-5)) * scale + shift


def gelu(x):
    return (0.5 * x * (1 + erf(x * math.sqrt(0.5)))).astype(x.dtype)


def rotated(x, positions):
    """The first half of the depth with the second, by angles 64 t · 10000^(-i / 8)."""
    angles = (positions[:, None] * 64 * 10000.0 ** (-np.arange(8) / 8)).astype(x.dtype)
    cos, sin = np.cos(angles), np.sin(angles)
    a, b = x[..., :8], x[..., 8:]
    return np.concatenate([a * cos - b * sin, b * cos + a * sin], -1)


def kernel_of(n, axis, name, w):
    """[b, h, i, j] of one axis: from the mean over all others."""
    mean = n
    for other in range(1, n.ndim - 1):
        if other != axis:
            mean = total(mean, other) / n.dtype.type(n.shape[other])
    mean = mean.reshape(n.shape[0], n.shape[axis], 16)
    r = layer_norm(product(product(mean, w["win"]), w["w" + name]), w["g" + name], w["s" + name])
    wide = product(r, w["a" + name]) + w["ab" + name]
    r = product(gelu(wide[..., :16]) * wide[..., 16:], w["f" + name]) + w["fb" + name]
    project = lambda c: np.stack([rotated(product(r, w[c + name][:, h]), w["at" + name]) for h in range(2)], 1)
    return product(project("wq"), project("wk").swapaxes(-1, -2))


def block(names, u, pos, w):
    x = u + pos
    n = layer_norm(x, w["g"], w["s"])
    heads = []
    for h in range(2):
        z = product(n, w["wv"][:, h])  # [b, grid…, d]
        for axis, name in enumerate(names, 1):
            kernel = kernel_of(n, axis, name, w)[:, h]
            rows = np.moveaxis(z, axis, 1)
            z = np.moveaxis(product(kernel, rows.reshape(*rows.shape[:2], -1)).reshape(rows.shape), 1, axis)
        flat = z.reshape(len(z), -1)
        centred = flat - total(flat) / flat.dtype.type(flat.shape[1])
        spread = total(centred * centred) / flat.dtype.type(flat.shape[1] - 1)
        heads.append(product((centred / np.sqrt(spread + flat.dtype.type(1e-8))).reshape(z.shape), w["wo"][h]))
    return {"y": product(gelu(heads[0] + heads[1]), w["wp"]) + x}


def outputs(u, pos, **w):
    return block("xy", u, pos, w)
