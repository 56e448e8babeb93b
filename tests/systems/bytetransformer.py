"""ByteTransformer: sentences packed without padding, block-diagonal by the offsets where they begin.

Zhai et al. 2022, https://arxiv.org/abs/2210.03052: softmax attention within each sentence of packed rows.
"""

import numpy as np
from formulas import normal, product, scores, softmax

SIZES = {"T": [1, 40, 300], "D": [1, 3, 9]}


def inputs(rng, T, D):
    offsets = np.concatenate([[0], np.sort(rng.integers(0, T + 1, D - 1))])
    return {"qkv": normal(rng, T, 3, 4, 16), "bias": normal(rng, 3, 4, 16), "offsets": offsets}


def outputs(qkv, bias, offsets):
    q, k, v = np.moveaxis(qkv + bias, (1, 2), (0, 1))
    y = np.zeros_like(q)
    for begin, end in zip(offsets, [*offsets[1:], len(qkv)]):
        rows = slice(begin, end)
        if end > begin:
            y[:, rows] = product(softmax(scores(q[:, rows], k[:, rows]) * q.dtype.type(0.25)), v[:, rows])
    return {"y": np.swapaxes(y, 0, 1)}
