#!/usr/bin/env python3
"""The operators of com.microsoft on numbers of few bits as native code, against formulas written in NumPy.

They agree with ONNX Runtime 1.32.

TENON_BUILD names the build folder.
"""

import pathlib
import sys
import unittest

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from formula_cases import FormulaCases  # noqa: E402
from formulas import projected, softmax  # noqa: E402

_random = np.random.default_rng(0)
CASES = FormulaCases("com.microsoft", {"MatMulNBits": (1, 2, 3)})
case = CASES.add


def normal(*shape):
    return _random.standard_normal(shape).astype(np.float32)


#===----------------------------------------------------------------------------===#
# Scaled integers
#===----------------------------------------------------------------------------===#

def bytes_of(*shape, dtype=np.uint8):
    info = np.iinfo(dtype)
    return _random.integers(info.min, info.max + 1, shape, dtype=dtype)


def number(value, dtype=np.float32):
    return np.array(value, dtype)


def real(q, scale, zero, dtype=np.float32):
    return (q.astype(np.int32) - zero.astype(np.int32)).astype(dtype) * scale.astype(dtype)


def quantised(x, scale, zero):
    info = np.iinfo(zero.dtype)
    steps = np.rint(x.astype(np.float32) / scale.astype(np.float32))
    return np.clip(steps + zero, info.min, info.max).astype(zero.dtype)


def by_range(x):
    """As DynamicQuantizeLinear: what uint8 stand for x."""
    least, most = np.float32(min(x.min(), 0)), np.float32(max(x.max(), 0))
    scale = (most - least) / np.float32(255)
    zero = np.uint8(np.rint(-least / scale))
    return real(quantised(x, scale, np.array(zero)), scale, np.array(zero), x.dtype)


X = normal(2, 5, 12)
AQ, AS, AZ = bytes_of(2, 5, 12), number(0.02), number(120, np.uint8)
BQ, BS, BZ = bytes_of(5, 12), number(0.03), number(131, np.uint8)
YS, YZ = number(0.05), number(99, np.uint8)
case("qlinear_add", "QLinearAdd", [AQ, AS, AZ, BQ, BS, BZ, YS, YZ],
     lambda a, s, z, b, t, u, y, w: quantised(real(a, s, z) + real(b, t, u), y, w))
case("qlinear_mul_signed", "QLinearMul",
     [bytes_of(2, 5, 12, dtype=np.int8), AS, number(-3, np.int8), bytes_of(12, dtype=np.int8), BS, number(7, np.int8),
      YS, number(0, np.int8)],
     lambda a, s, z, b, t, u, y, w: quantised(real(a, s, z) * real(b, t, u), y, w))
case("qlinear_where", "QLinearWhere", [np.arange(12) % 3 == 0, AQ, AS, AZ, BQ, BS, BZ, YS, YZ],
     lambda c, a, s, z, b, t, u, y, w: quantised(np.where(c, real(a, s, z), real(b, t, u)), y, w))
case("qlinear_concat", "QLinearConcat", [YS, YZ, AQ, AS, AZ, bytes_of(2, 3, 12), BS, BZ],
     lambda y, w, a, s, z, b, t, u: quantised(np.concatenate([real(a, s, z), real(b, t, u)], 1), y, w), axis=1)
case("qlinear_sigmoid", "QLinearSigmoid", [AQ, AS, AZ, number(1 / 256), number(0, np.uint8)],
     lambda a, s, z, y, w: quantised(1 / (1 + np.exp(-real(a, s, z))), y, w))
case("qlinear_leaky_relu", "QLinearLeakyRelu", [AQ, AS, AZ, YS, YZ],
     lambda a, s, z, y, w: quantised(np.where(real(a, s, z) < 0, real(a, s, z) * np.float32(0.1), real(a, s, z)), y, w),
     alpha=0.1)
case("qlinear_softmax", "QLinearSoftmax", [AQ, AS, AZ, number(1 / 256), number(0, np.uint8)],
     lambda a, s, z, y, w: quantised(softmax(real(a, s, z)), y, w), axis=-1, opset=13)
case("qlinear_global_pool", "QLinearGlobalAveragePool", [bytes_of(2, 4, 6, 5), AS, AZ, number(0.004), YZ],
     lambda a, s, z, y, w: quantised(real(a, s, z).mean((2, 3), keepdims=True), y, w), channels_last=0)
case("qlinear_pool", "QLinearAveragePool", [bytes_of(2, 4, 6, 4), AS, AZ, number(0.0137), YZ],
     lambda a, s, z, y, w: quantised(real(a, s, z).reshape(2, 4, 3, 2, 2, 2).mean((3, 5)), y, w), kernel_shape=[2, 2],
     strides=[2, 2])
case("qlinear_pool_channels_last", "QLinearAveragePool", [bytes_of(2, 6, 4, 4), AS, AZ, number(0.0137), YZ],
     lambda a, s, z, y, w: quantised(real(a, s, z).reshape(2, 3, 2, 2, 2, 4).mean((2, 4)), y, w), kernel_shape=[2, 2],
     strides=[2, 2], channels_last=1)
case("nhwc_max_pool", "NhwcMaxPool", [bytes_of(2, 6, 4, 3, dtype=np.int8)],
     lambda x: x.reshape(2, 3, 2, 2, 2, 3).max((2, 4)), kernel_shape=[2, 2], strides=[2, 2])


def convolved(x, w):
    """Channels of x last, of w second."""
    windows = np.lib.stride_tricks.sliding_window_view(x, w.shape[2:], (1, 2))
    return np.einsum("bhwcyx,ocyx->bhwo", windows, w)


case("qlinear_conv_channels_last", "QLinearConv",
     [bytes_of(2, 6, 5, 4), AS, AZ, bytes_of(7, 4, 3, 3, dtype=np.int8), np.abs(normal(7)) * np.float32(0.02),
      bytes_of(7, dtype=np.int8), number(0.4), YZ, bytes_of(7, dtype=np.int16).astype(np.int32)],
     lambda x, s, z, f, t, u, y, w, b: quantised(
         (convolved(real(x, number(1), z, np.int32), real(f, number(1), u[:, None, None, None], np.int32)) + b) * (s * t),
         y, w), channels_last=1)

WQ, WS, WZ = bytes_of(12, 7, dtype=np.int8), np.abs(normal(7)) * np.float32(0.02), bytes_of(7, dtype=np.int8)
case("matmul_integer_to_float", "MatMulIntegerToFloat", [AQ, WQ, AS, WS, AZ, WZ, normal(7)],
     lambda a, w, s, t, z, u, b: real(a, s, z, b.dtype) @ real(w, t, u, b.dtype) + b)
case("dynamic_quantize_matmul", "DynamicQuantizeMatMul", [X, WQ, WS, WZ, normal(7)],
     lambda x, w, s, z, b: by_range(x) @ real(w, s, z, b.dtype) + b)
case("qgemm", "QGemm",
     [bytes_of(3, 12), AS, AZ, bytes_of(7, 12, dtype=np.int8), WS, WZ, bytes_of(7, dtype=np.int16).astype(np.int32),
      number(0.4), YZ],
     lambda a, s, z, b, t, u, c, y, w: quantised(
         (real(a, number(1), z, np.int32) @ real(b.T, number(1), u, np.int32) + c) * (s * t), y, w), transB=1)
case("qgemm_to_float", "QGemm", [bytes_of(3, 12), AS, AZ, WQ, WS, WZ],
     lambda a, s, z, b, t, u: real(a, s, z, s.dtype) @ real(b, t, u, s.dtype), alpha=1.0)
case("quantize_16", "QuantizeLinear", [X, number(1e-4), number(30000, np.uint16)], quantised)
case("dequantize_16", "DequantizeLinear", [bytes_of(2, 5, 12, dtype=np.int16), number(1e-4), number(-300, np.int16)],
     lambda q, s, z: real(q, s, z, s.dtype))
KEPT = np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]], np.int32)
case("qattention", "QAttention",
     [AQ, bytes_of(12, 36, dtype=np.int8), normal(36), AS, number(0.01), KEPT, AZ, number(3, np.int8)],
     lambda x, w, b, s, t, m, z, u: projected(real(x, s, z, b.dtype), real(w, t, u, b.dtype), b,
                                              np.where(m[:, None, None], 0, -10000))[0], num_heads=3)


#===----------------------------------------------------------------------------===#
# Weights of 2, 4 and 8 bits, in blocks
#===----------------------------------------------------------------------------===#

def unpacked(packed, bits):
    """[.., bytes] -> [.., numbers], the lowest bits first."""
    parts = [(packed >> shift) & (2**bits - 1) for shift in range(0, 8, bits)]
    return np.stack(parts, -1).reshape(*packed.shape[:-1], -1)


def dequantised(weights, scales, zeros, bits, rows):
    numbers = unpacked(weights, bits).astype(scales.dtype)  # [columns, blocks, block]
    columns, blocks = numbers.shape[:2]
    zero = 2 ** (bits - 1)
    if zeros is not None:
        zero = unpacked(zeros.reshape(columns, -1), bits)[:, :blocks, None].astype(scales.dtype)
    return ((numbers - zero) * scales.reshape(columns, blocks, 1)).reshape(columns, -1)[:, :rows].T


for _bits, _rows, _block, _zeros in ((4, 40, 16, False), (4, 40, 16, True), (8, 32, 16, True), (2, 32, 32, False)):
    _columns, _blocks = 7, -(-_rows // _block)
    _packed = _random.integers(0, 256, (_columns, _blocks, _block * _bits // 8), dtype=np.uint8)
    _zero = [_random.integers(0, 256, _columns * (-(-_blocks * _bits // 8)), dtype=np.uint8)] if _zeros else []
    case(f"matmul_nbits_{_bits}{'_zeros' if _zeros else ''}", "MatMulNBits",
         [normal(2, 3, _rows), _packed, np.abs(normal(_columns * _blocks)) * 0.1, *_zero],
         lambda x, w, s, z=None, bits=_bits, rows=_rows: x @ dequantised(w, s, z, bits, rows),
         K=_rows, N=_columns, bits=_bits, block_size=_block)


def gathered(table, indices, scales, zeros, bits, block):
    """Blocks along the last axis."""
    numbers = unpacked(table, bits).astype(scales.dtype)
    zero = 2 ** (bits - 1) if zeros is None else unpacked(zeros, bits).astype(scales.dtype).repeat(block, 1)
    return ((numbers - zero) * scales.repeat(block, 1))[indices]


TABLE_SCALES, TABLE_PLACES = np.abs(normal(9, 2)), np.array([[3, 0, 8], [1, 1, -2]], np.int64)
case("gather_blocks", "GatherBlockQuantized", [bytes_of(9, 16), TABLE_PLACES, TABLE_SCALES],
     lambda t, i, s: gathered(t, i, s, None, 4, 16), block_size=16, bits=4, quantize_axis=1, gather_axis=0)
case("gather_blocks_zeros", "GatherBlockQuantized", [bytes_of(9, 32), TABLE_PLACES, TABLE_SCALES, bytes_of(9, 2)],
     lambda t, i, s, z: gathered(t, i, s, z, 8, 16), block_size=16, bits=8, quantize_axis=1, gather_axis=0)
case("gather_packed_zeros", "GatherBlockQuantized", [bytes_of(9, 16), TABLE_PLACES, TABLE_SCALES, bytes_of(9, 1)],
     lambda t, i, s, z: gathered(t, i, s, z, 4, 16), block_size=16, bits=4, quantize_axis=1, gather_axis=0)


MicrosoftQuantised = CASES.tests()

if __name__ == "__main__":
    unittest.main()
