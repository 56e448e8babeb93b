"""LMUFormer: a linear memory of one number a step by its three lowerings, each with its layer: recurrent, Toeplitz product, FFT

Liu et al. 2024, https://arxiv.org/abs/2402.04882, after Voelker et al. 2019: m_t = A m_{t-1} + B u_t, the Legendre delay network
of order 12 over 48 steps, its zero-order hold taken in float64. The oracle goes step by step.
"""

import numpy as np
from formulas import normal, product

SIZES = {"B": [1, 3]}
ORDER, STEPS = 12, 48


def held():
    """A and B of one step: exp of [[A, B], [0, 0]]."""
    i, j = np.indices((ORDER, ORDER))
    scale = (2 * np.arange(ORDER) + 1) / STEPS
    both = np.zeros((ORDER + 1, ORDER + 1))
    both[:ORDER, :ORDER] = scale[:, None] * np.where(i < j, -1.0, (-1.0) ** (i - j + 1))
    both[:ORDER, ORDER] = scale * (-1.0) ** np.arange(ORDER)
    total, term = np.eye(ORDER + 1), np.eye(ORDER + 1)
    for k in range(1, 40):
        term = term @ both / k
        total += term
    return total[:ORDER, :ORDER], total[:ORDER, ORDER]


def inputs(rng, B):
    a, b = held()
    return {"x": normal(rng, B, STEPS, 8), "wu": normal(rng, 8), "wm": normal(rng, ORDER, 10), "wx": normal(rng, 8, 10),
            "b": normal(rng, 10), "A": a.astype(np.float32), "B": b.astype(np.float32)}


def outputs(x, wu, wm, wx, b, A, B):
    u = np.maximum((x * wu).sum(-1), 0)
    memory, rows = np.zeros((x.shape[0], ORDER), x.dtype), []
    for t in range(STEPS):
        memory = memory @ A.T + B * u[:, t, None]
        rows.append(memory)
    h = np.maximum(product(np.stack(rows, 1), wm[None]) + product(x, wx[None]) + b, 0)
    return {"recurrent": h, "toeplitz": h, "fft": h}
