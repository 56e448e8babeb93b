"""Reformer: one key and query, hashed into 8 buckets; tokens sorted by bucket see those of it in their chunk of 16 and the one before.

Kitaev et al. 2020, https://arxiv.org/abs/2001.04451, section 2: one round, bidirectional, keys of length one, a token
itself only where its bucket holds no other.
"""

import numpy as np
from formulas import heads, normal, product, scores, softmax, total

SIZES = {"B": [1, 2, 3, 1], "N": [1, 17, 65, 200]}


def inputs(rng, B, N):
    return {"q": heads(rng, B, 4, N, 16), "v": heads(rng, B, 4, N, 16), "turn": normal(rng, 4, 16, 4)}


def attended(q, v, turn):
    """One head."""
    turned = product(q, turn)
    bucket = np.concatenate([turned, -turned], -1).argmax(-1)
    order = np.argsort(bucket, kind="stable")
    y = np.empty_like(v)
    for at, token in enumerate(order):
        near = order[max(at // 16 - 1, 0) * 16:(at // 16 + 1) * 16]
        others = near[(bucket[near] == bucket[token]) & (near != token)]
        seen = others if others.size else np.array([token])
        keys = q[seen] / np.sqrt(total(q[seen] * q[seen]))
        y[token] = product(softmax(scores(q[token][None], keys) / q.dtype.type(4)), v[seen])[0]
    return y


def outputs(q, v, turn):
    return {"y": np.stack([[attended(q[b, h], v[b, h], turn[h]) for h in range(4)] for b in range(len(q))])}
