"""NPRF, causal, by Fourier transforms of blocks of 48 rows: the rows that see few keys directly, the others by one convolution for each feature.

Luo et al. 2021, https://arxiv.org/abs/2106.12566, equation 6.
"""

from nprf_causal import outputs  # noqa: F401
from nprf_fft import SIZES, inputs  # noqa: F401
