"""What maps.mlir computes, in float64, beside the outputs in a folder."""

import sys

import numpy as np

FOLDER = sys.argv[1]
x, b, w = (np.load(f"{FOLDER}/{name}.npy").astype(np.float64) for name in "xbw")


def check(name, wanted):
    found = np.load(f"{FOLDER}/{name}.npy")
    assert found.shape == wanted.shape, f"{name}: shape {found.shape}, wanted {wanted.shape}"
    error = np.abs(found - wanted).max() / np.abs(wanted).max()
    assert error < 3e-7, f"{name}: error {error}"


check("turned", (x * x[:, :1]).transpose(1, 2, 0) + b[:, None, None])
check("quarters", np.exp(w))
check("single", np.exp(x[:, 1]))
