"""Key-Value Transformer: keys are queries too, with a weighted sum of position features as bias.

Borji 2023, https://arxiv.org/abs/2305.19129; the score is the sum of w times ten features of position plus w times the score.
"""

from formulas import heads, normal, product, scores, softmax, total

SIZES = {"B": [1, 2, 3], "N": [1, 17, 65]}


def inputs(rng, B, N):
    k, v = (heads(rng, B, 4, N, 16) for _ in "kv")
    return {"k": k, "v": v, "feature": normal(rng, N, N, 10), "w": normal(rng, 10)}


def outputs(k, v, feature, w):
    y = scores(k, k) * k.dtype.type(0.25) * total(w)[0] + total(feature * w)[..., 0]
    return {"y": product(softmax(y), v)}
