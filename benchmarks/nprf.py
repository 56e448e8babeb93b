#!/usr/bin/env python3
"""NPRF attention beside PyTorch and JAX: milliseconds of one thread, float32.

    benchmarks/nprf.py [--build build/release] [--lengths 512,2048] [--causal] [--json FILE]

z[i] = Σ_j c(j - i) (q[i] · k[j]) v[j] / Σ_j c(j - i) (q[i] · k[j]), of 8 heads with 64 features and 64 channels. Ways:

    tenon             the form ChooseToeplitzForm takes
    torch quadratic   (q kᵀ) ∘ T, times [v, 1]; T is a view of c with strides, not a copy; all heads at once or one at a time
    torch fft         rfft of all products of features and channels, padded to twice the length; one head at a time
    jax fft           the same, compiled (where JAX is installed)

Everybody runs in turns in one process; of each the fastest round counts. The ways by libraries' transforms hold n x 64 x 65
complex numbers a head, so from 4096 on they run one head of the eight, once, and the time is multiplied.
Every result is compared with that of the quadratic way. Tenon's extra memory is what its session holds beside the output.
"""

import argparse
import json
import math
import os
import pathlib
import sys
import time

import numpy as np
import torch

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests" / "support"), str(ROOT / "benchmarks")]
from toeplitz import Form, chosen  # noqa: E402

HEADS, FEATURES, CHANNELS = 8, 64, 64
ALL_AT_ONCE = 1 << 29  # bytes of scores up to which the quadratic way takes all heads together
ONE_HEAD_FROM = 4096


def drawn(length, causal):
    rng = np.random.default_rng(1)
    draw = lambda *shape: rng.uniform(0.5, 1, shape).astype(np.float32)
    c = draw(HEADS, 2 * length - 1)
    if causal:
        c[:, length:] = 0
    return {"q": draw(1, HEADS, length, FEATURES), "k": draw(1, HEADS, length, FEATURES),
            "v": draw(1, HEADS, length, CHANNELS), "c": c}


class Quadratic:
    heads = HEADS

    def __init__(self, inputs):
        q, k, v, c = (torch.from_numpy(inputs[name]) for name in "qkvc")
        # Strides must not be negative: the rows of T backwards, c(j - i) for i = n - 1, n - 2, …
        self.q, self.k, self.v, length = q[0].flip(1).contiguous(), k[0], v[0], q.shape[2]
        self.T = c.as_strided((HEADS, length, length), (2 * length - 1, 1, 1))
        self.step = HEADS if 4 * HEADS * length * length <= ALL_AT_ONCE else 1

    def __call__(self):
        parts = []
        for head in range(0, HEADS, self.step):
            at = slice(head, head + self.step)
            scores = self.q[at] @ self.k[at].mT
            scores *= self.T[at]
            parts.append((scores @ self.v[at]) / scores.sum(-1, keepdim=True))
        return torch.cat(parts).flip(1).numpy()


def fourier(library, joined, q, k, v, c):
    """One head, in the arrays of PyTorch or JAX."""
    length, fft = q.shape[0], library.fft
    kernel = joined([library.flip(c[:length], (0,)), c[:1] * 0, library.flip(c[length:], (0,))])
    values = joined([v, v[:, :1] * 0 + 1], 1)
    products = k[:, :, None] * values[:, None, :]
    mixed = fft.irfft(fft.rfft(products, 2 * length, 0) * fft.rfft(kernel, 2 * length)[:, None, None], 2 * length, 0)[:length]
    sums = (q[:, :, None] * mixed).sum(1)
    return sums[:, :-1] / sums[:, -1:]


class ByTorch:
    def __init__(self, inputs):
        self.given = [torch.from_numpy(inputs[name][0]) for name in "qkv"] + [torch.from_numpy(inputs["c"])]
        self.heads = HEADS if inputs["c"].shape[1] < 2 * ONE_HEAD_FROM - 1 else 1

    def __call__(self):
        return np.stack([fourier(torch, torch.cat, *(x[head] for x in self.given)).numpy() for head in range(self.heads)])


class ByJax:
    def __init__(self, inputs):
        import jax
        import jax.numpy as jnp
        self.given = [jnp.asarray(inputs[name][0]) for name in "qkv"] + [jnp.asarray(inputs["c"])]
        self.heads = HEADS if inputs["c"].shape[1] < 2 * ONE_HEAD_FROM - 1 else 1
        self.compiled = jax.jit(lambda *given: fourier(jnp, jnp.concatenate, *given))

    def __call__(self):
        return np.stack([np.asarray(self.compiled(*(x[head] for x in self.given))) for head in range(self.heads)])


class Tenon:
    heads = HEADS

    def __init__(self, inputs, length, causal):
        self.form = Form("", inputs, length, FEATURES, CHANNELS, HEADS, causal)

    def __call__(self):
        self.form.session.execute()

    def result(self):
        return self.form.session.outputs()["y"][0]


def engines(inputs, length, causal):
    made = {"tenon": Tenon(inputs, length, causal), "torch quadratic": Quadratic(inputs), "torch fft": ByTorch(inputs)}
    try:
        made["jax fft"] = ByJax(inputs)
    except ImportError:
        pass
    return made


def measure(length, causal, rounds):
    inputs = drawn(length, causal)
    everybody = engines(inputs, length, causal)
    wanted = everybody["torch quadratic"]()
    for name, who in everybody.items():
        found = who()
        found = who.result() if found is None else found
        error = np.abs(found - wanted[: who.heads]).max() / np.abs(wanted).max()
        bound = 1e-3 if causal and "fft" in name and name != "tenon" else 1e-4  # rows of few keys, by transforms
        if not error < bound:
            raise SystemExit(f"{name}, {length}: differs from the quadratic way by {error:.1e}, wanted at most {bound:.0e}")
    best = dict.fromkeys(everybody, math.inf)
    for number in range(rounds):
        for name, who in everybody.items():
            if number and "fft" in name and length >= ONE_HEAD_FROM:
                continue
            start = time.perf_counter()
            who()
            best[name] = min(best[name], (time.perf_counter() - start) * HEADS / who.heads)
    return {"n": length, "causal": causal, "form": chosen(length, FEATURES, CHANNELS, HEADS, causal),
            "milliseconds": {name: round(1e3 * seconds, 3) for name, seconds in best.items()},
            "extra_mib": round(everybody["tenon"].form.session.memory / 2**20, 1)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=str(ROOT / "build" / "release"))
    parser.add_argument("--lengths", default="512,2048,8192,16384")
    parser.add_argument("--causal", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json")
    options = parser.parse_args()
    os.environ["TENON_BUILD"] = options.build
    torch.set_num_threads(1)
    runs = []
    for length in map(int, options.lengths.split(",")):
        runs.append(measure(length, options.causal, options.rounds if length < 8192 else 2))
        print(json.dumps(runs[-1]), flush=True)
        if options.json:
            pathlib.Path(options.json).write_text(json.dumps({"runs": runs}, indent=1) + "\n")


if __name__ == "__main__":
    main()
