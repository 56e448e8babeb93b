"""SSA: all queries on a drawn subset of the keys, gathered by index.

The dense attention on compacted keys of stochastically subsampled attention.
"""

from formulas import heads, product, scores, softmax

SIZES = {"B": [1, 2, 3], "N": [5, 64, 130], "M": [2, 16, 33]}


def inputs(rng, B, N, M):
    q, k, v = (heads(rng, B, 4, N, 16) for _ in "qkv")
    return {"q": q, "k": k, "v": v, "drawn": rng.permutation(N)[:M]}


def outputs(q, k, v, drawn):
    return {"y": product(softmax(scores(q, k[:, :, drawn]) * q.dtype.type(0.25)), v[:, :, drawn])}
