"""bf16_product.py ARTIFACT TENON-RUN: every height of a tile and several tiles, on each CPU under qemu, against this machine."""
import pathlib
import subprocess
import sys

import numpy as np

artifact, runner = sys.argv[1:]
folder = pathlib.Path(artifact).parent
rng = np.random.default_rng(3)


def output(command, *arguments):
    subprocess.run([*command, artifact, "--input", f"x={folder / 'x.npy'}", "--output-dir", folder / "out", "--quiet", *arguments],
                   check=True, stdout=subprocess.DEVNULL)
    return np.load(folder / "out" / "y.npy")


for rows in (1, 2, 3, 4, 5, 7, 9, 17, 131):
    np.save(folder / "x.npy", rng.standard_normal((rows, 39)).astype(np.float32))
    wanted = output(["tenon", "run"], "--level", "x86-64-v3")
    for cpu in ("neoverse-n1", "max,sve128=on", "max,sve256=on", "a64fx"):
        found = output(["qemu-aarch64", "-cpu", cpu, runner])
        error = np.abs(found - wanted).max()
        assert error <= 1e-5 and np.abs(wanted).max() > 1, f"{rows} rows on {cpu}: {error}"
