"""Building blocks of the oracles: every sum runs from left to right in the dtype of its operands."""

import numpy as np


def scores(q, k):
    """Σ_d q[…, i, d] k[…, j, d]."""
    total = np.zeros(np.broadcast_shapes(q.shape[:-2], k.shape[:-2]) + (q.shape[-2], k.shape[-2]), q.dtype)
    for d in range(q.shape[-1]):
        total += q[..., :, None, d] * k[..., None, :, d]
    return total


def product(a, b):
    """Σ_k a[…, i, k] b[…, k, j]."""
    return scores(a, np.swapaxes(b, -1, -2))


def total(a, axis=-1):
    """Σ over one axis, which is kept."""
    return np.add.accumulate(a, axis).take([-1], axis)


def softmax(y, keep=True):
    """Over the last axis; a row with no live key is zero."""
    y = np.where(keep, y, -np.inf)
    top = y.max(-1, keepdims=True)
    e = np.where(np.isfinite(top), np.exp(y - np.where(np.isfinite(top), top, 0)), 0).astype(y.dtype)
    sums = total(e)
    return np.divide(e, sums, out=np.zeros_like(e), where=sums != 0)


def rms(x, epsilon):
    """x / sqrt(mean(x²) + epsilon) over the last axis."""
    return x / np.sqrt(total(x * x) / x.dtype.type(x.shape[-1]) + x.dtype.type(epsilon))


def unit(x):
    """x / sqrt(Σ x² + 1e-6) over the last axis."""
    return x / np.sqrt(total(x * x) + x.dtype.type(1e-6))


def recurrence(q, k, v, decay=None, rate=None):
    """S = decay S + k wᵀ, o = qᵀ S, w = v or rate (v - kᵀ S). All [batch, time, heads, …]; decay has one row or all."""
    state, out = np.zeros((*k.shape[:1], *k.shape[2:], v.shape[-1]), v.dtype), np.zeros_like(v)
    along = lambda row, s: product(row[..., None, :], s)[..., 0, :]
    for t in range(v.shape[1]):
        state = state if decay is None else decay[:, t, ..., None] * state
        w = v[:, t] if rate is None else rate[:, t, :, None] * (v[:, t] - along(k[:, t], state))
        state = state + k[:, t, ..., None] * w[..., None, :]
        out[:, t] = along(q[:, t], state)
    return out


def positions(n, m=None):
    """Query and key indices that broadcast to [n, m]."""
    return np.arange(n)[:, None], np.arange(m or n)[None, :]


def normal(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


def heads(rng, batch, count, rows, depth):
    return normal(rng, batch, count, rows, depth)
