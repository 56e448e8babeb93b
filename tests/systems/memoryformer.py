"""MemoryFormer: signs of channel groups address tables, the rows found are weighted and summed.

Ding et al. 2024, https://arxiv.org/abs/2411.12992, section 3.1; 6 groups of 4 channels, tables of 16 rows.
"""

import numpy as np
from formulas import normal, total

SIZES = {"B": [1, 2, 3, 1], "N": [1, 17, 65, 200]}


def inputs(rng, B, N):
    return {"x": normal(rng, B, N, 24), "table": normal(rng, 6, 16, 20)}


def outputs(x, table):
    """The weight is the softmax over all codes of <x, code>, at the code of the signs: a product of sigmoids."""
    groups = x.reshape(x.shape[:2] + (6, 4))
    at = ((groups >= 0) * 2 ** np.arange(4)).sum(-1)
    weight = np.prod(1 / (1 + np.exp(-2 * np.abs(groups))), -1)
    return {"y": total(table[np.arange(6), at] * weight[..., None], 2)[:, :, 0]}
