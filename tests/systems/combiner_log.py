"""Combiner, log-sparse: one softmax over a query itself and, for each bit of its position that is 1, the block of that size before it.

Ren et al. 2021, https://arxiv.org/abs/2107.05768, section 4.2; queries are scaled already, a block's key is the maximum of its keys,
its value what the maximum of its queries attends to in it. The blocks cover each prefix once.
"""

import numpy as np
from formulas import normal, product, scores, softmax

SIZES = {"B": [1, 2, 5]}


def inputs(rng, B):
    q, k, v = (normal(rng, B, 4, 32, 16) for _ in "qkv")
    return {"q": q / 4, "k": k, "v": v}


def outputs(q, k, v):
    y = np.empty_like(v)
    for i in range(q.shape[2]):
        keys, values = [k[:, :, i : i + 1]], [v[:, :, i : i + 1]]
        for level in range(5):
            size = 1 << level
            if i & size:
                block = slice(i // size * size - size, i // size * size)
                most = q[:, :, block].max(2, keepdims=True)
                keys.append(k[:, :, block].max(2, keepdims=True))
                values.append(product(softmax(scores(most, k[:, :, block])), v[:, :, block]))
        keys, values = np.concatenate(keys, 2), np.concatenate(values, 2)
        y[:, :, i] = product(softmax(scores(q[:, :, i : i + 1], keys)), values)[:, :, 0]
    return {"y": y}
