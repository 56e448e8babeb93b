"""Formulas of networks in NumPy, in the dtype of their arguments."""

import math

import numpy as np


def erf(x):
    return np.vectorize(math.erf)(x.astype(np.float64)).astype(x.dtype)


def gelu(x):
    return x * (1 + erf(x / np.sqrt(2).astype(x.dtype))) / 2


def gelu_tanh(x):
    c = np.sqrt(2 / np.pi).astype(x.dtype)
    return x * (1 + np.tanh(c * (x + x.dtype.type(0.044715) * x * x * x))) / 2


def layer_norm(x, scale, shift, epsilon):
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt(np.square(centred).mean(-1, keepdims=True) + x.dtype.type(epsilon)) * scale + shift


def rms_norm(x, scale, epsilon):
    return x / np.sqrt(np.square(x).mean(-1, keepdims=True) + x.dtype.type(epsilon)) * scale


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def by_heads(x, heads):
    return x.reshape(*x.shape[:2], heads, -1).transpose(0, 2, 1, 3)


def merged(x):
    return x.transpose(0, 2, 1, 3).reshape(x.shape[0], x.shape[2], -1)


def attend(q, k, v, bias=0.0, scale=None, sinks=None):
    """All [batch, heads, sequence, depth]; heads of the keys serve groups of those of the queries. `sinks` are scores of
    no key, one for each head."""
    k, v = (np.repeat(x, q.shape[1] // x.shape[1], axis=1) for x in (k, v))
    scale = q.dtype.type(scale or 1 / np.sqrt(q.shape[-1]))
    scores = q @ k.swapaxes(-1, -2) * scale + np.asarray(bias, q.dtype)
    if sinks is not None:
        column = np.broadcast_to(sinks[:, None, None], (*scores.shape[:3], 1))
        return softmax(np.concatenate([scores, column], -1))[..., :-1] @ v
    return softmax(scores) @ v


def causal(queries, keys, past=0):
    i, j = np.arange(queries)[:, None], np.arange(keys)
    return np.where(j <= i + past, 0, -np.inf)


def rotate(x, cos, sin, positions, interleaved):
    """x is [batch, heads, sequence, depth], positions [batch, sequence]."""
    half = cos.shape[-1]
    c, s = cos[positions][:, None], sin[positions][:, None]
    turned, rest = x[..., : 2 * half], x[..., 2 * half :]
    a, b = (turned[..., 0::2], turned[..., 1::2]) if interleaved else (turned[..., :half], turned[..., half:])
    pair = a * c - b * s, a * s + b * c
    turned = np.stack(pair, -1).reshape(turned.shape) if interleaved else np.concatenate(pair, -1)
    return np.concatenate([turned, rest], -1)


def x_t(x):
    return x.swapaxes(-1, -2)


def projected(x, w, b, bias=0.0, past=None, sizes=(12, 12, 12), heads=3):
    q, k, v = (by_heads(p, heads) for p in np.split(x @ w + b, np.cumsum(sizes)[:2], -1))
    if past is not None:
        k, v = np.concatenate([past[0], k], 2), np.concatenate([past[1], v], 2)
    return merged(attend(q, k, v, bias)), np.stack([k, v]) if k.shape == v.shape else None
