"""The accuracy rule every native result is held to, in one place.

A result passes beside the plain evaluation in the kernel's own dtype when

    |error| <= 2 * its maximum error + 4 ulp of the row's largest magnitude
    rms     <= 2 * its rms error     + 4 ulp, the same in the mean

NaN and infinities must stand where the float64 result has them.
"""

import numpy as np


def excess(found, wanted, plain_max, plain_rms):
    """How much of the allowance `found` uses: (maximum, rms); 1.0 is all of it."""
    if not wanted.size:
        return 0.0, 0.0
    error = np.abs(found.astype(np.float64) - wanted)
    rows = np.abs(wanted).max(axis=-1, keepdims=True) if wanted.ndim else np.abs(wanted)
    ulps = 4 * np.spacing(rows.astype(np.float32)).astype(np.float64)
    tiny = np.finfo(np.float32).tiny
    worst = (error / (2 * plain_max + ulps + tiny)).max()
    rms = np.sqrt(np.square(error).mean()) / (2 * plain_rms + np.sqrt(np.square(ulps).mean()) + tiny)
    return worst, rms


def compare(found, wanted, plain, what):
    """Raise AssertionError unless `found` is as near to `wanted` as the rule asks; `plain` is NumPy in the dtype."""
    assert found.shape == wanted.shape, f"{what}: shape {found.shape}, wanted {wanted.shape}"
    if not np.issubdtype(found.dtype, np.floating):
        assert np.array_equal(found, wanted), f"{what}: integers differ"
        return
    special = ~np.isfinite(wanted)
    assert np.array_equal(found[special], wanted[special].astype(found.dtype), equal_nan=True), (
        f"{what}: NaN or infinity where float64 has {wanted[special][:4]}, found {found[special][:4]}")
    assert np.isfinite(found[~special]).all(), f"{what}: not finite where float64 is"
    clean = lambda array: np.where(special, 0, array).astype(np.float64)
    error = np.abs(clean(plain) - clean(wanted))
    plain_max, plain_rms = (error.max(), np.sqrt(np.square(error).mean())) if error.size else (0.0, 0.0)
    worst, rms = excess(clean(found), clean(wanted), plain_max, plain_rms)
    assert worst <= 1 and rms <= 1, f"{what}: {worst:.2f} of the allowed maximum, {rms:.2f} of the allowed rms error"
