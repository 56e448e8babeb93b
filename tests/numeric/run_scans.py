#!/usr/bin/env python3
"""tenon.scan as native code against NumPy: every transition by steps and in chunks, odd lengths, shared heads, states carried
from run to run.

Two oracles that share nothing: the recurrence step by step, and the chunked form (WY for the delta rule), whose products are
of whole matrices. Both in float64; the recurrence in float32 as well, as the plain evaluation the accuracy rule asks for.
"""

import pathlib
import sys
import unittest

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
from accuracy import compare  # noqa: E402
from mlir_text import entry, tensor  # noqa: E402
from native import InferenceSession, Program, session_levels  # noqa: E402

STEPS = (0, 1, 2, 13, 15, 16, 17, 31, 32, 47, 64, 65, 97, 129)


def shared(x, heads):
    return np.repeat(x, heads // x.shape[1], axis=1)


def recurrence(q, k, v, state, decay=None, rate=None):
    """Step by step. q, k: b h n d; v: b h n e; decay: b h n 1 or b h n d; rate: b h n 1; state: b s d e."""
    states, heads = state.shape[1], max(q.shape[1], state.shape[1])
    k, v = shared(k, states), shared(v, states)
    q = shared(q, heads)
    s, out = state.copy(), np.zeros((q.shape[0], heads, *v.shape[2:]), q.dtype)
    for t in range(v.shape[2]):
        if decay is not None:
            s = s * shared(decay, states)[:, :, t, :, None]
        w = v[:, :, t]
        if rate is not None:
            w = (w - np.einsum("bhd,bhde->bhe", k[:, :, t], s)) * shared(rate, states)[:, :, t]
        s = s + k[:, :, t, :, None] * w[:, :, None, :]
        out[:, :, t] = np.einsum("bhd,bhde->bhe", q[:, :, t], shared(s, heads))
    return out, s


def chunked(q, k, v, state, decay=None, rate=None, size=16):
    """Products of whole chunks. With a factor of one for all rows: `decay` is b h n 1."""
    s, parts = state.copy(), []
    for at in range(0, v.shape[2], size):
        Q, K, V = (x[:, :, at:at + size] for x in (q, k, v))
        n = V.shape[2]
        a = np.ones((*V.shape[:2], n)) if decay is None else decay[:, :, at:at + size, 0]
        from_start = np.cumprod(a, -1)
        between = np.zeros((*V.shape[:2], n, n))  # Π of a over (j, i], 0 where j > i
        for i in range(n):
            between[..., i, i] = 1
            if i:
                between[..., i, :i] = a[..., i, None] * between[..., i - 1, :i]
        W = V
        if rate is not None:
            beta = rate[:, :, at:at + size]
            A = np.tril(beta * (K @ K.swapaxes(-1, -2)) * between, -1)
            old = from_start[..., None] * (K @ s)
            W = np.linalg.solve(np.eye(n) + A, beta * (V - old))
        parts.append(from_start[..., None] * (Q @ s) + (Q @ K.swapaxes(-1, -2) * between) @ W)
        s = from_start[..., -1, None, None] * s + (K * between[..., -1, :, None]).swapaxes(-1, -2) @ W
    return (np.concatenate(parts, 2) if parts else np.zeros_like(v)), s


class Form:
    """One way to write a scan: sizes, and which of its operands are there."""

    def __init__(self, depth=8, width=16, heads=2, query=None, key=None, value=None, decay="", rate=False, initial=False,
                 final=True, order="b h n {}", batch="B"):
        self.depth, self.width, self.heads, self.order, self.batch = depth, width, heads, order, batch
        self.query, self.key, self.value = query or heads, key or heads, value or heads
        self.states = max(self.key, self.value)
        self.decay, self.rate, self.initial, self.final = decay, rate, initial, final

    def shape(self, layout, heads, depth):
        of = {"b": self.batch, "h": heads, "n": "N", "d": depth}
        return [of[role] for role in layout.split()]

    def operands(self):
        """NAME -> (layout, dims)."""
        order = self.order.format
        all = {"q": (order("d"), self.query, self.depth), "k": (order("d"), self.key, self.depth),
               "v": (order("d"), self.value, self.width)}
        if self.decay:
            all["a"] = (self.decay, self.states, self.depth)
        if self.rate:
            all["r"] = ("b n h", self.states, 1)
        return {name: (layout, self.shape(layout, heads, depth)) for name, (layout, heads, depth) in all.items()}

    def has_chunks(self):
        return "d" not in self.decay

    def text(self, how):
        operands = self.operands()
        types = {name: tensor(*dims) for name, (_, dims) in operands.items()}
        result = tensor(*self.shape(self.order.format("d"), self.heads, self.width))
        state = tensor(self.batch, self.states, self.depth, self.width)
        layouts = [layout for layout, _ in operands.values()] + [self.order.format("d")]
        more = f" decay (%a : {types['a']})" if self.decay else ""
        more += f" rate (%r : {types['r']})" if self.rate else ""
        more += f" from (%s : {state})" if self.initial else ""
        outputs = {"y": result, **({"z": state} if self.final else {})}
        body = (f"  %{', %'.join(outputs)} = tenon.scan %q, %k, %v{more} layout [{', '.join(f'{chr(34)}{x}{chr(34)}' for x in layouts)}] {{tenon.form = \"{how}\"}}\n"
                f"    : {types['q']}, {types['k']}, {types['v']} -> {', '.join(outputs.values())}\n")
        return entry({**types, **({"s": state} if self.initial else {})}, outputs, body, {**({"B": (0, 4)} if self.batch == "B" else {}), "N": (0, 256)})


def standard(array, layout):
    """As b h n d, dims that are not there of size 1."""
    roles = layout.split()
    array = array.transpose([roles.index(role) for role in "bhnd" if role in roles])
    for position, role in enumerate("bhnd"):
        if role not in roles:
            array = np.expand_dims(array, position)
    return array


class ScanTest(unittest.TestCase):
    def check(self, form, steps=STEPS, batches=(2,), factors=lambda rng, shape: rng.uniform(0.8, 1, shape)):
        """Both forms, where it has two, on the same numbers."""
        programs = {how: Program(form.text(how)) for how in ("steps", "chunks")[:1 + form.has_chunks()]}
        rng = np.random.default_rng(form.depth + form.width)
        for b in batches:
            for n in steps:
                self.check_size(programs, form, rng, b, n, factors)

    def check_size(self, programs, form, rng, b, n, factors):
        inputs = {}
        for name, (layout, dims) in form.operands().items():
            shape = [{"B": b, "N": n}.get(dim, dim) for dim in dims]
            inputs[name] = (factors(rng, shape) if name == "a" else rng.uniform(0, 1, shape) if name == "r"
                            else rng.standard_normal(shape)).astype(np.float32)
            if name == "k":
                axis = layout.split().index("d")
                inputs[name] /= np.linalg.norm(inputs[name], axis=axis, keepdims=True)
        state = np.zeros((b, form.states, form.depth, form.width), np.float32)
        if form.initial:
            inputs["s"] = state = rng.standard_normal(state.shape).astype(np.float32)

        def views(kind):
            seen = {name: standard(inputs[name].astype(kind), layout) for name, (layout, _) in form.operands().items()}
            if "a" in seen:
                wanted = (b, form.states, n, seen["a"].shape[3])
                seen["a"] = np.broadcast_to(seen["a"], wanted)
            return [seen["q"], seen["k"], seen["v"], state.astype(kind), seen.get("a"), seen.get("r")]

        def results(y, z):
            places = ["bhnd".index(role) for role in form.order.format("d").split()]
            return {"y": y.transpose(places), **({"z": z} if form.final else {})}

        wanted, plain = results(*recurrence(*views(np.float64))), results(*recurrence(*views(np.float32)))
        if form.query == form.key == form.value and form.has_chunks():
            for name, other in results(*chunked(*views(np.float64))).items():
                np.testing.assert_allclose(other, wanted[name], rtol=1e-9, atol=1e-9)
        for how, program in programs.items():
            for level, threads, outputs in program.run(inputs):
                for name in wanted:
                    compare(outputs[name], wanted[name], plain[name],
                            f"{name} B={b} N={n} by {how} {level} {threads} thread(s)")

    def test_sum(self):
        self.check(Form(), batches=(0, 1, 3))

    def test_decay_of_heads(self):
        self.check(Form(decay="h"))

    def test_decay_that_is_data(self):
        self.check(Form(decay="b n h", initial=True))

    def test_decay_of_rows(self):
        self.check(Form(decay="b h n d", initial=True))

    def test_delta_rule(self):
        self.check(Form(rate=True, initial=True))

    def test_gated_delta_rule(self):
        self.check(Form(rate=True, decay="b n h", initial=True))

    def test_delta_rule_with_decay_of_rows(self):
        self.check(Form(rate=True, decay="b n h d"))

    def test_decay_of_zero_and_one(self):
        for kind in ("b n h", "b h n d"):
            for rate in (False, True):
                self.check(Form(decay=kind, rate=rate, initial=True), (1, 2, 65),
                           factors=lambda rng, shape: rng.integers(0, 2, shape))

    def test_decay_of_any_size(self):
        """Products of factors that vanish, from 1 down to where they are subnormal, or grow."""
        for rate in (False, True):
            self.check(Form(decay="b n h", rate=rate, initial=True), (17, 47, 97),
                       factors=lambda rng, shape: 10.0 ** rng.choice([0, -1, -8, -30, -44], shape))
            self.check(Form(decay="b n h", rate=rate, initial=True), (47,),
                       factors=lambda rng, shape: rng.uniform(0.5, 1.5, shape))

    def test_depths(self):
        """Register tiles of every shape, columns that fill no vector, several blocks of columns."""
        for depth, width in ((1, 1), (3, 5), (5, 17), (64, 64), (7, 65), (16, 96), (33, 130), (128, 48)):
            for rate in (False, True):
                self.check(Form(depth, width, decay="b n h", rate=rate), (2, 33))

    def test_single_head(self):
        """Of a single batch item: its columns are cut in two, of which the second may be narrower."""
        for depth, width in ((64, 64), (7, 33), (20, 50), (5, 32), (9, 65)):
            for kind, rate in (("", False), ("b n h", False), ("b n h d", False), ("", True), ("b n h", True)):
                self.check(Form(depth, width, heads=1, decay=kind, rate=rate, initial=True, batch=1), (1, 33), batches=(1,))

    def test_shared_heads(self):
        self.check(Form(heads=6, query=2, key=1, value=6, decay="b n h"), (1, 33))
        self.check(Form(heads=6, query=6, key=3, value=3, rate=True, initial=True), (1, 33))

    def test_rows_of_all_heads(self):
        self.check(Form(order="b n h {}", decay="b n h", final=False), (1, 40))

    def test_maps_around_it(self):
        """Functions of its operands are computed where they are read, and what follows where it is written."""
        x, g = tensor("B", "N", 2, 8), tensor("B", "N", 2)
        body = (f"  %k = tenon.map %a = %x at %b, %n, %h, %d : ({x}) -> {x} = max(%a[%b, %n, %h, %d], 0.0)\n"
                f"  %f = tenon.map %a = %g at %b, %n, %h : ({g}) -> {g} = exp(0.0 - %a[%b, %n, %h])\n"
                f"  %o = tenon.scan %x, %k, %x decay (%f : {g}) layout [\"b n h d\", \"b n h d\", \"b n h d\", \"b n h\", \"b n h d\"]"
                f" : {x}, {x}, {x} -> {x}\n"
                f"  %y = tenon.map %a = %o at %b, %n, %h, %d : ({x}) -> {x} = %a[%b, %n, %h, %d] * 0.5 + 1.0\n")
        program = Program(entry({"x": x, "g": g}, {"y": x}, body, {"B": (0, 4), "N": (0, 256)}))
        rng = np.random.default_rng(1)
        inputs = {"x": rng.standard_normal((2, 37, 2, 8)).astype(np.float32), "g": rng.random((2, 37, 2)).astype(np.float32)}

        def oracle(kind):
            x, g = (inputs[name].astype(kind) for name in "xg")
            rows = x.transpose(0, 2, 1, 3)
            y, _ = recurrence(rows, np.maximum(rows, 0), rows, np.zeros((2, 2, 8, 8), kind),
                              np.exp(-g).transpose(0, 2, 1)[..., None])
            return y.transpose(0, 2, 1, 3) * kind(0.5) + 1

        for level, threads, outputs in program.run(inputs):
            compare(outputs["y"], oracle(np.float64), oracle(np.float32), f"{level} {threads} thread(s)")


class CausalTest(unittest.TestCase):
    """What is no number reaches no earlier step, and no other column."""

    def test_nan_and_infinity(self):
        for rate in (False, True):
            form, rng = Form(16, 24, decay="b n h", rate=rate), np.random.default_rng(3)
            inputs = {name: rng.uniform(0, 0.25, [{"B": 1, "N": 50}.get(dim, dim) for dim in dims]).astype(np.float32)
                      for name, (_, dims) in form.operands().items()}
            clean, hurt = dict(inputs), {name: array.copy() for name, array in inputs.items()}
            hurt["v"][0, 1, 21, 5] = np.nan
            hurt["v"][0, 1, 38, 7] = np.inf
            hurt["k"][0, 0, 27, 3] = np.nan
            for how in ("steps", "chunks"):
                program = Program(form.text(how))
                for (level, threads, whole), (_, _, found) in zip(program.run(clean), program.run(hurt)):
                    touched = np.zeros(whole["y"].shape, bool)
                    touched[0, 1, 21:, 5] = touched[0, 1, 38:, 7] = touched[0, 0, 27:] = True
                    place = f"by {how} {level} {threads} thread(s)"
                    np.testing.assert_array_equal(np.isfinite(found["y"]), ~touched, place)
                    np.testing.assert_array_equal(found["y"][~touched], whole["y"][~touched], place)


class ChannelTest(unittest.TestCase):
    """One column for each of many heads: lanes along the heads."""

    def check(self, depth, heads, factors="map", steps=(0, 1, 15, 16, 17, 37), query="b n d", initial=True):
        x, rows, a = tensor("B", "N", heads), tensor("B", "N", depth), tensor("B", "N", heads, depth)
        state, rates = tensor("B", heads, depth, 1), tensor(heads, depth)
        inputs = {"x": x, "k": rows, "q": rows if query == "b n d" else a, "s": state}
        layouts = [query, "b n d", "b n h"]
        body, decay = "", ""
        if factors == "map":
            inputs |= {"t": x, "r": rates}
            body = (f"  %f = tenon.map %u = %t, %w = %r at %b, %n, %h, %d : ({x}, {rates}) -> {a} = "
                    "exp(0.0 - %u[%b, %n, %h] / %w[%h, %d])\n")
            decay, layouts = f" decay (%f : {a})", layouts + ["b n h d"]
        elif factors == "heads":
            inputs["t"] = x
            decay, layouts = f" decay (%t : {x})", layouts + ["b n h"]
        start = f" from (%s : {state})" if initial else ""
        body += (f"  %y, %z = tenon.scan %q, %k, %x{decay}{start} layout [{', '.join(f'{chr(34)}{l}{chr(34)}' for l in layouts + ['b n h'])}]"
                 f" : {inputs['q']}, {rows}, {x} -> {x}, {state}\n")
        program = Program(entry(inputs, {"y": x, "z": state}, body, {"B": (0, 4), "N": (0, 256)}))
        rng = np.random.default_rng(depth + heads)
        for n in steps:
            shapes = {"x": (2, n, heads), "k": (2, n, depth), "q": (2, n, depth) if query == "b n d" else (2, n, heads, depth),
                      "s": (2, heads, depth, 1)}
            given = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
            if "t" in inputs:
                given["t"] = rng.uniform(0.1, 0.9, (2, n, heads)).astype(np.float32)
            if "r" in inputs:
                given["r"] = rng.uniform(0.5, 4, (heads, depth)).astype(np.float32)

            def oracle(kind):
                g = {name: array.astype(kind) for name, array in given.items()}
                decay = np.exp(-g["t"][..., None] / g["r"]) if factors == "map" else g["t"][..., None] if factors == "heads" else None
                by_heads = lambda rows: rows[:, None] if rows.ndim == 3 else rows.transpose(0, 2, 1, 3)
                start = g["s"] if initial else np.zeros((2, heads, depth, 1), kind)
                y, z = recurrence(by_heads(g["q"]), by_heads(g["k"]), g["x"].transpose(0, 2, 1)[..., None], start,
                                  None if decay is None else decay.transpose(0, 2, 1, 3))
                return {"y": y[..., 0].transpose(0, 2, 1), "z": z}

            wanted, plain = oracle(np.float64), oracle(np.float32)
            for level, threads, outputs in program.run(given):
                for name in wanted:
                    compare(outputs[name], wanted[name], plain[name], f"{name} N={n} {depth} x {heads} {level} {threads} thread(s)")

    def test_factors_by_states(self):
        """Squares of heads and states, with remainders of both."""
        for depth, heads in ((16, 32), (16, 40), (5, 7), (24, 17), (64, 16)):
            self.check(depth, heads)

    def test_factors_by_heads(self):
        self.check(1, 33, "heads")
        self.check(6, 16, "heads", initial=False)

    def test_no_factors(self):
        self.check(7, 20, None)

    def test_queries_of_heads(self):
        """They lie by states, which only factors may: the other lowering."""
        self.check(4, 6, query="b n h d")


class ElementTest(unittest.TestCase):
    """Narrow operands and results around a state in float32; all of it in float64."""

    def check(self, of, kind, rate, how):
        x, g, state = tensor(1, "N", 2, 24, of=of), tensor(1, "N", 2, of=of), tensor(1, 2, 24, 24, of=of)
        inputs = {"q": x, "k": x, "v": x, "a": g, **({"r": g} if rate else {})}
        layouts = ['"b n h d"'] * 3 + ['"b n h"'] * (1 + rate) + ['"b n h d"']
        body = (f"  %y, %z = tenon.scan %q, %k, %v decay (%a : {g})" + (f" rate (%r : {g})" if rate else "")
                + f" layout [{', '.join(layouts)}] {{tenon.form = \"{how}\"}} : {x}, {x}, {x} -> {x}, {state}")
        program = Program(entry(inputs, {"y": x, "z": state}, body, {"N": (0, 256)}))
        rng = np.random.default_rng(6)
        given = {name: (rng.standard_normal((1, 37, 2, 24)) * 0.2).astype(kind) for name in "qkv"}
        given |= {name: rng.uniform(0.5, 1, (1, 37, 2)).astype(kind) for name in "ar" if name in inputs}
        wide = {name: array.astype(np.float64) for name, array in given.items()}
        ofs = [wide[name].transpose(0, 2, 1)[..., None] if name in wide else None for name in "ar"]
        y, z = recurrence(*(wide[name].transpose(0, 2, 1, 3) for name in "qkv"), np.zeros((1, 2, 24, 24)), *ofs)
        for level, threads, outputs in program.run(given):
            for name, wanted in (("y", y.transpose(0, 2, 1, 3)), ("z", z)):
                self.assertEqual(outputs[name].dtype, kind)
                # Rounded once; in float64 every step rounds.
                bound = np.abs(wanted) * np.finfo(kind).eps * (1 if kind == np.float16 else 64) + 1e-7 * (kind == np.float16) + 1e-15
                self.assertTrue((np.abs(outputs[name] - wanted) <= bound).all(), f"{of} {name} by {how} {level} {threads} thread(s)")

    def test_types(self):
        for of, kind in (("f16", np.float16), ("f64", np.float64)):
            for rate in (False, True):
                for how in ("steps", "chunks"):
                    self.check(of, kind, rate, how)


class StateTest(unittest.TestCase):
    """A session that keeps the matrix: some steps at once, then one after another."""

    def test_runs_go_on_where_the_last_ended(self):
        x, g, state = tensor(1, "N", 2, 8), tensor(1, "N", 2), tensor(1, 2, 8, 8)
        body = (f"  %s = tenon.state_get @s : {state}\n"
                f"  %y, %t = tenon.scan %q, %k, %v decay (%a : {g}) rate (%r : {g}) from (%s : {state})\n"
                '    layout ["b n h d", "b n h d", "b n h d", "b n h", "b n h", "b n h d"]\n'
                f"    : {x}, {x}, {x} -> {x}, {state}\n"
                f"  tenon.state_set @s, %t : {state}")
        text = entry({"q": x, "k": x, "v": x, "a": g, "r": g}, {"y": x}, body, {"N": (0, 256)})
        program = Program(f"tenon.state @s : {state}\n" + text)
        rng = np.random.default_rng(4)
        inputs = {name: (rng.standard_normal((1, 50, 2, 8)) * 0.3).astype(np.float32) for name in "qkv"}
        inputs |= {name: rng.uniform(0.5, 1, (1, 50, 2)).astype(np.float32) for name in "ar"}

        def oracle(kind):
            rows = [inputs[name].astype(kind).transpose(0, 2, 1, 3) for name in "qkv"]
            ofs = [inputs[name].astype(kind).transpose(0, 2, 1)[..., None] for name in "ar"]
            return recurrence(*rows, np.zeros((1, 2, 8, 8), kind), *ofs)[0].transpose(0, 2, 1, 3)

        for level in session_levels():
            session = InferenceSession(program.artifact, threads=1, level=level)
            take = lambda begin, end: session.run(["y"], {n: np.ascontiguousarray(a[:, begin:end]) for n, a in inputs.items()})[0]
            cuts = [0, 33, 33, *range(34, 51)]
            found = np.concatenate([take(begin, end) for begin, end in zip(cuts, cuts[1:])], 1)
            compare(found, oracle(np.float64), oracle(np.float32), level)


if __name__ == "__main__":
    unittest.main()
