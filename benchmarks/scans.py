#!/usr/bin/env python3
"""Linear attention and the delta rule: Tenon beside PyTorch's chunked forms, call by call in turns.

    pip install torch onnx
    benchmarks/scans.py [--threads 1 2] [--json FILE]
    benchmarks/scans.py --forms                 # both forms of tenon.scan beside each other
    benchmarks/scans.py --transitions           # the three of a recurrence with a dense matrix (LMU), and PyTorch's

PyTorch runs products of chunks (the WY form for the delta rule), eager and by torch.compile, with the best of three
sizes of chunk; Mamba is transformers' loop over the steps, and that loop compiled in pieces of 32 steps, what its
compiler unrolls in reasonable time. Depths are 64, 8 heads, a batch of 1; Mamba has 1536 channels of 16 states.
"""

import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
import torch

import operators

import worker  # noqa: E402  (found by operators)

HEADS, DEPTH, CHANNELS, STATES = 8, 64, 1536, 16
STEPS = (1024, 4096, 16384, 65536)
CHUNKS = (32, 64, 128)
MOST_OF_MAMBA = 4096  # PyTorch keeps factors and what is taken in, 100 KB each a step.
ROUNDS = {1024: 9, 4096: 7, 16384: 5, 65536: 3}
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests" / "support"))
from mlir_text import entry, tensor  # noqa: E402


# ---------------------------------------------------------------------------------
# Programs and inputs
# ---------------------------------------------------------------------------------

def matrix_program(decays, rates, depth=DEPTH, width=DEPTH, form=None):
    x, y, g = tensor(1, HEADS, "N", depth), tensor(1, HEADS, "N", width), tensor(1, HEADS, "N")
    rows = '"b h n d", "b h n d", "b h n d"'
    inputs = {"q": x, "k": x, "v": y, **({"a": g} if decays else {}), **({"r": g} if rates else {})}
    more = (f" decay (%a : {g})" if decays else "") + (f" rate (%r : {g})" if rates else "")
    layouts = rows + ', "b h n"' * (decays + rates) + ', "b h n d"'
    asked = f' {{tenon.form = "{form}"}}' if form else ""
    body = f"  %y = tenon.scan %q, %k, %v{more} layout [{layouts}]{asked} : {x}, {x}, {y} -> {y}"
    return entry(inputs, {"y": y}, body, {"N": (1, 1 << 20)})


def inputs_of(steps, decays, rates, depth=DEPTH, width=DEPTH):
    rng = np.random.default_rng(0)
    normal = lambda *shape: rng.standard_normal(shape).astype(np.float32)
    made = {name: normal(1, HEADS, steps, width if name == "v" else depth) for name in "qkv"}
    made["k"] /= np.linalg.norm(made["k"], axis=-1, keepdims=True)
    if decays:
        made["a"] = rng.uniform(0.95, 1, (1, HEADS, steps)).astype(np.float32)
    if rates:
        made["r"] = rng.uniform(0, 1, (1, HEADS, steps)).astype(np.float32)
    return made


# ---------------------------------------------------------------------------------
# PyTorch
# ---------------------------------------------------------------------------------

def chunked(size, q, k, v, a=None, r=None):
    """Chunks side by side in one product where they can be; the state goes from one to the next."""
    b, h, n, d = q.shape
    Q, K, V = (x.view(b, h, n // size, size, d) for x in (q, k, v))
    lower = torch.ones(size, size, dtype=torch.bool).tril()
    between, from_start, to_end = lower.to(q.dtype), None, None
    if a is not None:
        sums = a.view(b, h, n // size, size).log().cumsum(-1)
        between = torch.where(lower, (sums[..., :, None] - sums[..., None, :]).exp(), 0)
        from_start, to_end = sums.exp()[..., None], between[..., -1, :, None]
    scores = Q @ K.mT * between
    if r is not None:
        beta = r.view(b, h, n // size, size, 1)
        system = (beta * (K @ K.mT) * between).tril(-1) + torch.eye(size)
        right = torch.cat([beta * V, beta * K if a is None else beta * from_start * K], -1)
        V, W = torch.linalg.solve_triangular(system, right, upper=False, unitriangular=True).split(d, -1)
    state, out = q.new_zeros(b, h, d, d), []
    Qs = Q if a is None else Q * from_start
    Ks = K if a is None else K * to_end
    for c in range(n // size):
        value = V[:, :, c] if r is None else V[:, :, c] - W[:, :, c] @ state
        out.append(Qs[:, :, c] @ state + scores[:, :, c] @ value)
        state = (state if a is None else state * from_start[:, :, c, -1:]) + Ks[:, :, c].mT @ value
    return torch.stack(out, 2).view(b, h, n, d)


def chunks_at_once(size, q, k, v):
    """Without decay the states are a running sum: no loop."""
    b, h, n, d = q.shape
    Q, K, V = (x.view(b, h, n // size, size, d) for x in (q, k, v))
    states = (K.mT @ V).cumsum(2)
    before = torch.cat([torch.zeros_like(states[:, :, :1]), states[:, :, :-1]], 2)
    return ((Q @ K.mT).tril() @ V + Q @ before).view(b, h, n, d)


def mamba_piece(state, factors, taken, c):
    """Some steps of transformers' loop; all [batch, channels, steps, states], c [batch, steps, states]."""
    out = []
    for t in range(factors.shape[2]):
        state = factors[:, :, t] * state + taken[:, :, t]
        out.append((state @ c[:, t, :, None])[..., 0])
    return state, torch.stack(out, -1)


def mamba(piece, size, x, dt, A, B, C):
    """transformers' slow_forward between the discretisation and the skip."""
    factors = (A[None, :, None] * dt[..., None]).exp()
    taken = dt[..., None] * B[:, None] * x[..., None]
    state, out = x.new_zeros(1, CHANNELS, STATES), []
    for at in range(0, x.shape[2], size):
        state, rows = piece(state, factors[:, :, at:at + size], taken[:, :, at:at + size], C[:, at:at + size])
        out.append(rows)
    return torch.cat(out, -1).mT


def mamba_case(steps):
    """The program, its inputs, and PyTorch's engines, which keep channels before steps as transformers does."""
    x, rows, A, a = tensor(1, "N", CHANNELS), tensor(1, "N", STATES), tensor(CHANNELS, STATES), tensor(1, "N", CHANNELS, STATES)
    body = (f"  %a = tenon.map %l = %dt, %m = %A at %b, %n, %h, %d : ({x}, {A}) -> {a} = exp(%m[%h, %d] * %l[%b, %n, %h])\n"
            f"  %u = tenon.map %l = %x, %m = %dt at %b, %n, %h : ({x}, {x}) -> {x} = %l[%b, %n, %h] * %m[%b, %n, %h]\n"
            f'  %y = tenon.scan %C, %B, %u decay (%a : {a}) layout ["b n d", "b n d", "b n h", "b n h d", "b n h"]'
            f" : {rows}, {rows}, {x} -> {x}")
    program = entry({"x": x, "dt": x, "A": A, "B": rows, "C": rows}, {"y": x}, body, {"N": (1, 1 << 20)})
    rng = np.random.default_rng(0)
    normal = lambda *shape: rng.standard_normal(shape).astype(np.float32)
    inputs = {"x": normal(1, steps, CHANNELS), "dt": np.log1p(np.exp(normal(1, steps, CHANNELS) - 4)),
              "A": -np.tile(np.arange(1, STATES + 1, dtype=np.float32), (CHANNELS, 1)),
              "B": normal(1, steps, STATES), "C": normal(1, steps, STATES)}
    given = [torch.from_numpy(inputs[n]) for n in ("x", "dt", "A", "B", "C")]
    given = [given[0].mT.contiguous(), given[1].mT.contiguous(), *given[2:]]
    torch._dynamo.reset()
    compiled = torch.compile(mamba_piece, dynamic=False)
    return program, inputs, {"eager": lambda: mamba(mamba_piece, steps, *given), "compiled 32": lambda: mamba(compiled, 32, *given)}


def peers(form, steps, given):
    """Each way to run it, by name."""
    found = {f"eager {size}": lambda size=size: form(size, *given) for size in CHUNKS}
    if steps <= 4096 or form is chunks_at_once:  # A loop of more chunks takes minutes to compile.
        torch._dynamo.reset()
        compiled = torch.compile(form, dynamic=False)
        found |= {f"compiled {size}": lambda size=size: compiled(size, *given) for size in CHUNKS[1:]}
    return found


# ---------------------------------------------------------------------------------
# Measuring
# ---------------------------------------------------------------------------------

def turns(engines, rounds):
    times = {name: [] for name in engines}
    for call in engines.values():
        call()
    for number in range(rounds):
        names = list(engines)
        for name in names[number % len(names):] + names[:number % len(names)]:
            began = time.perf_counter()
            engines[name]()
            times[name].append(1e3 * (time.perf_counter() - began))
    return times


def session(program, inputs, threads, folder, options):
    source, artifact = pathlib.Path(folder, "scan.mlir"), pathlib.Path(folder, "scan.tenon")
    source.write_text(program)
    subprocess.run([options.compiler, "compile", source, "-o", artifact, "--quiet", "--target", "host"], check=True)
    ours = worker.Tenon(str(artifact), inputs, threads)
    ours.run()
    return ours


def measure(name, steps, program, inputs, engines, options):
    found = []
    for threads in options.threads:
        torch.set_num_threads(threads)
        with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
            ours = session(program, inputs, threads, folder, options)
            (result,) = ours.outputs().values()
            wanted = next(iter(engines.values()))().numpy()
            error = float(np.abs(result - wanted).max() / np.abs(wanted).max())
            if not error <= operators.LARGEST_ERROR:
                raise SystemExit(f"{name}: the engines differ by {error:.1e}, wanted at most {operators.LARGEST_ERROR:.0e}")
            times = turns({"tenon": ours.run, **engines}, ROUNDS[steps])
        medians = {engine: statistics.median(each) for engine, each in times.items()}
        best = {kind: min((ms, e) for e, ms in medians.items() if e.startswith(kind)) for kind in ("eager", "compiled")
                if any(e.startswith(kind) for e in medians)}
        shown = ", ".join(f"{e} {ms:.1f} ({ms / medians['tenon']:.1f}x)" for ms, e in best.values())
        print(f"{name}, {steps} steps, {threads} thread{'s' * (threads > 1)}: tenon {medians['tenon']:.1f} ms, {shown}", flush=True)
        found.append({"case": name, "steps": steps, "threads": threads, "milliseconds": times, "error": error})
    return found


def compare_forms(options):
    """What ScanRates.def is fitted to: 256 steps, in the second-level cache."""
    found = []
    for depth, width in STATES_OF_FORMS:
        for name, (decays, rates) in FORMS.items():
            inputs = inputs_of(256, decays, rates, depth, width)
            with tempfile.TemporaryDirectory() as folder:
                engines = {form: session(matrix_program(decays, rates, depth, width, form), inputs, 1, folder, options).run
                           for form in ("steps", "chunks")}
                times = turns(engines, 41)
            best = {form: min(each) for form, each in times.items()}
            print(f"{name}, {depth} x {width}: steps {best['steps']:.3f} ms, chunks {best['chunks']:.3f} ms,"
                  f" {best['steps'] / best['chunks']:.2f}x", flush=True)
            found.append({"case": name, "depth": depth, "width": width, "milliseconds": times})
    return found


def transition_program(steps, depth, form):
    """LMU's memory of one number a step. Of random matrices so large that one has a spectral radius of about 0.9: responses that
    grow would be summed directly."""
    u, y, a, k = tensor(1, steps), tensor(1, steps, depth), tensor(depth, depth), tensor(depth)
    weights = (f"tenon.weight @a : {a} = #tenon.random<1, {(3 / depth) ** 0.5 * 0.9:.6f}>\n"
               f"tenon.weight @k : {k} = #tenon.random<2, 1.0>\n")
    asked = f' {{tenon.form = "{form}"}}' if form else ""
    body = (f"  %a = tenon.get @a : {a}\n  %k = tenon.get @k : {k}\n"
            f"  %i = tenon.map at %n, %d : () -> {a} = select(%n < %d, 0.0, select(%d < %n, 0.0, 1.0))\n"
            f'  %y = tenon.scan %i, %k, %u transition (%a : {a}) layout ["h d", "d", "b n", "b n h"]{asked} : {a}, {k}, {u} -> {y}')
    return weights + entry({"u": u}, {"y": y}, body, {})


def transition_peers(u, depth):
    """The loop, and LMU's parallel form, of responses whose spectrum is known; any matrix takes the same time."""
    steps = u.shape[1]
    a, b = torch.linalg.qr(torch.randn(depth, depth))[0], torch.randn(depth)
    spectrum = torch.fft.rfft(torch.randn(depth, steps), 2 * steps)

    def loop():
        state, rows = torch.zeros(1, depth), []
        for t in range(steps):
            state = torch.addmm(b * u[:, t, None], state, a)
            rows.append(state)
        return torch.stack(rows, 1)

    def parallel():
        return torch.fft.irfft(torch.fft.rfft(u, 2 * steps)[:, None] * spectrum, 2 * steps)[..., :steps].mT

    return {"PyTorch, loop": loop, "PyTorch, FFT": parallel}


def compare_transitions(options):
    found = []
    for steps, depth in SIZES_OF_TRANSITIONS:
        inputs = {"u": np.random.default_rng(0).standard_normal((1, steps)).astype(np.float32)}
        torch.set_num_threads(1)
        with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
            engines = {form: session(transition_program(steps, depth, form), inputs, 1, folder, options).run
                       for form in ("steps", "toeplitz", "fft")}
            engines |= transition_peers(torch.from_numpy(inputs["u"]), depth)
            times = turns(engines, 15)
        best = {name: min(each) for name, each in times.items()}
        print(f"{steps} steps of {depth} x {depth}: " + ", ".join(f"{name} {ms:.3f} ms" for name, ms in best.items()), flush=True)
        found.append({"steps": steps, "depth": depth, "milliseconds": times})
    return found


SIZES_OF_TRANSITIONS = ((16, 256), (64, 64), (128, 256), (512, 64), (784, 256), (2048, 64))
STATES_OF_FORMS = ((32, 32), (64, 64), (128, 64), (128, 128), (256, 256))
FORMS = {"linear attention": (False, False), "decay": (True, False), "delta rule": (False, True), "gated delta rule": (True, True)}


def main():
    parser = operators.parser(__doc__)
    parser.add_argument("--steps", type=int, nargs="+", default=STEPS)
    parser.add_argument("--forms", action="store_true", help="steps and chunks beside each other")
    parser.add_argument("--transitions", action="store_true", help="the forms of a recurrence with a dense matrix")
    options = parser.parse_args()
    if options.transitions:
        return operators.save(compare_transitions(options), options)
    if options.forms:
        return operators.save(compare_forms(options), options)
    found = []
    if not options.only or "mamba" in options.only:
        for steps in options.steps:
            if steps <= MOST_OF_MAMBA:
                found += measure("mamba", steps, *mamba_case(steps), options)
    for name, (decays, rates) in FORMS.items():
        if options.only and name not in options.only:
            continue
        for steps in options.steps:
            inputs = inputs_of(steps, decays, rates)
            given = [torch.from_numpy(inputs[n]) if n in inputs else None for n in "qkvar"]
            form = chunked if decays or rates else chunks_at_once
            engines = peers(form, steps, given if decays or rates else given[:3])
            found += measure(name, steps, matrix_program(decays, rates), inputs, engines, options)
    operators.save(found, options)


if __name__ == "__main__":
    main()
