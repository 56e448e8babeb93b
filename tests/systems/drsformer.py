"""DRSformer: channels attend to channels; four softmaxes over the greatest scores of a row are summed with learned weights.

Chen et al. 2023, https://arxiv.org/abs/2303.11950, top-k sparse attention with ratios 1/2, 2/3, 3/4 and 4/5 of 12 channels.
"""

import numpy as np
from formulas import normal, product, scores, softmax, total

SIZES = {"B": [1, 2, 1], "P": [1, 35, 130]}


def inputs(rng, B, P):
    q, k, v = (normal(rng, B, 2, 12, P) for _ in "qkv")
    return {"q0": q, "k0": k, "v": v, "temperature": normal(rng, 2), "weights": normal(rng, 4)}


def outputs(q0, k0, v, temperature, weights):
    unit = lambda x: x / np.maximum(np.sqrt(total(x * x)), x.dtype.type(1e-12))
    s = scores(unit(q0), unit(k0)) * temperature[:, None, None]
    ranked = np.sort(s, -1)
    return {"y": sum(w * product(softmax(s, s >= ranked[..., -count, None]), v)
                     for w, count in zip(weights, (6, 8, 9, 9)))}
