"""CCT: sequence pooling, a softmax over tokens of one learned projection.

Hassani et al. 2021, https://arxiv.org/abs/2104.05704, equation 5.
"""

import numpy as np
from formulas import normal, product, softmax, total

SIZES = {"B": [1, 2, 3, 1], "N": [1, 17, 65, 200]}


def inputs(rng, B, N):
    return {"x": normal(rng, B, N, 40), "w": normal(rng, 40), "c": np.float32(rng.standard_normal()).reshape(())}


def outputs(x, w, c):
    p = softmax(total(x * w)[..., 0] + c)
    return {"y": product(p[:, None], x)[:, 0]}
