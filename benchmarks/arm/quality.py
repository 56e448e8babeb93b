#!/usr/bin/env python3
"""How good ARM64 kernels are, as far as that shows without the hardware.

    benchmarks/arm/quality.py [--build build/release] [--level NAME ...] [--loops] [--check]

Programs of one kernel are compiled for each ARM64 level and run under qemu with a
plugin that counts every instruction of the artifact (executed.c). The loop that
ran most is put before llvm-mca, as the code of the Neoverse cores and A64FX:

    at limit     multiply-adds a cycle that llvm-mca predicts, of what the core can issue
    loads        load instructions for each multiply-add
    by lane      multiply-adds that take one operand from a lane or that need no broadcast before
    spills       vector registers to or from the stack
    times ideal  all instructions the artifact executed, against the ideal

The ideal of a product of M x K x N with a register tile is its multiply-adds and one load of a whole vector for each
vector of A and of B that the tile takes, or for each value of A where the level broadcasts (A64FX takes twice as long for a
multiply-add by lane); a step of a product of bf16 is a pair. Attention's is that of both products and 16 instructions for each vector of scores. llvm-mca knows no caches and no mispredicted branches. **No ARM64 hardware was measured.**
--loops prints the loops, --check exits with 1 where a GEMM is below 85 % of the limit or a loop spills.
"""

import argparse
import dataclasses
import os
import pathlib
import re
import subprocess
import sys
import tempfile


HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
LLVM = pathlib.Path("/usr/lib/llvm-22/bin")
sys.path.insert(0, str(ROOT / "tests" / "support"))
from mlir_text import entry, tensor  # noqa: E402


@dataclasses.dataclass(frozen=True)
class Core:
    name: str  # of LLVM
    ports: int  # vector multiply-adds a cycle
    features: str = ""


@dataclasses.dataclass(frozen=True)
class Target:
    level: str
    cpu: str  # of qemu
    lanes: int
    gemm: tuple  # rows and columns of its register tile
    attention: tuple
    cores: tuple
    broadcasts: bool = False  # each factor of A by a load, because a multiply-add by lane takes twice as long
    pairs: bool = False  # products of bf16 pairs are one instruction


V1, V2, N2 = Core("neoverse-v1", 4), Core("neoverse-v2", 4), Core("neoverse-n2", 2)
TARGETS = (
    Target("aarch64", "neoverse-n1", 4, (5, 16), (5, 16), (V1, V2, N2)),
    Target("aarch64-v9", "max,sve128=on", 4, (5, 16), (5, 16), (V2, N2), pairs=True),
    Target("aarch64-sve256", "max,sve256=on", 8, (5, 32), (5, 32), (Core("neoverse-v1", 2),), pairs=True),
    Target("aarch64-sve512", "a64fx", 16, (9, 48), (13, 32), (Core("a64fx", 2),), True),
)
GEMM, ATTENTION = (128, 768, 768), (512, 64)


def gemm():
    m, k, n = GEMM
    x, w, y = tensor(m, k), tensor(k, n), tensor(m, n)
    body = f'  %w = tenon.get @w : {w}\n  %y = tenon.contract "m k, k n -> m n" %x, %w : ({x}, {w}) -> {y}'
    return f"tenon.weight @w : {w} = #tenon.random<7, 5.0e-02>\n" + entry({"x": x}, {"y": y}, body, {})


def attention():
    n, depth = ATTENTION
    of = tensor(1, n, 1, depth)
    body = (f'  %y = tenon.attention %q, (%k), (%v) normalise softmax empty zero layout ["b n h d", "b n h d", "b n h d", '
            f'"b n h d"]\n    : ({of}, {of}, {of}) -> {of}\n    score (%x, %b, %h, %i, %j) = %x * 0.125')
    return entry({"q": of, "k": of, "v": of}, {"y": of}, body, {})


def fft():
    of = tensor(64, 256, 2)
    body = f"  %y = tenon.fft %x length #tenon.dim<256> axis 1 parts 2 : {of} -> {of}"
    return entry({"x": of}, {"y": of}, body, {})


def softmax():
    of = tensor(64, 384)
    return entry({"x": of}, {"y": of}, f"  %y = tenon.softmax %x over 1 : {of}", {})


def layer_norm():
    of, row = tensor(64, 384), tensor(384)
    body = f"  %y = tenon.norm layer %x scale %g : {row} shift %h : {row} over 1 epsilon 1.0e-5 : {of} -> {of}"
    return entry({"x": of, "g": row, "h": row}, {"y": of}, body, {})


KERNELS = {"GEMM 128x768x768": gemm, "GEMM bf16 128x768x768": gemm, "attention 512": attention, "FFT 256": fft, "softmax 384": softmax,
           "LayerNorm 384": layer_norm}


def product_ideal(target, tile, m, k, n):
    """A step of k of a tile of R x C takes R C / lanes multiply-adds, C / lanes vectors of B and R / lanes of A, or R loads."""
    rows, columns = tile
    return m * k * n / target.lanes * (1 + 1 / rows + (target.lanes if target.broadcasts else 1) / columns)


def is_paired(name):
    return "bf16" in name


def ideal(target, name):
    if name.startswith("GEMM"):
        m, k, n = GEMM
        return product_ideal(target, target.gemm, m, k // 2 if is_paired(name) else k, n)
    if name.startswith("attention"):
        n, depth = ATTENTION
        products = product_ideal(target, target.attention, n, depth, n) + product_ideal(target, target.attention, n, n, depth)
        return products + 16 * n * n / target.lanes
    return None


#===- What ran -------------------------------------------------------------===#


def run(*command, **options):
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, **options)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stderr[-3000:]}")
    return done.stdout


def executed(build, work, target, program, *options):
    """[(address, word, count)] of every instruction of the artifact that ran, by address."""
    (work / "program.mlir").write_text(program)
    artifact, counts = work / "program.tenon", work / "counts"
    run(build / "bin" / "tenon", "compile", work / "program.mlir", "--quiet", "--target", target.level, "-o", artifact,
        *options)
    run("qemu-aarch64", "-plugin", f"{work / 'executed.so'},out={counts}", build / "aarch64" / "bin" / "tenon-run", artifact,
        "--random", "--threads", 1, "--quiet", env={**os.environ, "QEMU_CPU": target.cpu})
    lines = [line.split() for line in counts.read_text().splitlines()]
    return [(int(address, 16), int(word, 16), int(count)) for address, word, count in lines]


def disassemble(words):
    octets = "\n".join(" ".join(f"0x{byte:02x}" for byte in word.to_bytes(4, "little")) for word in words)
    text = run(LLVM / "llvm-mc", "--disassemble", "-triple=aarch64", "-mattr=+all", input=octets)
    return [line.strip().replace("\t", " ") for line in text.splitlines() if not line.strip().startswith(".")]


def innermost_loops(instructions):
    """[(executions of the loop's instructions, texts)]: from the target of a jump back to the jump, all counts equal."""
    texts = disassemble([word for _, word, _ in instructions])
    if len(texts) != len(instructions):
        sys.exit(f"wanted {len(instructions)} instructions, llvm-mc knows {len(texts)}")
    at = {address: i for i, (address, _, _) in enumerate(instructions)}
    loops = []
    for i, (address, _, count) in enumerate(instructions):
        jump = re.match(r"(?:b\.\w+|cbn?z|tbn?z).*#(-\d+)$", texts[i])
        first = at.get(address + int(jump.group(1))) if jump else None
        if first is None:
            continue
        body = instructions[first:i + 1]
        contiguous = body[-1][0] - body[0][0] == 4 * (len(body) - 1)
        if contiguous and max(c for _, _, c in body) <= 1.02 * min(c for _, _, c in body):
            loops.append((count * len(body), texts[first:i + 1]))
    return sorted(loops, key=lambda loop: -loop[0])


#===- What a core would make of it -----------------------------------------===#

MULTIPLY_ADD = re.compile(r"(bfdot|fml[as]|fmad|fmsb|fnml[as]|fnmad|fnmsb) [vz]\d+\.")
ARITHMETIC = re.compile(r"(bfdot|f(ml[as]|mad|msb|nml[as]|nmad|nmsb|add|sub|mul)) [vz]\d+\.")


def matching(pattern, loop):
    return sum(bool(re.match(pattern, text)) for text in loop)


def cycles(core, loop):
    """Cycles of one turn as llvm-mca sees a hundred of them; jumps are fallen through."""
    text = "\n".join(line for line in loop[:-1]) + "\n" + re.sub(r"#-\d+$", "#0", loop[-1])
    out = run(LLVM / "llvm-mca", "-mtriple=aarch64", f"-mcpu={core.name}", "-mattr=+all", "-iterations=400",
              input=text + "\n")
    return int(re.search(r"Total Cycles:\s+(\d+)", out).group(1)) / 400


@dataclasses.dataclass
class Row:
    target: Target
    kernel: str
    core: Core
    loop: list
    total: int

    def values(self):
        sums = matching(MULTIPLY_ADD, self.loop)
        arithmetic = matching(ARITHMETIC, self.loop)
        fraction = arithmetic / self.core.ports / cycles(self.core, self.loop)
        loads = matching(r"ld", self.loop)
        stack = "|".join(["sp"] + [made.group(1) for text in self.loop if (made := re.match(r"add (x\d+), sp,", text))])
        spills = matching(rf"(ldr|str|ldp|stp|ld1w|st1w) \{{?[qz]\d+.*\[({stack})\b", self.loop)
        lanes = matching(r"(bfdot|fml[as]) .*\[\d\]$", self.loop)
        wanted = ideal(self.target, self.kernel)
        return {"fraction": fraction, "sums": sums, "loads": loads / max(1, sums), "lanes": lanes, "spills": spills,
                "ideal": self.total / wanted if wanted else None}


def print_table(rows):
    print("| level | kernel | core | arithmetic at limit | multiply-adds in the loop | loads for each | by lane | spills "
          "| instructions | times ideal |\n|---|---|---|---|---|---|---|---|---|---|")
    for row in rows:
        v = row.values()
        times = f"{v['ideal']:.2f}" if v["ideal"] else ""
        print(f"| {row.target.level} | {row.kernel} | {row.core.name} | {v['fraction']:.0%} | {v['sums']} | {v['loads']:.2f} "
              f"| {v['lanes']} | {v['spills']} | {row.total} | {times} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build" / "release")
    parser.add_argument("--level", action="append", choices=[t.level for t in TARGETS])
    parser.add_argument("--kernel", action="append", choices=list(KERNELS))
    parser.add_argument("--loops", action="store_true", help="print the loops too")
    parser.add_argument("--check", action="store_true", help="exit with 1 where a bound is missed")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(prefix="tenon-arm-") as folder:
        work = pathlib.Path(folder)
        run("cc", "-O2", "-shared", "-fPIC", HERE / "executed.c", "-o", work / "executed.so")
        for target in TARGETS:
            for name, program in KERNELS.items():
                if target.level not in (options.level or [target.level]) or name not in (options.kernel or [name]):
                    continue
                if is_paired(name) and not target.pairs:
                    continue
                ran = executed(options.build.resolve(), work, target, program(), *["--dtype=bf16"] * is_paired(name))
                loops = innermost_loops(ran)
                total = sum(count for _, _, count in ran)
                if not loops:
                    sys.exit(f"{target.level}, {name}: no loop found")
                rows += [Row(target, name, core, loops[0][1], total) for core in target.cores]
                if options.loops:
                    print(f"{target.level}, {name}: {loops[0][0] / total:.0%} of {total} instructions",
                          *loops[0][1], "", sep="\n  ")
    print_table(rows)
    bad = [row for row in rows if row.values()["spills"] or (row.kernel.startswith("GEMM") and row.values()["fraction"] < 0.85)]
    return 1 if options.check and bad else 0


if __name__ == "__main__":
    sys.exit(main())
