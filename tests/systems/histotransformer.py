"""DCT-HistoTransformer: attention between the 36 lowest frequencies of a two-dimensional cosine transform.

Its attention branch: an orthonormal cosine transform along both axes, cropped, one head of softmax attention between
coefficients, and back. The crop's size is ours.
"""

import numpy as np
from formulas import normal, product, scores, softmax

SIZES = {"B": [1, 2]}


def inputs(rng, B):
    return {"x": normal(rng, B, 16, 16, 8), **{n: normal(rng, 8, 8) * np.float32(0.3) for n in ("wq", "wk", "wv")}}


def outputs(x, wq, wk, wv):
    u, n = np.arange(6)[:, None], np.arange(16)[None, :]
    a = (np.where(u == 0, np.sqrt(1 / 16), np.sqrt(2 / 16)) * np.cos(np.pi * (n + 0.5) * u / 16)).astype(x.dtype)
    image = np.moveaxis(x, -1, 1)
    low = product(product(a, image), a.T)
    tokens = np.moveaxis(low, 1, -1).reshape(len(x), 36, 8)
    q, k, v = (product(tokens, w) for w in (wq, wk, wv))
    o = product(softmax(scores(q, k) * x.dtype.type(8 ** -0.5)), v)
    back = np.moveaxis(o.reshape(len(x), 6, 6, 8), -1, 1)
    return {"y": np.moveaxis(product(product(a.T, back), a), 1, -1)}
