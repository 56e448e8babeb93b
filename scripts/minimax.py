#!/usr/bin/env python3
"""Derives the polynomial coefficients of passes/lowering/math.

Each entry of PROBLEMS names a target function, an interval, a basis of
monomials and a weight; Lawson iteration finds the polynomial whose largest
weighted error is smallest. Coefficients are rounded to the precision of
the code one at a time, lowest degree first, and the rest solved again, so the
last ones absorb the rounding of the first.

    scripts/minimax.py             every table
    scripts/minimax.py exp erf     the named ones

Prints for each: the largest weighted error after rounding, and the
coefficients, lowest degree first, as C++ hexadecimal floats. Needs mpmath and numpy.
"""
import sys

import mpmath
import numpy as np
from mpmath import mp, mpf

mp.prec = 160
LN2 = mpmath.log(2)


class Problem:
    """min over c of max over [lo, hi] of weight(x) * |target(x) - fixed(x) - sum_k c_k x^powers[k]|."""

    def __init__(self, target, lo, hi, powers, weight=None, fixed=None, bits=24):
        self.target, self.lo, self.hi = target, mpf(lo), mpf(hi)
        self.powers, self.bits = list(powers), bits
        self.weight = weight or (lambda x: mpf(1))
        self.fixed = fixed or (lambda x: mpf(0))


def to_precision(value, bits):
    if value == 0:
        return mpf(0)
    mantissa, exponent = mpmath.frexp(value)
    return mpmath.ldexp(mpmath.nint(mpmath.ldexp(mantissa, bits)), exponent - bits)


def hexadecimal(value):
    """C++ literal; the zeros of values that are f32 are left out."""
    return float(value).hex().replace("0000000p", "p")


def chebyshev_points(lo, hi, count):
    middle, half = (lo + hi) / 2, (hi - lo) / 2
    return [middle - half * mpmath.cos(mpmath.pi * k / (count - 1)) for k in range(count)]


class Grid:
    """Target, weights and monomials sampled once, dense enough to see every extremum.

    The monomials are scaled to [-1, 1] so that double precision suffices for the
    linear algebra; the target itself is sampled with many digits.
    """

    def __init__(self, problem, count=1500):
        points = chebyshev_points(problem.lo, problem.hi, count)
        self.weights = np.array([float(problem.weight(x)) for x in points])
        self.target = [problem.target(x) - problem.fixed(x) for x in points]
        self.columns = [[x**power for x in points] for power in problem.powers]

    def residual(self, coefficients):
        rest = list(self.target)
        for coefficient, column in zip(coefficients, self.columns):
            if coefficient:
                rest = [r - coefficient * c for r, c in zip(rest, column)]
        return np.array([float(r) for r in rest])


def lawson(matrix, values, weights, rounds=150):
    """Minimax fit by reweighted least squares; needs no Haar condition, so coefficients may be fixed in any order."""
    scale = np.max(np.abs(matrix), axis=0)
    emphasis = np.full(len(values), 1.0 / len(values))
    best, best_error = None, np.inf
    for _ in range(rounds):
        root = np.sqrt(emphasis) * weights
        solution = np.linalg.lstsq(matrix / scale * root[:, None], values * root, rcond=1e-15)[0]
        error = np.abs(weights * (values - matrix / scale @ solution))
        if error.max() < best_error:
            best, best_error = solution / scale, error.max()
        emphasis = emphasis * error
        emphasis /= emphasis.sum()
    return best


def solve(problem):
    """Coefficients rounded to problem.bits and the largest weighted error they reach."""
    grid = Grid(problem)
    matrix = np.array([[float(c) for c in column] for column in grid.columns]).T
    current = [mpf(0)] * len(problem.powers)
    for k in range(len(problem.powers)):
        for refinement in range(2 if k == 0 else 1):
            fit = lawson(matrix[:, k:], grid.residual(current), grid.weights)
            current = current[:k] + [c + mpf(float(f)) for c, f in zip(current[k:], fit)]
        current[k] = to_precision(current[k], problem.bits)
    return current, np.max(np.abs(grid.weights * grid.residual(current)))


def quotient(function, value_at_zero):
    """function(x) with its removable singularity at zero filled in."""
    return lambda x: value_at_zero if abs(x) < mpf(2) ** -60 else function(x)


def gaussian_half(u):
    """(Phi(x) - 1/2) / x as a function of u = x^2."""
    x = mpmath.sqrt(u)
    return mpmath.erf(x / mpmath.sqrt(2)) / (2 * x)


class Centring:
    """y = slope * v + offset takes [lo, hi] to about [-1, 1]; slope and offset are f32, so the code's map is exact."""

    def __init__(self, lo, hi):
        lo, hi = mpf(lo), mpf(hi)
        self.slope = to_precision(2 / (hi - lo), 24)
        self.offset = to_precision(-(lo + hi) / (hi - lo), 24)
        self.lo, self.hi = self.slope * lo + self.offset, self.slope * hi + self.offset
        print(f"  y = fma(v, {hexadecimal(self.slope)}, {hexadecimal(self.offset)})")

    def argument(self, y):
        return (y - self.offset) / self.slope


def gelu_problem(clamp, degree):
    """(Phi(x) - 1/2) / x in y, centred x^2; absolute error of Phi."""
    centring = Centring(0, mpf(clamp) ** 2)
    square = lambda y: centring.argument(y) + mpf(2) ** -80
    return Problem(lambda y: gaussian_half(square(y)), centring.lo, centring.hi, range(degree + 1),
                   weight=lambda y: mpmath.sqrt(square(y)))


def relative(function):
    """Weight that makes the error relative to `function`."""
    return lambda x: 1 / max(abs(function(x)), mpf(2) ** -100)


def ulps(function):
    """Weight that makes the error count in ulp of `function`, 2^-23 ulp being the unit."""
    return lambda x: mpf(2) ** -mpmath.floor(mpmath.log(function(x), 2))


def odd_part(function, third):
    """(function(x) / x - 1) / u as a function of u = x^2, for an odd function x + third x^3 + ..."""
    return quotient(lambda u: (function(mpmath.sqrt(u)) / mpmath.sqrt(u) - 1) / u, mpf(third))


def odd_problem(function, third, top, degree, bits=24):
    """x + x^3 P(x^2) for 0 <= x <= top; relative error."""
    return Problem(odd_part(function, third), 0, mpf(top) ** 2, range(degree + 1), bits=bits,
                   weight=lambda u: u * mpmath.sqrt(u) / max(function(mpmath.sqrt(u)), mpf(2) ** -100))


def log1p_problem(degree, bits=24):
    """log(1 + f) = f - f^2 / 2 + f^3 P(f) for 1 + f between sqrt(1/2) and sqrt(2)."""
    root = mpmath.sqrt(2)
    return Problem(mpmath.log1p, 1 / root - 1, root - 1, range(3, degree + 4), bits=bits,
                   weight=relative(mpmath.log1p), fixed=lambda f: f - f * f / 2)


def exp_problem(degree, base=mpmath.e, bits=24):
    """base^r = 1 + r P(r) for r of at most half of log_base 2, a little more for the rounding of its reduction."""
    half = LN2 / mpmath.log(base) / 2 * mpf("1.0001")
    power = lambda r: mpmath.exp(r * mpmath.log(base))
    return Problem(power, -half, half, range(1, degree + 1), bits=bits, weight=ulps(power), fixed=lambda r: mpf(1))


def expm1_problem(degree, bits=24):
    """exp(r) - 1 = r + r^2 P(r) on the interval of exp_problem, relative to exp(r) - 1."""
    half = LN2 / 2 * mpf("1.0001")
    return Problem(mpmath.expm1, -half, half, range(2, degree + 1), bits=bits, weight=relative(mpmath.expm1),
                   fixed=lambda r: r)


def erf_small_problem(top, degree, bits=24):
    """erf(x) = x + x P(x^2) for 0 <= x <= top; relative error."""
    ratio = quotient(lambda u: mpmath.erf(mpmath.sqrt(u)) / mpmath.sqrt(u), 2 / mpmath.sqrt(mpmath.pi))
    return Problem(ratio, 0, mpf(top) ** 2, range(degree + 1), weight=relative(ratio), fixed=lambda u: mpf(1),
                   bits=bits)


def erf_large_problem(lo, hi, degree):
    """erf(t) = P(y), y = centred t."""
    centring = Centring(lo, hi)
    return Problem(lambda y: mpmath.erf(centring.argument(y)), centring.lo, centring.hi, range(degree + 1))


def cos_problem(degree, bits=24):
    """cos(r) = 1 - r^2 / 2 + r^4 P(r^2) for |r| <= 0.81: pi / 4 and what the reduction of large angles may add."""
    cosine = lambda u: mpmath.cos(mpmath.sqrt(u))
    return Problem(cosine, 0, mpf("0.81") ** 2, range(2, degree + 3), bits=bits, weight=relative(cosine),
                   fixed=lambda u: 1 - u / 2)


def erfcx_problem(lo, hi, shift, degree, bits=24):
    """exp(a^2) erfc(a) for lo <= a <= hi as t P(y), t = 1 / (a + shift), y = centred t."""
    centring = Centring(1 / (mpf(hi) + shift), 1 / (mpf(lo) + shift))
    argument = lambda y: 1 / centring.argument(y) - shift
    scaled = lambda y: mpmath.exp(argument(y) ** 2) * mpmath.erfc(argument(y)) * (argument(y) + shift)
    return Problem(scaled, centring.lo, centring.hi, range(degree + 1), weight=relative(scaled), bits=bits)


def third(value):
    return mpf(value) / 3


PROBLEMS = {
    "exp": lambda: exp_problem(6),
    "expFast": lambda: exp_problem(5),
    "exp2": lambda: exp_problem(6, mpf(2)),
    "exp2Fast": lambda: exp_problem(5, mpf(2)),
    "expm1": lambda: expm1_problem(7),
    "tanh": lambda: odd_problem(mpmath.tanh, -third(1), "0.55", 4),
    "log1p": lambda: log1p_problem(7),
    "erfSmall": lambda: erf_small_problem(1, 6),
    "erfLarge": lambda: erf_large_problem(1, "3.92", 14),
    "erfcx": lambda: erfcx_problem("0.75", "10.1", 2, 9),
    "gelu": lambda: gelu_problem("5.3", 14),
    "sin": lambda: odd_problem(mpmath.sin, third("-0.5"), "0.81", 3),
    "cos": lambda: cos_problem(2),
    "atan": lambda: odd_problem(mpmath.atan, third(-1), 1, 8),
    "asin": lambda: odd_problem(mpmath.asin, third("0.5"), "0.5", 4),
    "sinh": lambda: odd_problem(mpmath.sinh, third("0.5"), 1, 3),
    "log1pDouble": lambda: log1p_problem(14, bits=53),
    "exp2Double": lambda: exp_problem(8, mpf(2), bits=53),
    "atanDouble": lambda: odd_problem(mpmath.atan, third(-1), "0.41422", 11, bits=53),
    "asinDouble": lambda: odd_problem(mpmath.asin, third("0.5"), "0.5", 11, bits=53),
    "erfSmallDouble": lambda: erf_small_problem(1, 12, bits=53),
    "erfcxDouble": lambda: erfcx_problem("0.5", "27.3", 2, 20, bits=53),
}


def report(name, problem):
    coefficients, error = solve(problem)
    print(f"{name}: degree {problem.powers[-1]}, error {error:.3g} = 2^{np.log2(error):.2f}")
    print("  " + ", ".join(hexadecimal(c) for c in coefficients))


def main(names):
    for name in names or PROBLEMS:
        report(name, PROBLEMS[name]())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
