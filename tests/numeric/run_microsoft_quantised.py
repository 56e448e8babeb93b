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

_random = np.random.default_rng(0)
CASES = FormulaCases("com.microsoft", {"MatMulNBits": (1, 2, 3)})
case = CASES.add


def normal(*shape):
    return _random.standard_normal(shape).astype(np.float32)


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


MicrosoftQuantised = CASES.tests()

if __name__ == "__main__":
    unittest.main()
