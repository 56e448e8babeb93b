#!/usr/bin/env python3
"""States as native code: examples/states/decoder.mlir, token by token, against the whole sequence in NumPy.

The weights are #tenon.random, so the oracle makes them from the attribute's own definition.
"""

import pathlib
import sys
import unittest

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "support"))
from accuracy import compare  # noqa: E402
from native import InferenceSession, Program, levels  # noqa: E402
from tenon import Code, Error  # noqa: E402

WIDTH, HEADS, DEPTH, CAPACITY = 24, 2, 12, 48


def weight(seed, scale=0.3):
    """SplitMix64, as #tenon.random says."""
    mask, values, state = (1 << 64) - 1, [], seed
    for _ in range(WIDTH * WIDTH):
        state = (state + 0x9E3779B97F4A7C15) & mask
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        values.append(scale * (2 * (((z ^ (z >> 31)) >> 11) * 2.0**-53) - 1))
    return np.array(values).astype(np.float32).reshape(WIDTH, WIDTH)


WEIGHTS = [weight(seed) for seed in (1, 2, 3, 4)]


def decoder(x):
    """The whole sequence at once, in x's own type."""
    wq, wk, wv, wo = (w.astype(x.dtype) for w in WEIGHTS)
    heads = lambda y: y.reshape(len(x), HEADS, DEPTH).transpose(1, 0, 2)
    q, k, v = heads(x @ wq), heads(x @ wk), heads(x @ wv)
    scores = q @ k.transpose(0, 2, 1) * x.dtype.type(np.float32(0.288675))
    scores = np.where(np.tri(len(x), dtype=bool), scores, -np.inf)
    p = np.exp(scores - scores.max(-1, keepdims=True))
    o = (p / p.sum(-1, keepdims=True)) @ v
    return x + o.transpose(1, 0, 2).reshape(len(x), WIDTH) @ wo


def tokens(count, seed=5):
    return np.random.default_rng(seed).standard_normal((count, WIDTH)).astype(np.float32)


class Decoder:
    """One session: both entries."""

    def __init__(self, artifact, level=None, threads=1):
        self.prefill = InferenceSession(artifact, threads=threads, level=level, entry="prefill")
        self.step = self.prefill.entry("step")

    def run(self, x, first):
        """`first` tokens at once, the others one by one."""
        parts = [self.prefill.run(["y"], {"x": x[:first]})[0]] if first else []
        parts += [self.step.run(None, {"x": x[i:i + 1]})[0] for i in range(first, len(x))]
        return np.concatenate(parts)


class StateTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.program = Program((ROOT / "examples" / "states" / "decoder.mlir").read_text())
        cls.artifact = cls.program.artifact

    def check(self, found, x, what):
        compare(found, decoder(x.astype(np.float64)), decoder(x), what)

    def test_steps_equal_the_whole(self):
        for level in levels():
            for threads in (1, 2):
                for count, first in [(1, 0), (7, 0), (33, 20), (48, 47), (17, 17)]:
                    found = Decoder(self.artifact, level, threads).run(tokens(count), first)
                    self.check(found, tokens(count), f"{first} of {count} tokens, {level}, {threads} thread(s)")

    def test_prefill_in_pieces(self):
        decoder_session, x = Decoder(self.artifact), tokens(31)
        parts = [decoder_session.prefill.run(["y"], {"x": x[a:b]})[0] for a, b in [(0, 3), (3, 20), (20, 31)]]
        self.check(np.concatenate(parts), x, "three pieces")
        self.assertEqual(decoder_session.prefill.get_kept("P"), 31)

    def test_recurrence(self):
        session, x = Decoder(self.artifact).prefill, tokens(30)
        for end in (10, 20, 30):
            total = session.run(["total"], {"x": x[end - 10:end]})[0]
            np.testing.assert_allclose(total, x[:end].sum(0), rtol=0, atol=1e-5)

    def test_overflow_changes_nothing(self):
        session, x = Decoder(self.artifact), tokens(CAPACITY)
        y = [session.run(x[:40], 40)]
        with self.assertRaises(Error) as caught:
            session.prefill.run(None, {"x": x[:9]})
        self.assertEqual(caught.exception.code, Code.BAD_SHAPE)
        self.assertIn("found 49", str(caught.exception))
        self.assertIn("states are full", str(caught.exception))
        y += [session.step.run(None, {"x": x[i:i + 1]})[0] for i in range(40, CAPACITY)]
        self.check(np.concatenate(y), x, "after an overflow")
        with self.assertRaises(Error):
            session.step.run(None, {"x": x[:1]})

    def test_sessions_share_nothing(self):
        a, b = Decoder(self.artifact), Decoder(self.artifact)
        x, z = tokens(12, 1), tokens(12, 2)
        found = [(a.step.run(None, {"x": x[i:i + 1]})[0], b.step.run(None, {"x": z[i:i + 1]})[0]) for i in range(12)]
        self.check(np.concatenate([y for y, _ in found]), x, "the first session")
        self.check(np.concatenate([y for _, y in found]), z, "the second session")

    def test_reset_and_take_back(self):
        session, x = Decoder(self.artifact), tokens(20)
        session.run(tokens(30, 9), 25)
        session.prefill.reset_states()
        self.assertEqual(session.prefill.get_kept("P"), 0)
        self.check(session.run(x[:16], 16), x[:16], "after a reset")
        session.step.run(None, {"x": tokens(1, 3)})
        session.prefill.set_kept("P", 16)  # a token that is taken back
        rest = [session.step.run(None, {"x": x[i:i + 1]})[0] for i in range(16, 20)]
        wanted = decoder(x.astype(np.float64))[16:]
        compare(np.concatenate(rest), wanted, decoder(x)[16:], "after taking a token back")
        with self.assertRaises(Error):
            session.prefill.set_kept("P", CAPACITY + 1)


if __name__ == "__main__":
    unittest.main()
