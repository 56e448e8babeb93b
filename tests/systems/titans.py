"""Titans: a chunk of a memory of two layers that learns: gradients at its start, momentum, then forgetting.

Behrouz et al. 2025, https://arxiv.org/abs/2501.00663, sections 3.1 and 3.2: the memory is x + silu(x W1) W2, four times as
wide inside; queries and keys are normalised already. A sequence is chunk after chunk, each from what the last one left.
"""

import numpy as np
from formulas import normal, product

SIZES = {"B": [1, 2, 3, 1], "N": [1, 17, 33, 64]}


def inputs(rng, B, N):
    unit = lambda x: x / np.linalg.norm(x, axis=-1, keepdims=True)
    rows = {name: normal(rng, B, 2, N, 4) for name in "qkv"}
    gates = {name: normal(rng, B, 2, N) + shift for name, shift in (("eta", 1), ("theta", -3), ("alpha", -3))}
    shapes = {"W1": (B, 2, 4, 16), "W2": (B, 2, 16, 4), "S1": (B, 2, 4, 16), "S2": (B, 2, 16, 4)}
    weights = {name: (normal(rng, *shape) / 4).astype(np.float32) for name, shape in shapes.items()}
    return {**rows, "q": unit(rows["q"]), "k": unit(rows["k"]), **{n: g.astype(np.float32) for n, g in gates.items()}, **weights}


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def outputs(q, k, v, eta, theta, alpha, W1, W2, S1, S2):
    start, y = (W1, W2), np.empty_like(v)
    row = lambda x, t: x[:, :, t, None, :]
    gate = lambda x, t: sigmoid(x[:, :, t])[..., None, None]
    for t in range(v.shape[2]):
        key = row(k, t)
        inside = product(key, start[0])
        slope = sigmoid(inside) + inside * sigmoid(inside) * sigmoid(-inside)
        error = 2 * (key + product(inside * sigmoid(inside), start[1]) - row(v, t))
        G2 = np.swapaxes(inside * sigmoid(inside), -1, -2) * error
        G1 = np.swapaxes(key, -1, -2) * (product(error, np.swapaxes(start[1], -1, -2)) * slope)
        S1, S2 = (gate(eta, t) * S - gate(theta, t) * G for S, G in ((S1, G1), (S2, G2)))
        W1, W2 = (gate(-alpha, t) * W + S for W, S in ((W1, S1), (W2, S2)))
        inside = product(row(q, t), W1)
        y[:, :, t] = (row(q, t) + product(inside * sigmoid(inside), W2))[:, :, 0]
    return {"y": y, "W1 after": W1, "W2 after": W2, "S1 after": S1, "S2 after": S2}
