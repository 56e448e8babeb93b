"""FactFormer, a whole block on a 3-D grid.

Li et al. 2023, https://arxiv.org/abs/2305.17560, section 3: as on a 2-D grid, with a third axis.
"""

from factformer_block import block, block_inputs

SIZES = {"B": [1, 2, 1], "X": [2, 3, 9], "Y": [1, 5, 8], "Z": [1, 4, 17]}


def inputs(rng, B, X, Y, Z):
    return block_inputs(rng, B, X=X, Y=Y, Z=Z)


def outputs(u, pos, **w):
    return block("xyz", u, pos, w)
