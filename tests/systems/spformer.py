"""SPFormer: pixels and the 3 x 3 superpixels around them attend to each other, one score under two normalisations.

Superpixel cross-attention: 12 x 12 pixels in 4 x 4 cells of 3 x 3; each of the two sides is one softmax of the same scores.
"""

import numpy as np
from formulas import normal, product, scores, softmax

SIZES = {"B": [1, 2, 5]}


def inputs(rng, B):
    return {**{name: normal(rng, B, 144, 16) for name in ("pixels", "qx", "vx")},
            **{name: normal(rng, B, 16, 16) for name in ("cells", "ks", "vs")}}


def outputs(pixels, qx, vx, cells, ks, vs):
    pixel, cell = np.arange(144), np.arange(16)
    rows = abs(pixel[:, None] // 12 // 3 - cell // 4) <= 1
    columns = abs(pixel[:, None] % 12 // 3 - cell % 4) <= 1
    near = rows & columns
    s = scores(qx, ks)
    return {"x1": pixels + product(softmax(s, near), vs),
            "s1": cells + product(softmax(np.swapaxes(s, 1, 2), near.T), vx)}
