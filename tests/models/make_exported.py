#!/usr/bin/env python3
"""Write the models of `exported/`: every architecture by both of PyTorch's exporters.

    torchenv/bin/python tests/models/make_exported.py [--out DIR] [--only NAME...]

Per architecture NAME: `NAME.dynamo18.onnx`, `NAME.dynamo23.onnx`, `NAME.trace17.onnx` (kind of exporter
and opset), and `NAME.npz` with inputs at several sizes and PyTorch's float64 outputs (exporters.py). The
weights are random, from fixed seeds; README.md names the packages.
"""

import argparse
import pathlib
import sys
import time

import torch

import architectures
import exporters

EXPORTERS = ["dynamo18", "dynamo20", "dynamo23", "trace17"]


def exporters_of(name):
    """Opset 20 once: it differs from 18 in Gelu alone. torch.export cannot decompose XLNet; a trace of DeBERTa is of
    sequences no longer than its distances alone. Wide heads are for `--factorize`: one opset of each exporter."""
    kept = [e for e in EXPORTERS if (e != "dynamo20" or name == "vit") and (e != "trace17" or name != "deberta")
            and (e != "dynamo23" or name != "t5_wide")]
    return ["trace17"] if name == "xlnet" else kept


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, default=exporters.HERE / "exported")
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--exporters", nargs="*")
    args = parser.parse_args()
    torch.set_num_threads(1)  # the order of a sum depends on it
    args.out.mkdir(parents=True, exist_ok=True)
    failed = 0
    for make in architectures.ARCHITECTURES:
        name = make.__name__
        if args.only and name not in args.only:
            continue
        began = time.time()
        try:
            architecture = make()
            exporters.write_cases(architecture.model, architecture.cases, args.out / f"{name}.npz")
        except Exception as error:
            print(f"{name}: {type(error).__name__}: {error}", file=sys.stderr)
            failed += 1
            continue
        for exporter in args.exporters or exporters_of(name):
            try:
                path = args.out / f"{name}.{exporter}.onnx"
                exporters.write_onnx(architecture.model, architecture.example, path, exporter)
                print(f"{path.name}: {path.stat().st_size} bytes", flush=True)
            except Exception as error:
                print(f"{name}.{exporter}: {type(error).__name__}: {str(error)[:1500]}", file=sys.stderr)
                failed += 1
        print(f"{name}: {time.time() - began:.1f} s", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
