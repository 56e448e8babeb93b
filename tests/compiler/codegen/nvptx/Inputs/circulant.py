"""Inputs of circulant.mlir to a folder, or, told to check, what it computes beside sums in float64.

Head 1's kernel grows beyond what transforms bear, and so does one channel's: these are right to a float's digits in every row."""

import sys

import numpy as np

FOLDER, CHECKS = sys.argv[1], "check" in sys.argv
PERIOD = 64
random = np.random.default_rng(3)
x, q, k = (random.standard_normal(shape).astype(np.float32) for shape in ((2, 3, 30, 5), (2, 3, 33, 4), (2, 3, 30, 4)))
g = random.standard_normal((3, 1, PERIOD)).astype(np.float32)
gc = random.standard_normal((3, 1, PERIOD, 5)).astype(np.float32)
g[1, 0] = gc[1, 0, :, 2] = 2.0 ** (0.5 * np.arange(PERIOD))
g[2, 0, 0], w = 1, random.standard_normal((1, 1, 300, 40)).astype(np.float32)
g[0, 0, 0] = 1
gw = random.standard_normal((1, 1, 512)).astype(np.float32)


def spectrum(kernel):
    """[H, 2, L, ...] of [H, 1, L, ...]."""
    found = np.fft.fft(kernel[:, 0].astype(np.float64), axis=1)
    return np.stack([found.real, found.imag], 1).astype(np.float32)


def summed(kernel, x, rows, weights=None):
    """Σ_j g[h, (i - j) mod L] x[b, h, j, c], times the product of features i and j."""
    distance = (np.arange(rows)[:, None] - np.arange(x.shape[2])) % kernel.shape[2]
    matrix = kernel[:, 0].astype(np.float64)[:, distance]  # [H, M, N] or [H, M, N, C]
    if kernel.ndim == 4:
        return np.einsum("hijc,bhjc->bhic", matrix, x.astype(np.float64))
    matrix = matrix[None] * (1 if weights is None else weights)
    return np.einsum("bhij,bhjc->bhic", np.broadcast_to(matrix, (x.shape[0], *matrix.shape[1:])), x.astype(np.float64))


def check(name, wanted, heads=slice(None)):
    found = np.load(f"{FOLDER}/{name}.npy")
    assert found.shape == wanted.shape, f"{name}: shape {found.shape}, wanted {wanted.shape}"
    found, wanted = found[:, heads], wanted[:, heads]
    scale = np.abs(wanted).max(axis=(2, 3), keepdims=True)
    assert (np.abs(found - wanted) / scale).max() < 1e-5, f"{name}: {(np.abs(found - wanted) / scale).max()}"


if not CHECKS:
    for name, array in {"x": x, "q": q, "k": k, "s": spectrum(g), "g": g, "sc": spectrum(gc), "gc": gc, "w": w, "sw": spectrum(gw)}.items():
        np.save(f"{FOLDER}/{name}.npy", array)
else:
    products = np.einsum("bhir,bhjr->bhij", q.astype(np.float64), k.astype(np.float64))
    check("plain", summed(g, x, 33))
    check("features", summed(g, x, 33, products))
    check("channels", summed(gc, x, 33))
    check("uneven", summed(g, x, 33, products))
    check("uneven_channels", summed(gc, x, 33))
    check("wide", summed(gw, w, 512))
    # Rows from 29 on meet none of the kernel's largest values, beside which a transform would leave them no more than two digits.
    for name, wanted in (("uneven", summed(g, x, 33, products)[..., 2]), ("uneven_channels", summed(gc, x, 33)[..., 2])):
        found, wanted = np.load(f"{FOLDER}/{name}.npy")[:, 1, 29:, 2], wanted[:, 1, 29:]
        error = np.abs(found - wanted).max() / np.abs(wanted).max()
        assert error < 1e-5, f"{name}: {error}"
