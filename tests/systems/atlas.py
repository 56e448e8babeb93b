"""ATLAS: a chunk of a linear memory of polynomial features that learns from the last 8 tokens at every step, by orthogonalised momentum.

Behrouz et al. 2025, https://arxiv.org/abs/2505.23735, the Omega rule and its update by Newton and Schulz's iteration; what
weighs the tokens of the window and the degrees of the features is given, for the paper learns it.
"""

import numpy as np
from formulas import normal, product, total

SIZES = {"B": [1, 2, 3, 1], "N": [1, 17, 33, 64]}


def inputs(rng, B, N):
    rows = {"q": normal(rng, B, 2, N, 3), "k": normal(rng, B, 2, N, 3), "v": normal(rng, B, 2, N, 5)}
    gates = {"gamma": (0, 1), "theta": (0.5, 1), "eta": (0, 0.1), "alpha": (0.9, 1)}
    drawn = {name: rng.uniform(*ends, (B, 2, N)).astype(np.float32) for name, ends in gates.items()}
    states = {name: (normal(rng, B, 2, 13, 5) / 4).astype(np.float32) for name in "WS"}
    return {**rows, "terms": np.array([1, 0.7, 0.4], np.float32), **drawn, **states}


def features(x, terms):
    outer = (x[..., :, None] * x[..., None, :]).reshape(*x.shape[:-1], 9)
    return np.concatenate([np.broadcast_to(terms[0], (*x.shape[:-1], 1)), terms[1] * x, terms[2] * outer], -1)


def orthogonalised(S):
    a, b, c = (S.dtype.type(x) for x in (3.4445, -4.7750, 2.0315))
    X = S / (np.sqrt(total((S * S).reshape(*S.shape[:-2], 65))[..., None]) + S.dtype.type(1e-7))
    for _ in range(5):
        A = product(X, np.swapaxes(X, -1, -2))
        X = a * X + product(b * A + c * product(A, A), X)
    return X


def outputs(q, k, v, terms, gamma, theta, eta, alpha, W, S):
    start, y = W, np.empty_like(v)
    fq, fk = features(q, terms), features(k, terms)
    gradient = lambda i: 2 * fk[:, :, i, :, None] * (product(fk[:, :, i, None], start) - v[:, :, i, None])
    for t in range(v.shape[2]):
        gate = lambda x, i=t: x[:, :, i, None, None]
        recent = sum(gate(gamma, i) * gradient(i) for i in range(max(t - 7, 0), t + 1))
        S = gate(theta) * S + recent
        W = gate(alpha) * W - gate(eta) * orthogonalised(S)
        y[:, :, t] = product(fq[:, :, t, None], W)[:, :, 0]
    return {"y": y, "W after": W, "S after": S}
