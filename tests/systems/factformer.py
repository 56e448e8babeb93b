"""FactFormer: a kernel integral on a grid as one product along each axis.

Li et al. 2023, https://arxiv.org/abs/2305.17560, equation 9; weights per head and axis.
"""

from formulas import normal, product

SIZES = {"B": [1, 2, 1], "X": [1, 7, 20], "Y": [3, 9, 33]}


def inputs(rng, B, X, Y):
    return {"u": normal(rng, B, 4, X, Y, 16), "a": normal(rng, B, 4, X, X), "c": normal(rng, B, 4, Y, Y)}


def outputs(u, a, c):
    along_x = product(a[:, :, None], u.swapaxes(2, 3))
    return {"y": product(c[:, :, None], along_x.swapaxes(2, 3))}
