#!/usr/bin/env python3
"""The operators of com.microsoft on floats as native code, against formulas written in NumPy.

They agree with ONNX Runtime 1.31, and those of fused operators with 1.32, but for NhwcConv, GroupNorm, SkipGroupNorm,
BiasAdd, BiasSplitGelu and GemmFastGelu, which it computes on a GPU alone.

TENON_BUILD names the build folder.
"""

import pathlib
import sys
import unittest

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from formula_cases import FormulaCases  # noqa: E402
from formulas import (attend, by_heads, causal, gelu, gelu_tanh, layer_norm, merged, projected, rms_norm,  # noqa: E402
                      rotate, x_t)

_random = np.random.default_rng(0)
CASES = FormulaCases("com.microsoft", {"GroupQueryAttention": (6,)})
case = CASES.add


def normal(*shape):
    return _random.standard_normal(shape).astype(np.float32)


EXTRA = {"epsilon": 1e-5}
X, BIAS = normal(2, 5, 12), normal(12)
case("gelu", "Gelu", [X], gelu)
case("fast_gelu", "FastGelu", [X], gelu_tanh)
case("fast_gelu_bias", "FastGelu", [X, BIAS], lambda x, b: gelu_tanh(x + b))
case("bias_gelu", "BiasGelu", [X, BIAS], lambda x, b: gelu(x + b))
case("quick_gelu", "QuickGelu", [X], lambda x: x / (1 + np.exp(x * x.dtype.type(-1.702))), alpha=1.702)

case("skip_layer_norm", "SkipLayerNormalization", [X, normal(2, 5, 12), normal(12), normal(12), BIAS],
     lambda x, s, g, b, c: (layer_norm(x + s + c, g, b, 1e-5), None, None, x + s + c), **EXTRA)
case("skip_layer_norm_broadcast", "SkipLayerNormalization", [X, normal(1, 5, 12), normal(12)],
     lambda x, s, g: layer_norm(x + s, g, 0, 1e-5), **EXTRA)
case("skip_rms_norm", "SkipSimplifiedLayerNormalization", [X, normal(2, 5, 12), normal(12)],
     lambda x, s, g: (rms_norm(x + s, g, 1e-5), None, None, x + s), **EXTRA)
IDS = np.array([[3, 1, 4, 1, 5], [2, 7, 1, 8, 2]], np.int32)
SEGMENTS = np.array([[0, 0, 1, 1, 1], [0, 1, 1, 1, 1]], np.int32)
KEPT = np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]], np.int32)
case("embed_layer_norm", "EmbedLayerNormalization",
     [IDS, SEGMENTS, normal(9, 12), normal(8, 12), normal(2, 12), normal(12), normal(12), KEPT],
     lambda i, t, w, p, s, g, b, m: (layer_norm(w[i] + p[: i.shape[1]] + s[t], g, b, 1e-5), m.sum(1, dtype=np.int32),
                                     w[i] + p[: i.shape[1]] + s[t]), **EXTRA)

case("fused_matmul", "FusedMatMul", [normal(2, 7, 5), normal(2, 3, 7)],
     lambda a, b: x_t(a) @ x_t(b) * a.dtype.type(0.25), transA=1, transB=1, alpha=0.25)

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
     lambda q, k, v, b, m, a, pk, pv: with_past(q, k, v, pk, pv, 3, causal(3, 7, 4)), num_heads=3, unidirectional=1)

case("attention", "Attention", [X, normal(12, 36), normal(36)], lambda x, w, b: projected(x, w, b)[0], num_heads=3)
case("attention_masked", "Attention", [X, normal(12, 36), normal(36), KEPT],
     lambda x, w, b, m: projected(x, w, b, np.where(m[:, None, None], 0, -10000))[0], num_heads=3)
case("attention_past_causal", "Attention", [X, normal(12, 36), normal(36), None, normal(2, 2, 3, 6, 4)],
     lambda x, w, b, m, past: projected(x, w, b, causal(5, 11, 6), past), num_heads=3, unidirectional=1)
case("attention_sizes", "Attention", [X, normal(12, 30), normal(30)],
     lambda x, w, b: projected(x, w, b, sizes=(9, 9, 12))[0], num_heads=3, qkv_hidden_sizes=[9, 9, 12])


def grouped(q, k, v, last, past_k=None, past_v=None, cos=None, sin=None, window=None, interleaved=False, sinks=None):
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
        outs.append(merged(attend(*new, bias, sinks=sinks)))
        keys.append(new[1])
        values.append(new[2])
    return np.concatenate(outs), np.concatenate(keys), np.concatenate(values)


ANGLES = np.cos(normal(16, 8)), np.sin(normal(16, 8))
GQ, GK, GV = normal(2, 5, 48), normal(2, 5, 16), normal(2, 5, 16)
case("grouped_prompt", "GroupQueryAttention",
     [GQ, GK, GV, None, None, np.array([4, 4], np.int32), np.array(5, np.int32)],
     lambda q, k, v, pk, pv, last, total: grouped(q, k, v, last), num_heads=6, kv_num_heads=2)
case("grouped_prompt_window", "GroupQueryAttention",
     [GQ, GK, GV, None, None, np.array([4, 4], np.int32), np.array(5, np.int32)],
     lambda q, k, v, pk, pv, last, total: grouped(q, k, v, last, window=2), num_heads=6, kv_num_heads=2,
     local_window_size=2)
case("grouped_sinks", "GroupQueryAttention",
     [GQ, GK, GV, None, None, np.array([4, 4], np.int32), np.array(5, np.int32), *[None] * 4, normal(6)],
     lambda q, k, v, *rest: grouped(q, k, v, rest[2], sinks=rest[-1]), num_heads=6, kv_num_heads=2)
case("grouped_smooth_step", "GroupQueryAttention",
     [normal(2, 1, 48), normal(2, 1, 16), normal(2, 1, 16), normal(2, 2, 6, 8), normal(2, 2, 6, 8),
      np.array([6, 6], np.int32), np.array(7, np.int32)],
     lambda q, k, v, pk, pv, last, total: grouped(q, k, v, last, pk, pv, sinks=np.zeros(6, q.dtype)), num_heads=6,
     kv_num_heads=2, smooth_softmax=1)
case("grouped_step_rotary", "GroupQueryAttention",
     [normal(2, 1, 96), normal(2, 1, 32), normal(2, 1, 32), normal(2, 2, 6, 16), normal(2, 2, 6, 16),
      np.array([6, 6], np.int32), np.array(7, np.int32), *ANGLES],
     lambda q, k, v, pk, pv, last, total, c, s: grouped(q, k, v, last, pk, pv, c, s), num_heads=6, kv_num_heads=2,
     do_rotary=1)
case("grouped_packed_rotary", "GroupQueryAttention",
     [normal(2, 5, 160), None, None, None, None, np.array([4, 4], np.int32), np.array(5, np.int32), *ANGLES],
     lambda x, k, v, pk, pv, last, total, c, s: grouped(x[..., :96], x[..., 96:128], x[..., 128:], last, cos=c, sin=s,
                                                        interleaved=True), num_heads=6, kv_num_heads=2,
     do_rotary=1, rotary_interleaved=1)


GATE = normal(2, 5, 24)
case("bias_add", "BiasAdd", [X, BIAS, normal(2, 5, 12)], lambda x, b, s: x + b + s)
case("bias_split_gelu", "BiasSplitGelu", [GATE, normal(24)],
     lambda x, b: (x + b)[..., :12] * gelu((x + b)[..., 12:]))
case("skip_layer_norm_statistics", "SkipLayerNormalization", [X, normal(2, 5, 12), normal(12)],
     lambda x, s, g: (layer_norm(x + s, g, 0, 1e-5), (x + s).mean(-1, keepdims=True),
                      1 / np.sqrt((x + s).var(-1, keepdims=True) + x.dtype.type(1e-5)), x + s), **EXTRA)
case("fused_matmul_batch", "FusedMatMul", [normal(7, 2, 5), normal(2, 4, 5)],
     lambda a, b: np.einsum("mbk,bnk->bmn", a, b), transBatchA=1, transB=1)
case("gemm_fast_gelu", "GemmFastGelu", [X, normal(12, 7), normal(7)], lambda x, w, b: gelu_tanh(x @ w + b))
case("fused_gemm_relu", "FusedGemm", [normal(3, 7), normal(5, 7), normal(5)],
     lambda a, b, c: np.maximum(a @ b.T + c, 0), transB=1, activation="Relu")
case("fused_gemm_leaky", "FusedGemm", [normal(3, 7), normal(7, 5)],
     lambda a, b: np.where(a @ b < 0, a @ b * a.dtype.type(0.25), a @ b), activation="LeakyRelu", activation_alpha=0.25)


def convolved(x, w, pads=1):
    """Channels second, stride 1, as many pads on each side."""
    x = np.pad(x, [(0, 0), (0, 0), (pads, pads), (pads, pads)])
    windows = np.lib.stride_tricks.sliding_window_view(x, w.shape[2:], (2, 3))
    return np.einsum("bchwyx,ocyx->bohw", windows, w)


IMAGE, FILTERS = normal(2, 4, 6, 5), normal(8, 4, 3, 3)
case("fused_conv_sum_relu", "FusedConv", [IMAGE, FILTERS, normal(8), normal(2, 8, 6, 5)],
     lambda x, w, b, z: np.maximum(convolved(x, w) + b[:, None, None] + z, 0), pads=[1] * 4, activation="Relu")
case("fused_conv_clip", "FusedConv", [IMAGE, FILTERS],
     lambda x, w: np.clip(convolved(x, w), -1, 2), pads=[1] * 4, activation="Clip", activation_params=[-1.0, 2.0])
case("nhwc_conv", "NhwcConv", [normal(2, 6, 5, 4), normal(8, 3, 3, 4), normal(8)],
     lambda x, w, b: convolved(x.transpose(0, 3, 1, 2), w.transpose(0, 3, 1, 2)).transpose(0, 2, 3, 1) + b,
     pads=[1] * 4)


def group_norm(x, scale, shift, groups, silu=False):
    """Channels last."""
    parts = x.reshape(len(x), -1, groups, x.shape[-1] // groups)
    centred = parts - parts.mean((1, 3), keepdims=True)
    parts = centred / np.sqrt(np.square(centred).mean((1, 3), keepdims=True) + x.dtype.type(1e-5))
    y = parts.reshape(x.shape) * scale + shift
    return y / (1 + np.exp(-y)) if silu else y


case("group_norm_silu", "GroupNorm", [normal(2, 6, 5, 8), normal(8), normal(8)],
     lambda x, s, b: group_norm(x, s, b, 4, True), groups=4, activation=1, **EXTRA)
case("group_norm_channels_second", "GroupNorm", [normal(2, 8, 6, 5), normal(8), normal(8)],
     lambda x, s, b: group_norm(x.transpose(0, 2, 3, 1), s, b, 2).transpose(0, 3, 1, 2), groups=2, activation=0,
     channels_last=0, **EXTRA)
case("skip_group_norm", "SkipGroupNorm", [normal(2, 6, 5, 8), normal(8), normal(8), normal(2, 8), normal(8)],
     lambda x, s, b, k, c: (group_norm(x + k[:, None, None] + c, s, b, 4), x + k[:, None, None] + c), groups=4,
     activation=0, **EXTRA)


MicrosoftOperators = CASES.tests()

if __name__ == "__main__":
    unittest.main()
