#!/usr/bin/env python3
"""What the emulator counts of each family of kernels for NVIDIA GPUs: warps, mma.sync, access to memory.

    benchmarks/nvptx/counted.py [--build build/release] [--check] [--only FAMILY]

Each family is a small program, run with made-up inputs by `tenon run --emulate`. No GPU is needed, and none is measured:

    warps       of a block
    mma.sync    its share of all multiply-adds
    coalesced   accesses of a warp to global memory that touch at most one sector of 32 bytes more than they must
    sectors     sectors touched, over the fewest that hold the same bytes
    banks       passes over the banks of shared memory, over the fewest

--check exits with 1 where a kernel of its own form has fewer than 4 warps a block, where less than 90 % of the
multiply-adds of a product or an attention are mma.sync's, or less than 95 % of a kernel's accesses are coalesced, but for the
kernels of EXEMPT, each with its reason.
"""

import argparse
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
INPUTS = ROOT / "tests" / "compiler" / "codegen" / "nvptx" / "Inputs"
sys.path.insert(0, str(ROOT / "benchmarks" / "nvptx"))
from assembled import compiled, kernels_of  # noqa: E402

LEVEL = "nvptx-sm_80"
# A family's program, and the shapes of inputs whose sizes it leaves open.
FAMILIES = {
    "products and attention": ("tensor-cores.mlir", ["x=192x128"]),
    "decoding, short prefill": ("decode.mlir", ["kv=600x2x64", "kn=600x2x128", "kw=600x2x128"]),
    "deep heads": ("deep-heads.mlir", ["x=70x4x256", "b=70x4x256", "k=70x4x192", "v=70x4x128", "c=600x2x256", "d=600x2x256"]),
    "convolutions": (None, []),
    "maps": ("maps.mlir", ["x=67x3x70", "w=67x64"]),
    "gathers": ("gather.mlir", ["i=40"]),
    "rows and recurrences": ("families.mlir", ["x=96x384", "q=96x4x32", "k=96x8", "c=96x256x1"]),
    "Fourier transforms": ("fft.mlir", []),
}
# Filters, channels of one, taps, strides, pads, groups: of an image of 16 x 32 x 32, or of a row of 64 x 100.
CONVOLUTIONS = [(32, 16, (3, 3), 1, 1, 1), (32, 16, (3, 3), 2, 1, 1), (64, 16, (4, 4), 4, 0, 1), (32, 16, (7, 7), 2, 3, 1),
                (32, 16, (1, 1), 2, 0, 1), (16, 1, (3, 3), 1, 1, 16), (64, 64, (3,), 1, 1, 1), (64, 64, (3,), 2, 1, 1)]
# Kernels whose accesses are not what --check wants, and why.
EXEMPT = {
    ("convolutions", "contract_4"): "one tap of every second position: half of each sector is read in vain, by whoever reads it",
    ("gathers", "map_0"): "rows of 5 elements, wherever in the table",
    ("maps", "map_2"): "rows of 70 elements out of 210: a warp has pieces of two rows, neither of whole sectors",
}


def convolutions(folder):
    """A model of one Conv each."""
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    info = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    nodes, weights, random = [], [], np.random.default_rng(1)
    for number, (filters, channels, taps, stride, pad, groups) in enumerate(CONVOLUTIONS):
        weights.append(numpy_helper.from_array(random.standard_normal((filters, channels, *taps)).astype(np.float32), f"w{number}"))
        nodes.append(helper.make_node("Conv", ["xs"[len(taps) == 1], f"w{number}"], [f"y{number}"], strides=[stride] * len(taps),
                                      pads=[pad] * 2 * len(taps), group=groups))
    results = [info(f"y{number}", None) for number in range(len(nodes))]
    graph = helper.make_graph(nodes, "convolutions", [info("x", [1, 16, 32, 32]), info("s", [1, 64, 100])], results, weights)
    path = pathlib.Path(folder, "convolutions.onnx")
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), path)
    return path


def counters(tenon, program, shapes):
    """The table `tenon run --emulate` prints, by kernel."""
    command = [tenon, "run", program, f"--target={LEVEL}", "--emulate", "--random", "--quiet"]
    done = subprocess.run([*command, *(["--shape", *shapes] if shapes else [])], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{program.name}: {done.stderr}")
    row = re.compile(r"(\w+) +(\d+) +(\d+) +([\d.]+|-)(?: %)? +([\d.]+) % +([\d.]+|-) +([\d.]+|-) +\d+")
    return {found.group(1): found.groups()[1:] for line in done.stdout.splitlines() if (found := row.fullmatch(line.strip()))}


def faults_of(family, kernel, warps, tensor, coalesced, least):
    where = f"{family}: {kernel.name} ({kernel.form})"
    if warps < 4:
        yield f"{where}: {warps} warps a block, wanted 4"
    if "mma" in kernel.form and float(tensor) < 90:
        yield f"{where}: mma.sync does {tensor} % of multiply-adds, wanted 90 %"
    if coalesced < least and (family, kernel.name) not in EXEMPT:
        yield f"{where}: {coalesced} % of accesses are coalesced, wanted {least:g} %"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=ROOT / "build" / "release", type=pathlib.Path)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--least-coalesced", default=95, type=float, help="what --check wants, in percent")
    parser.add_argument("--only", help="families whose names begin so")
    options = parser.parse_args()
    tenon, faults = options.build / "bin" / "tenon", []
    print("| family | kernel | form | warps | mma.sync | coalesced | sectors | banks |\n|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for family, (name, shapes) in FAMILIES.items():
            if not family.startswith(options.only or ""):
                continue
            program = INPUTS / name if name else convolutions(folder)
            counted = counters(tenon, program, shapes)
            for kernel in kernels_of(compiled(tenon, program, LEVEL, "mlir@lower")).values():
                if kernel.is_worker:
                    print(f"| {family} | {kernel.name} | worker | | | | | |")
                    continue
                threads, _, tensor, coalesced, sectors, banks = counted[kernel.name]
                warps = int(threads) // 32
                share = "-" if tensor == "-" else f"{tensor} %"
                print(f"| {family} | {kernel.name} | {kernel.form} | {warps} | {share} | {coalesced} % | {sectors} | {banks} |")
                faults += faults_of(family, kernel, warps, tensor, float(coalesced), options.least_coalesced)
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if options.check and faults else 0


if __name__ == "__main__":
    sys.exit(main())
