#!/usr/bin/env python3
"""tenon.scan with a dense transition as native code against NumPy: by steps, as a Toeplitz product, by transforms; odd sizes,
shared heads, states carried from run to run.

The oracle is the recurrence in float64, a matrix product a step.
"""

import pathlib
import sys
import unittest

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
from accuracy import compare  # noqa: E402
from mlir_text import entry, tensor  # noqa: E402
from native import InferenceSession, Program, session_levels  # noqa: E402

LETTERS = "bhnd"


def standard(array, layout):
    """As b h n d, dims that are not there of size 1."""
    roles = layout.split()
    array = array.transpose([roles.index(role) for role in LETTERS if role in roles])
    return array.reshape([array.shape[[r for r in LETTERS if r in roles].index(role)] if role in roles else 1 for role in LETTERS])


def moved(a, s):
    """A S, its sums from left to right as the plain evaluation has them."""
    out = np.zeros_like(s)
    for j in range(s.shape[-2]):
        out = out + a[..., :, j, None] * s[..., j, None, :]
    return out


def recurrence(q, k, v, a, state, heads, steps):
    """q: b h n d, k: b s n d, v: b s n e, any of them of size 1; a: s d d; state: b s d e."""
    s, rows = state.copy(), []
    for t in range(steps):
        at = lambda x: x[:, :, t if x.shape[2] > 1 else 0]
        s = moved(a, s) + at(k)[..., :, None] * at(v)[..., None, :]
        rows.append(np.einsum("bhd,bhde->bhe", np.broadcast_to(at(q), (s.shape[0], heads, s.shape[2])),
                              np.repeat(s, heads // s.shape[1], axis=1)))
    return (np.stack(rows, 2) if rows else np.zeros((s.shape[0], heads, 0, s.shape[3]), s.dtype)), s


def rotation(rng, depth, states=None, size=0.97):
    """Matrices whose powers neither vanish nor grow: orthogonal ones, slightly shrunk."""
    matrix = np.linalg.qr(rng.standard_normal((states or 1, depth, depth)))[0] * size
    return (matrix if states else matrix[0]).astype(np.float32)


class Form:
    """One way to write it: layouts and sizes."""

    def __init__(self, depth=5, width=1, heads=5, states=1, query="h d", key="d", value="b n", result="b n h", initial=False,
                 final=False, each=False, steps="N"):
        self.sizes = {"b": "B", "h": heads, "n": steps, "d": depth}
        self.depth, self.width, self.heads, self.states, self.each = depth, width, heads, states, each
        self.layouts = {"q": query, "k": key, "v": value, "y": result}
        self.initial, self.final, self.steps = initial, final, steps

    def dims(self, name):
        of = dict(self.sizes)
        if name in "kv":
            of["h"] = self.states
        if name in "vy":
            of["d"] = self.width
        return [of[role] for role in self.layouts[name].split()]

    def text(self, how):
        types = {name: tensor(*self.dims(name)) for name in "qkvy"}
        a = tensor(*([self.states] if self.each else []), self.depth, self.depth)
        state = tensor("B", self.states, self.depth, self.width)
        start = f" from (%s : {state})" if self.initial else ""
        outputs = {"y": types["y"], **({"z": state} if self.final else {})}
        layouts = ", ".join(f'"{layout}"' for layout in self.layouts.values())
        form = f' {{tenon.form = "{how}"}}' if how else ""
        body = (f"  %{', %'.join(outputs)} = tenon.scan %q, %k, %v transition (%a : {a}){start} layout [{layouts}]{form}\n"
                f"    : {types['q']}, {types['k']}, {types['v']} -> {', '.join(outputs.values())}\n")
        inputs = {"q": types["q"], "k": types["k"], "v": types["v"], "a": a, **({"s": state} if self.initial else {})}
        symbols = {"B": (0, 8), **({"N": (0, 256)} if self.steps == "N" else {})}
        return entry(inputs, outputs, body, symbols)

    def numbers(self, rng, b, n):
        draw = lambda dims: rng.standard_normal([{"B": b, "N": n}.get(dim, dim) for dim in dims]).astype(np.float32)
        given = {name: draw(self.dims(name)) for name in "qkv"}
        given["a"] = rotation(rng, self.depth, self.states if self.each else None)
        if self.initial:
            given["s"] = draw(["B", self.states, self.depth, self.width])
        return given

    def wanted(self, given, kind, b, n):
        seen = {name: array.astype(kind) for name, array in given.items()}
        state = seen.get("s", np.zeros((b, self.states, self.depth, self.width), kind))
        y, z = recurrence(*(standard(seen[name], self.layouts[name]) for name in "qkv"), seen["a"], state, self.heads, n)
        places = [LETTERS.index(role) for role in self.layouts["y"].split()]
        missing = tuple(position for position in range(4) if position not in places)
        y = y.transpose(*places, *missing).reshape([y.shape[place] for place in places])
        return {"y": y, **({"z": z} if self.final else {})}


class StepsTest(unittest.TestCase):
    def check(self, form, steps=(0, 1, 2, 31, 32, 33, 65), batches=(3,)):
        program = Program(form.text("steps"))
        rng = np.random.default_rng(form.depth + 7 * form.width)
        for b in batches:
            for n in steps:
                given = form.numbers(rng, b, n)
                wanted, plain = form.wanted(given, np.float64, b, n), form.wanted(given, np.float32, b, n)
                for level, threads, outputs in program.run(given):
                    for name in wanted:
                        compare(outputs[name], wanted[name], plain[name], f"{name} B={b} N={n} {level} {threads} thread(s)")

    def test_memory(self):
        """LMU's: one number a step, the state itself is read."""
        self.check(Form(depth=5, heads=5), batches=(0, 1, 2, 5))
        self.check(Form(depth=33, heads=33, initial=True, final=True), steps=(1, 40))

    def test_outputs(self):
        """Fewer or more outputs than rows, many columns, rows of 1."""
        self.check(Form(depth=16, heads=3, width=7, value="b n d", result="b n h d", final=True))
        self.check(Form(depth=7, heads=40, width=2, value="b n d", result="b h n d", initial=True))
        self.check(Form(depth=1, heads=1), steps=(1, 5))
        self.check(Form(depth=100, heads=100, width=5, value="b n d", result="b h d n"), steps=(34,))

    def test_keys_that_are_data(self):
        """B x of a vector x: the key changes, the value is 1."""
        self.check(Form(depth=12, heads=12, key="b n d", value="b n", result="b n h", initial=True))
        self.check(Form(depth=9, heads=4, key="n d", width=6, value="b n d", result="b n h d"))
        self.check(Form(depth=9, heads=4, key="b d", width=3, value="b n d", result="b n h d"), steps=(33,))

    def test_queries_that_are_data(self):
        self.check(Form(depth=20, heads=3, query="b n h d", width=5, value="b n d", result="b n h d"))
        self.check(Form(depth=17, heads=1, query="b d", value="b n", result="b n"), steps=(33,))

    def test_states(self):
        """A matrix of each, or one of all; heads that share a state."""
        for each in (False, True):
            self.check(Form(depth=10, heads=6, states=2, key="h d", value="b n h", result="b n h", each=each, initial=True, final=True))
        self.check(Form(depth=10, heads=3, states=3, key="b n h d", value="b n h d", width=4, result="b h n d", each=True), steps=(40,))

    def test_doubles(self):
        form = Form(depth=11, heads=11, final=True)
        program = Program(form.text("steps").replace("f32", "f64"))
        given = {name: array.astype(np.float64) for name, array in form.numbers(np.random.default_rng(1), 2, 35).items()}
        wanted = form.wanted(given, np.float64, 2, 35)
        for level, threads, outputs in program.run(given):
            for name in wanted:
                np.testing.assert_allclose(outputs[name], wanted[name], rtol=1e-12, atol=1e-12, err_msg=f"{level} {threads}")


class ConvolutionTest(unittest.TestCase):
    """Keys and queries that are the same at every step: the same numbers as a Toeplitz product and by transforms."""

    def check(self, forms):
        for form in forms:
            rng = np.random.default_rng(form.depth + form.steps)
            given = form.numbers(rng, 3, form.steps)
            wanted, plain = form.wanted(given, np.float64, 3, form.steps), form.wanted(given, np.float32, 3, form.steps)
            for how in ("toeplitz", "fft"):
                for level, threads, outputs in Program(form.text(how)).run(given):
                    compare(outputs["y"], wanted["y"], plain["y"], f"N={form.steps} {how} {level} {threads} thread(s)")

    def test_memory(self):
        self.check([Form(depth=5, heads=5, steps=1), Form(depth=17, heads=17, steps=37), Form(depth=40, heads=3, steps=100)])

    def test_many_outputs(self):
        """One input for more channels than a tile has."""
        self.check([Form(depth=6, heads=150, steps=33), Form(depth=3, heads=272, steps=20)])

    def test_columns(self):
        """Few columns of many heads, many of few; the batch in front or behind."""
        self.check([Form(depth=6, heads=3, width=5, value="b n d", result="b h n d", steps=33),
                    Form(depth=6, heads=4, width=18, value="n b d", result="n b h d", steps=33)])

    def test_states(self):
        self.check([Form(depth=4, heads=6, states=2, key="h d", value="b n h", result="b n h", each=True, steps=29),
                    Form(depth=4, heads=4, states=2, key="h d", value="b h n d", width=16, result="b h n d", each=True, steps=29)])


class GrowingTest(unittest.TestCase):
    """Matrices whose powers grow: what transforms lose is measured by the largest response, so a response more than a hundred times
    the largest of the first sixteen (one kernel of all columns: the first) is summed directly. Errors are relative to each row."""

    def errors(self, form, size, rows):
        rng = np.random.default_rng(form.depth)
        given = form.numbers(rng, 2, form.steps)
        given["a"] = rotation(rng, form.depth, size=size)
        wanted = standard(form.wanted(given, np.float64, 2, form.steps)["y"], form.layouts["y"])
        norms = lambda array: np.linalg.norm(array, axis=(1, 3))
        for level, threads, outputs in Program(form.text("fft")).run(given):
            found = standard(outputs["y"], form.layouts["y"]).astype(np.float64)
            self.assertTrue(np.isfinite(found).all(), level)
            yield f"{size}, {level}, {threads} thread(s)", (norms(found - wanted) / norms(wanted))[:, rows:].max()

    def few_columns(self, steps=100):
        return Form(depth=9, heads=9, steps=steps)

    def many_columns(self):
        return Form(depth=6, heads=2, width=20, value="b n d", result="b n h d", steps=100)

    def test_below_the_bound(self):
        """1.03 to the 99th is 19."""
        for what, error in self.errors(self.few_columns(), 1.03, rows=16):
            self.assertLessEqual(error, 4e-5, what)

    def test_beyond_the_bound(self):
        """1.07 to the 83rd is 275; 1.6 to the 99th is 1.6e20: by transforms the first rows would have no digits."""
        for size in (1.07, 1.3, 1.6):
            for form in (self.few_columns(), self.many_columns()):
                for what, error in self.errors(form, size, rows=0):
                    self.assertLessEqual(error, 2e-5, what)

    def test_overflow(self):
        """Responses beyond float32: what the recurrence has before is right, and what it has then is no number by steps either."""
        form = self.few_columns(steps=300)
        rng = np.random.default_rng(1)
        given = form.numbers(rng, 1, form.steps)
        given["a"] = rotation(rng, form.depth, size=2)
        given["v"][:, 100:] = 0
        wanted = form.wanted(given, np.float64, 1, form.steps)["y"]
        for level, threads, outputs in Program(form.text("fft")).run(given):
            found = outputs["y"].astype(np.float64)
            first = np.linalg.norm(found - wanted, axis=-1)[:, :100] / np.linalg.norm(wanted, axis=-1)[:, :100]
            self.assertLessEqual(first.max(), 2e-5, f"{level} {threads}")
            self.assertFalse(np.isfinite(found[:, 150:]).any(), f"{level} {threads}")


class StateTest(unittest.TestCase):
    """A session that keeps the state in place: some steps at once, then one after another."""

    def test_runs_go_on_where_the_last_ended(self):
        u, state, rows = tensor(1, "N"), tensor(1, 1, 9, 1), tensor(1, "N", 9)
        body = (f"  %s = tenon.state_get @s : {state}\n"
                f"  %y, %t = tenon.scan %q, %k, %u transition (%a : tensor<9x9xf32>) from (%s : {state})\n"
                f'    layout ["h d", "d", "b n", "b n h"] : tensor<9x9xf32>, tensor<9xf32>, {u} -> {rows}, {state}\n'
                f"  tenon.state_set @s, %t : {state}")
        text = entry({"q": "tensor<9x9xf32>", "k": "tensor<9xf32>", "u": u, "a": "tensor<9x9xf32>"}, {"y": rows}, body, {"N": (0, 64)})
        program = Program(f"tenon.state @s : {state}\n" + text)
        form, rng = Form(depth=9, heads=9), np.random.default_rng(4)
        given = form.numbers(rng, 1, 50)
        wanted, plain = form.wanted(given, np.float64, 1, 50)["y"], form.wanted(given, np.float32, 1, 50)["y"]
        fixed = {name: given[name] for name in "qka"}
        for level in session_levels():
            session = InferenceSession(program.artifact, threads=1, level=level)
            cuts = [0, 33, 33, *range(34, 51)]
            take = lambda begin, end: session.run(["y"], fixed | {"u": np.ascontiguousarray(given["v"][:, begin:end])})[0]
            found = np.concatenate([take(begin, end) for begin, end in zip(cuts, cuts[1:])], 1)
            compare(found, wanted, plain, level)


if __name__ == "__main__":
    unittest.main()
