"""TimelyGPT: retention over irregular times, scores times gamma^(t_i - t_j) = exp(u_i - u_j).

Song et al. 2023, https://arxiv.org/abs/2312.00817, section 3; gamma = 1 - exp(linspace(log 1/32, log 1/512, heads)).
"""

import numpy as np
from formulas import heads, positions, product, scores

SIZES = {"B": [1, 2, 3, 1], "N": [1, 17, 65, 200]}


def inputs(rng, B, N):
    times = np.cumsum(rng.uniform(0, 2, (B, N)), -1)
    gamma = 1 - np.exp(np.linspace(np.log(1 / 32), np.log(1 / 512), 4))
    return {**{name: heads(rng, B, 4, N, 16) for name in "qkv"}, "t": times.astype(np.float32), "gamma": gamma.astype(np.float32)}


def outputs(q, k, v, t, gamma):
    i, j = positions(q.shape[2])
    age = np.where(j <= i, t[:, None, :, None] - t[:, None, None, :], 0)
    decay = np.where(j <= i, gamma[:, None, None] ** age, 0)
    return {"y": product(scores(q, k) * q.dtype.type(0.25) * decay, v)}
