"""check_linear.py X.npy FOLDER: the outputs of linear.mlir, NaN and infinities where NumPy has them."""
import sys

import numpy as np

x = np.load(sys.argv[1]).astype(np.float64)
w = np.array([[1, 2, 3], [0.5, 0, -0.5], [-1, 1, 0.25], [0, 4, 1]])
with np.errstate(all="ignore"):
    y = (x[:, :, None] * w).sum(axis=1) + np.array([0.5, -1, 2])
    e = np.exp(y - y.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
np.testing.assert_allclose(np.load(sys.argv[2] + "/y.npy"), y, rtol=1e-6)
np.testing.assert_allclose(np.load(sys.argv[2] + "/heads/p.0.npy"), p, rtol=1e-5, atol=1e-37)
