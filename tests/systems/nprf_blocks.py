"""NPRF by Fourier transforms of blocks of 48 rows: kernelised attention with a Toeplitz factor, one convolution for each of its features.

Luo et al. 2021, https://arxiv.org/abs/2106.12566, equation 6.
"""

from nprf_fft import SIZES, inputs, outputs  # noqa: F401
