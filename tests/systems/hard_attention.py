"""Learning Transformer Programs: each query reads the value of its best key, the first where several are.

Friedman et al. 2023, https://arxiv.org/abs/2306.01128, section 3; one-hot of the maximum.
"""

import numpy as np

SIZES = {"B": [1, 2, 1], "N": [1, 17, 65]}


def inputs(rng, B, N):
    """Categorical variables: exact scores, with ties."""
    one_hot = lambda: np.eye(16, dtype=np.float32)[rng.integers(0, 16, (B, 4, N))]
    return {"q": one_hot(), "k": one_hot(), "v": rng.standard_normal((B, 4, N, 16)).astype(np.float32)}


def outputs(q, k, v):
    best = np.einsum("bhid,bhjd->bhij", q, k).argmax(-1)
    return {"y": np.take_along_axis(v, best[..., None], 2)}
