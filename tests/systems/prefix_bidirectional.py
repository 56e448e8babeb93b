"""GLM, xTrimoPGLM: a prefix, whose length is an input, sees itself; what follows is causal.

Du et al. 2022, https://arxiv.org/abs/2103.10360, section 2.
"""

from formulas import heads, positions, product, scores, softmax

SIZES = {"B": [1, 2, 3, 1], "N": [1, 17, 65, 200]}


def inputs(rng, B, N):
    q, k, v = (heads(rng, B, 4, N, 16) for _ in "qkv")
    return {"q": q, "k": k, "v": v, "prefix": rng.integers(0, N + 1, B)}


def outputs(q, k, v, prefix):
    i, j = positions(q.shape[2])
    keep = (j < prefix[:, None, None, None]) | (j <= i)
    return {"y": product(softmax(scores(q, k) * q.dtype.type(0.25), keep), v)}
