#!/usr/bin/env python3
"""The operators of com.microsoft as native code, against formulas written in NumPy.

Each case is a model of one node, its inputs, and a function that gives the outputs in the dtype of its
arguments: in float64 it is the oracle, in float32 the plain evaluation of the accuracy rule.
The oracles agree with ONNX Runtime 1.31.

TENON_BUILD names the build folder.
"""

import pathlib
import sys
import tempfile
import unittest

import numpy as np
import onnx
from onnx import helper

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))
import native  # noqa: E402
from accuracy import compare  # noqa: E402

_random = np.random.default_rng(0)


def normal(*shape):
    return _random.standard_normal(shape).astype(np.float32)


#===----------------------------------------------------------------------------===#
# Formulas
#===----------------------------------------------------------------------------===#


def erf(x):
    import math

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


def attend(q, k, v, bias=0.0, scale=None):
    """All [batch, heads, sequence, depth]; heads of the keys serve groups of those of the queries."""
    k, v = (np.repeat(x, q.shape[1] // x.shape[1], axis=1) for x in (k, v))
    scale = q.dtype.type(scale or 1 / np.sqrt(q.shape[-1]))
    return softmax(q @ k.swapaxes(-1, -2) * scale + np.asarray(bias, q.dtype)) @ v


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


#===----------------------------------------------------------------------------===#
# Cases
#===----------------------------------------------------------------------------===#

CASES = {}
EXTRA = {"epsilon": 1e-5}


def case(name, operator, inputs, formula, outputs=1, **attributes):
    CASES[name] = operator, inputs, formula, outputs, attributes


X, BIAS = normal(2, 5, 12), normal(12)
case("gelu", "Gelu", [X], gelu)
case("fast_gelu", "FastGelu", [X], gelu_tanh)
case("fast_gelu_bias", "FastGelu", [X, BIAS], lambda x, b: gelu_tanh(x + b))
case("bias_gelu", "BiasGelu", [X, BIAS], lambda x, b: gelu(x + b))
case("quick_gelu", "QuickGelu", [X], lambda x: x / (1 + np.exp(x * x.dtype.type(-1.702))), alpha=1.702)

case("skip_layer_norm", "SkipLayerNormalization", [X, normal(2, 5, 12), normal(12), normal(12), BIAS],
     lambda x, s, g, b, c: (layer_norm(x + s + c, g, b, 1e-5), None, None, x + s + c), 4, **EXTRA)
case("skip_layer_norm_broadcast", "SkipLayerNormalization", [X, normal(1, 5, 12), normal(12)],
     lambda x, s, g: layer_norm(x + s, g, 0, 1e-5), **EXTRA)
case("skip_rms_norm", "SkipSimplifiedLayerNormalization", [X, normal(2, 5, 12), normal(12)],
     lambda x, s, g: (rms_norm(x + s, g, 1e-5), None, None, x + s), 4, **EXTRA)
IDS, SEGMENTS = np.array([[3, 1, 4, 1, 5], [2, 7, 1, 8, 2]], np.int32), np.array([[0, 0, 1, 1, 1], [0, 1, 1, 1, 1]], np.int32)
KEPT = np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]], np.int32)
case("embed_layer_norm", "EmbedLayerNormalization",
     [IDS, SEGMENTS, normal(9, 12), normal(8, 12), normal(2, 12), normal(12), normal(12), KEPT],
     lambda i, t, w, p, s, g, b, m: (layer_norm(w[i] + p[: i.shape[1]] + s[t], g, b, 1e-5), m.sum(1, dtype=np.int32),
                                     w[i] + p[: i.shape[1]] + s[t]), 3, **EXTRA)

case("fused_matmul", "FusedMatMul", [normal(2, 7, 5), normal(2, 3, 7)],
     lambda a, b: x_t(a) @ x_t(b) * a.dtype.type(0.25), transA=1, transB=1, alpha=0.25)


def x_t(x):
    return x.swapaxes(-1, -2)


def unpacked(packed, bits):
    """[.., bytes] -> [.., numbers], the lowest bits first."""
    parts = [(packed >> shift) & (2**bits - 1) for shift in range(0, 8, bits)]
    return np.stack(parts, -1).reshape(*packed.shape[:-1], -1)


def dequantised(weights, scales, zeros, bits, rows):
    numbers = unpacked(weights, bits).astype(scales.dtype)  # [columns, blocks, block]
    columns, blocks = numbers.shape[:2]
    zero = 2 ** (bits - 1) if zeros is None else unpacked(zeros.reshape(columns, -1), bits)[:, :blocks, None].astype(scales.dtype)
    return ((numbers - zero) * scales.reshape(columns, blocks, 1)).reshape(columns, -1)[:, :rows].T


for _bits, _rows, _block, _zeros in ((4, 40, 16, False), (4, 40, 16, True), (8, 32, 16, True), (2, 32, 32, False)):
    _columns, _blocks = 7, -(-_rows // _block)
    _packed = _random.integers(0, 256, (_columns, _blocks, _block * _bits // 8), dtype=np.uint8)
    _zero = [_random.integers(0, 256, _columns * (-(-_blocks * _bits // 8)), dtype=np.uint8)] if _zeros else []
    case(f"matmul_nbits_{_bits}{'_zeros' if _zeros else ''}", "MatMulNBits",
         [normal(2, 3, _rows), _packed, np.abs(normal(_columns * _blocks)) * 0.1, *_zero],
         lambda x, w, s, z=None, bits=_bits, rows=_rows: x @ dequantised(w, s, z, bits, rows),
         K=_rows, N=_columns, bits=_bits, block_size=_block)

COS, SIN = np.cos(normal(16, 4)), np.sin(normal(16, 4))
PLACES = np.array([[3, 4, 5, 6, 7], [0, 1, 2, 3, 4]], np.int64)
case("rotary_heads", "RotaryEmbedding", [normal(2, 3, 5, 8), PLACES, COS, SIN],
     lambda x, p, c, s: rotate(x, c, s, p, False))
case("rotary_interleaved_offset", "RotaryEmbedding", [normal(2, 5, 24), np.array([2], np.int64), COS, SIN],
     lambda x, p, c, s: merged(rotate(by_heads(x, 3), c, s, np.tile(p[0] + np.arange(5), (2, 1)), True)), interleaved=1)
case("rotary_partial", "RotaryEmbedding", [normal(2, 5, 24), PLACES, COS[:, :2].copy(), SIN[:, :2].copy()],
     lambda x, p, c, s: merged(rotate(by_heads(x, 3), c, s, p, False)), num_heads=3, rotary_embedding_dim=4)

Q, K, V = normal(2, 5, 24), normal(2, 7, 24), normal(2, 7, 30)
case("multi_head", "MultiHeadAttention", [Q, K, V],
     lambda q, k, v: merged(attend(by_heads(q, 3), by_heads(k, 3), by_heads(v, 3))), num_heads=3)
case("multi_head_bias_mask", "MultiHeadAttention",
     [Q, K, V, normal(78), np.array([[1] * 7, [1, 1, 1, 0, 1, 0, 0]], np.int32), normal(1, 3, 5, 7)],
     lambda q, k, v, b, m, a: merged(attend(by_heads(q + b[:24], 3), by_heads(k + b[24:48], 3), by_heads(v + b[48:], 3),
                                            np.where(m[:, None, None], 0, -10000).astype(q.dtype) + a)), num_heads=3)
case("multi_head_lengths", "MultiHeadAttention", [Q, K, V, None, np.array([7, 3], np.int32)],
     lambda q, k, v, b, m: merged(attend(by_heads(q, 3), by_heads(k, 3), by_heads(v, 3),
                                         np.where(np.arange(7) < m[:, None, None, None], 0, -10000))), num_heads=3)
case("multi_head_packed", "MultiHeadAttention", [normal(2, 5, 3, 3, 8)],
     lambda x: merged(attend(*(x[:, :, :, i].transpose(0, 2, 1, 3) for i in range(3)))), num_heads=3)
case("multi_head_packed_keys", "MultiHeadAttention", [Q, normal(2, 7, 3, 2, 8)],
     lambda q, x: merged(attend(by_heads(q, 3), *(x[:, :, :, i].transpose(0, 2, 1, 3) for i in range(2)))), num_heads=3)


def with_past(q, k, v, past_k, past_v, heads, bias=0.0):
    k, v = np.concatenate([past_k, by_heads(k, heads)], 2), np.concatenate([past_v, by_heads(v, heads)], 2)
    return merged(attend(by_heads(q, heads), k, v, bias)), k, v


case("multi_head_past", "MultiHeadAttention",
     [normal(2, 3, 24), normal(2, 3, 24), normal(2, 3, 24), None, None, None, normal(2, 3, 4, 8), normal(2, 3, 4, 8)],
     lambda q, k, v, b, m, a, pk, pv: with_past(q, k, v, pk, pv, 3, causal(3, 7, 4)), 3, num_heads=3, unidirectional=1)


def projected(x, w, b, bias=0.0, past=None, sizes=(12, 12, 12), heads=3):
    q, k, v = (by_heads(p, heads) for p in np.split(x @ w + b, np.cumsum(sizes)[:2], -1))
    if past is not None:
        k, v = np.concatenate([past[0], k], 2), np.concatenate([past[1], v], 2)
    return merged(attend(q, k, v, bias)), np.stack([k, v]) if k.shape == v.shape else None


case("attention", "Attention", [X, normal(12, 36), normal(36)], lambda x, w, b: projected(x, w, b)[0], num_heads=3)
case("attention_masked", "Attention", [X, normal(12, 36), normal(36), KEPT],
     lambda x, w, b, m: projected(x, w, b, np.where(m[:, None, None], 0, -10000))[0], num_heads=3)
case("attention_past_causal", "Attention", [X, normal(12, 36), normal(36), None, normal(2, 2, 3, 6, 4)],
     lambda x, w, b, m, past: projected(x, w, b, causal(5, 11, 6), past), 2, num_heads=3, unidirectional=1)
case("attention_sizes", "Attention", [X, normal(12, 30), normal(30)],
     lambda x, w, b: projected(x, w, b, sizes=(9, 9, 12))[0], num_heads=3, qkv_hidden_sizes=[9, 9, 12])


def grouped(q, k, v, last, past_k=None, past_v=None, cos=None, sin=None, window=None, cap=None, interleaved=False):
    """Row by row of the batch: the cache, the new rows behind it, and what is causal."""
    q, k, v = by_heads(q, 6), by_heads(k, 2), by_heads(v, 2)
    outs, keys, values = [], [], []
    for b, end in enumerate(last + 1):
        before = max(int(end) - q.shape[2], 0)
        new = [x[b : b + 1] for x in (q, k, v)]
        if cos is not None:
            places = before + np.arange(q.shape[2])[None]
            new[:2] = (rotate(x, cos, sin, places, interleaved) for x in new[:2])
        if past_k is not None:
            new[1] = np.concatenate([past_k[b : b + 1, :, :before], new[1]], 2)
            new[2] = np.concatenate([past_v[b : b + 1, :, :before], new[2]], 2)
        bias = causal(q.shape[2], new[1].shape[2], before)
        if window:
            i, j = np.arange(q.shape[2])[:, None] + before, np.arange(new[1].shape[2])
            bias = np.where(i - j < window, bias, -np.inf)
        outs.append(merged(attend(*new, bias)))
        keys.append(new[1])
        values.append(new[2])
    return np.concatenate(outs), np.concatenate(keys), np.concatenate(values)


ANGLES = np.cos(normal(16, 8)), np.sin(normal(16, 8))
GQ, GK, GV = normal(2, 5, 48), normal(2, 5, 16), normal(2, 5, 16)
case("grouped_prompt", "GroupQueryAttention", [GQ, GK, GV, None, None, np.array([4, 4], np.int32), np.array(5, np.int32)],
     lambda q, k, v, pk, pv, last, total: grouped(q, k, v, last), 3, num_heads=6, kv_num_heads=2)
case("grouped_prompt_window", "GroupQueryAttention",
     [GQ, GK, GV, None, None, np.array([4, 4], np.int32), np.array(5, np.int32)],
     lambda q, k, v, pk, pv, last, total: grouped(q, k, v, last, window=2), 3, num_heads=6, kv_num_heads=2,
     local_window_size=2)
case("grouped_step_rotary", "GroupQueryAttention",
     [normal(2, 1, 96), normal(2, 1, 32), normal(2, 1, 32), normal(2, 2, 6, 16), normal(2, 2, 6, 16),
      np.array([6, 6], np.int32), np.array(7, np.int32), *ANGLES],
     lambda q, k, v, pk, pv, last, total, c, s: grouped(q, k, v, last, pk, pv, c, s), 3, num_heads=6, kv_num_heads=2,
     do_rotary=1)
case("grouped_packed_rotary", "GroupQueryAttention",
     [normal(2, 5, 160), None, None, None, None, np.array([4, 4], np.int32), np.array(5, np.int32), *ANGLES],
     lambda x, k, v, pk, pv, last, total, c, s: grouped(x[..., :96], x[..., 96:128], x[..., 128:], last, cos=c, sin=s,
                                                        interleaved=True), 3, num_heads=6, kv_num_heads=2,
     do_rotary=1, rotary_interleaved=1)


#===----------------------------------------------------------------------------===#
# The test
#===----------------------------------------------------------------------------===#

# Read as the file is compiled: weights in few bits, and how long a cache comes out.
CONSTANT = {"MatMulNBits": (1, 2, 3), "GroupQueryAttention": (6,)}


def model_of(operator, inputs, outputs, attributes, results):
    constant = CONSTANT.get(operator, ())
    names = ["" if x is None else f"x{i}" for i, x in enumerate(inputs)]
    output_names = ["" if r is None else f"y{i}" for i, r in enumerate(results)]
    node = helper.make_node(operator, names, output_names, domain="com.microsoft", **attributes)
    element = lambda x: helper.np_dtype_to_tensor_dtype(x.dtype)
    info = lambda n, x, dims: helper.make_tensor_value_info(n, element(x), dims)
    given = [(n, x) for i, (n, x) in enumerate(zip(names, inputs)) if n and i not in constant]
    graph = helper.make_graph(
        [node], operator, [info(n, x, x.shape) for n, x in given],
        [info(n, np.asarray(r, np.float32) if np.asarray(r).dtype == np.float64 else r, None)
         for n, r in zip(output_names, results) if n],
        [onnx.numpy_helper.from_array(inputs[i], names[i]) for i in constant if i < len(inputs) and names[i]])
    sets = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=sets, ir_version=10), dict(given)


def evaluate(name, dtype):
    operator, inputs, formula, outputs, attributes = CASES[name]
    wide = [x.astype(dtype) if x is not None and x.dtype == np.float32 else x for x in inputs]
    results = formula(*wide)
    return results if isinstance(results, tuple) else (results,)


class MicrosoftOperators(unittest.TestCase):
    def check(self, name):
        operator, inputs, _, outputs, attributes = CASES[name]
        exact, plain = evaluate(name, np.float64), evaluate(name, np.float32)
        model, given = model_of(operator, inputs, outputs, attributes, exact)
        with tempfile.TemporaryDirectory(prefix="tenon-microsoft-") as folder:
            file, artifact = pathlib.Path(folder) / "model.onnx", pathlib.Path(folder) / "model.tenon"
            onnx.save(model, file)
            native.tenon("compile", "--quiet", file, "-o", artifact, "--target=host")
            found = native.outputs(artifact, given, threads=1)
        for i, (wanted, rounded) in enumerate(zip(exact, plain)):
            if wanted is not None:
                compare(found[f"y{i}"], wanted, rounded, f"output {i}")


for _name in CASES:
    setattr(MicrosoftOperators, f"test_{_name}", lambda self, n=_name: self.check(n))

if __name__ == "__main__":
    unittest.main()
