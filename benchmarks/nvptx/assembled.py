#!/usr/bin/env python3
"""What ptxas makes of kernels for NVIDIA GPUs: registers, spills, shared memory, occupancy.

    benchmarks/nvptx/assembled.py [--build build/release] [--level nvptx-sm_80] [--check] MODEL...

Every kernel of each model is compiled to PTX and assembled. CUDA's ptxas is needed for this table alone, no GPU:

    form        the kernel's own, or "worker": the CPU's tiles, shared among threads
    threads     of a block
    registers   of a thread
    spilled     bytes of registers a thread stores to local memory
    shared      bytes of a block
    occupancy   warps that fit a multiprocessor at once, of those it has room for

**No GPU was measured.** --check exits with 1 where a kernel of its own form spills, or where ptxas warns: also of wgmma
that it would run one after the other, which it calls a potential performance loss.
"""

import argparse
import dataclasses
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
WORKER_THREADS = 32  # of a block, as the runtime launches workers


@dataclasses.dataclass(frozen=True)
class Multiprocessor:
    shared: int  # bytes
    registers: int = 65536
    warps: int = 64
    blocks: int = 32
    reserved: int = 1024  # bytes of shared memory the system keeps of each block


MULTIPROCESSORS = {"nvptx-sm_80": Multiprocessor(164 * 1024), "nvptx-sm_90a": Multiprocessor(228 * 1024)}


@dataclasses.dataclass
class Kernel:
    name: str
    form: str
    threads: int
    launched_shared: int
    registers: int = 0
    spilled: int = 0
    shared: int = 0

    @property
    def is_worker(self):
        return self.form.startswith("worker")

    def occupancy(self, machine):
        warps = -(-self.threads // 32)
        of_registers = machine.registers // (warps * -(-self.registers * 32 // 256) * 256)
        of_shared = machine.shared // (self.shared + machine.reserved)
        return warps * min(machine.blocks, machine.warps // warps, of_registers, of_shared) / machine.warps


def compiled(tenon, model, level, emit):
    done = subprocess.run([tenon, "compile", model, f"--target={level}", f"--emit={emit}"], capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    return done.stdout


def kernels_of(lowered):
    """Name, form and launch of each kernel, from the module after lowering."""
    found = {}
    for line in lowered.splitlines():
        function = re.match(r"\s*func\.func @(\w+)\(.*tenon\.form", line)
        if not function:
            continue
        number = lambda name: int(re.search(rf"tenon\.{name} = (\d+)", line).group(1))
        threads = number("block_threads")
        form = re.search(r'tenon\.form = "([^"]*)"', line).group(1)
        found[function.group(1)] = Kernel(function.group(1), form.split(":")[0], WORKER_THREADS if threads == 1 else threads,
                                          number("shared_bytes"))
    return found


def assemble(ptx, level):
    """What ptxas -v says of PTX."""
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder, "kernels.ptx")
        source.write_text(ptx)
        done = subprocess.run(["ptxas", "-v", f"-arch={level.removeprefix('nvptx-')}", source, "-o", source.with_suffix(".cubin")],
                              capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    return done.stderr


def read_report(report, kernels):
    """Adds what the lines behind "Compiling entry function" say. Spills of helpers count for the kernel before them."""
    kernel = None
    for line in report.splitlines():
        if entry := re.search(r"Compiling entry function '(\w+)'", line):
            kernel = kernels[entry.group(1)]
        if spills := re.search(r"(\d+) bytes spill stores", line):
            kernel.spilled += int(spills.group(1))
        if used := re.search(r"Used (\d+) registers", line):
            kernel.registers = int(used.group(1))
            shared = re.search(r"(\d+) bytes smem", line)
            kernel.shared = kernel.launched_shared + (int(shared.group(1)) if shared else 0)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--build", default=ROOT / "build" / "release", type=pathlib.Path)
    parser.add_argument("--level", default="nvptx-sm_80", choices=MULTIPROCESSORS)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    if not shutil.which("ptxas"):
        print("no ptxas: nothing assembled")
        return 0
    faults = []
    print("| model | kernel | form | threads | registers | spilled | shared | occupancy |\n|---|---|---|---|---|---|---|---|")
    for model in options.models:
        kernels = kernels_of(compiled(options.build / "bin" / "tenon", model, options.level, "mlir@lower"))
        report = assemble(compiled(options.build / "bin" / "tenon", model, options.level, "ptx"), options.level)
        read_report(report, kernels)
        faults += [line for line in report.splitlines() if re.search("warning|potential performance loss", line.lower())]
        for kernel in kernels.values():
            share = kernel.occupancy(MULTIPROCESSORS[options.level])
            print(f"| {pathlib.Path(model).stem} | {kernel.name} | {kernel.form} | {kernel.threads} | {kernel.registers} "
                  f"| {kernel.spilled} | {kernel.shared} | {share:.0%} |")
            if kernel.spilled and not kernel.is_worker:
                faults.append(f"{model}: {kernel.name} ({kernel.form}) spills {kernel.spilled} bytes")
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if options.check and faults else 0


if __name__ == "__main__":
    sys.exit(main())
