"""close.py FOUND.npy WANTED.npy BOUND: no element further away than BOUND."""
import sys

import numpy as np

found, wanted = (np.load(f).astype(np.float64) for f in sys.argv[1:3])
assert found.shape == wanted.shape, (found.shape, wanted.shape)
error = np.abs(found - wanted).max()
assert error <= float(sys.argv[3]), error
