#!/usr/bin/env python3
"""32 MiniLM sentences of 8 + round(120 i / 31) tokens: packed in one row by Tenon, padded or in buckets by its peers.

    PYTHON benchmarks/ragged.py --minilm DIR --model models/minilm.onnx [--name NAME]

PYTHON has torch, transformers, onnx, onnxruntime and openvino; minilm.onnx is what export.py wrote. The packed model is the same
network as PyTorch's tracing exporter writes it for one row of tokens with, for each, its position in its sentence and the
sentence's number: tokens attend where the numbers are equal, so no padding is computed. The order of the sentences is
shuffled with a fixed seed. Buckets: sentences by length, in 4 batches of 8. Engines run in processes of their own, as in peers.py.
Embeddings of all tokens are compared before anything is timed.
"""

import argparse
import datetime
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import warnings

import numpy as np

import peers

LENGTHS = [8 + round(120 * i / 31) for i in range(32)]
VOCABULARY = 30522


def sentences():
    rng = np.random.default_rng(5)
    return [rng.integers(1000, VOCABULARY, length).astype(np.int64) for length in rng.permutation(LENGTHS)]


def export_packed(minilm, path):
    import torch
    from transformers import BertModel

    class Packed(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.bert = BertModel.from_pretrained(minilm, add_pooling_layer=False, attn_implementation="eager")

        def forward(self, input_ids, position_ids, sentence):
            same = sentence[:, None, :, None] == sentence[:, None, None, :]
            mask = torch.where(same, 0.0, torch.finfo(torch.float32).min)
            return self.bert(input_ids=input_ids, position_ids=position_ids, attention_mask=mask).last_hidden_state

    names, example = ["input_ids", "position_ids", "sentence"], torch.arange(12)[None] // 4
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(Packed().eval(), (example, example, example), str(path), dynamo=False, opset_version=17,
                          input_names=names, output_names=["last_hidden_state"],
                          dynamic_axes={name: {1: "tokens"} for name in [*names, "last_hidden_state"]})


def packed(texts):
    return {"input_ids": np.concatenate(texts)[None], "position_ids": np.concatenate([np.arange(len(t)) for t in texts])[None],
            "sentence": np.concatenate([np.full(len(t), n) for n, t in enumerate(texts)])[None]}


def padded(texts):
    longest = max(map(len, texts))
    ids, mask = np.zeros((len(texts), longest), np.int64), np.zeros((len(texts), longest), np.int64)
    for row, text in enumerate(texts):
        ids[row, : len(text)], mask[row, : len(text)] = text, 1
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}


class Way:
    """One engine and how it takes the sentences: as batches, each a process."""

    def __init__(self, name, engine, model, batches, folder, threads):
        self.name, self.batches, self.folder = name, batches, folder / name.replace(" ", "-")
        self.workers = []
        for number, (inputs, _) in enumerate(batches):
            case = self.folder / str(number)
            (case / "inputs").mkdir(parents=True)
            for key, array in inputs.items():
                np.save(case / "inputs" / f"{key}.npy", array)
            self.workers.append(peers.Worker(engine, model, case, threads, sys.executable))
        self.version = self.workers[0].version

    def tokens(self):
        """Embeddings of the tokens of all sentences, in the order of the sentences."""
        found = {}
        for worker, (inputs, which) in zip(self.workers, self.batches):
            with worker:
                worker.ask({"do": "save", "folder": str(self.folder)})
            states = np.load(self.folder / "last_hidden_state.npy")
            rows = states[0] if len(states) == 1 else np.concatenate([s[m == 1] for s, m in zip(states, inputs["attention_mask"])])
            lengths = [len(text) for _, text in which]
            found |= zip([number for number, _ in which], np.split(rows, np.cumsum(lengths)[:-1]))
        return np.concatenate([found[number] for number in sorted(found)])

    def milliseconds(self):
        return 1e3 * sum(statistics.median(w.seconds) for w in self.workers)

    def least(self):
        return 1e3 * sum(min(w.seconds) for w in self.workers)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minilm", type=pathlib.Path, required=True, help="folder with config.json and model.safetensors")
    parser.add_argument("--model", type=pathlib.Path, required=True, help="minilm.onnx")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--name", default=datetime.date.today().isoformat())
    options = parser.parse_args()
    texts = list(enumerate(sentences()))
    by_length = sorted(texts, key=lambda text: len(text[1]))
    whole = [(padded([t for _, t in texts]), texts)]
    buckets = [(padded([t for _, t in some]), some) for some in (by_length[k : k + 8] for k in range(0, 32, 8))]
    peak, records = {}, []
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        export_packed(options.minilm, folder / "packed.onnx")
        for name, source in (("packed", folder / "packed.onnx"), ("padded", options.model)):
            subprocess.run([peers.TENON, "compile", "--quiet", source, "--target", "host", "-o", folder / f"{name}.tenon"], check=True)
        ways = [Way("tenon packed", "tenon", folder / "packed.tenon", [(packed([t for _, t in texts]), texts)], folder, options.threads)]
        for engine, model in (("tenon", folder / "padded.tenon"), ("onnxruntime", options.model), ("openvino", options.model)):
            ways += [Way(f"{engine} padded", engine, model, whole, folder, options.threads),
                     Way(f"{engine} bucketed", engine, model, buckets, folder, options.threads)]
        try:
            wanted = ways[3].tokens().astype(np.float64)
            errors = [float(np.abs(way.tokens() - wanted).max() / np.abs(wanted).max()) for way in ways]
            if max(errors) > peers.LARGEST_ERROR:
                raise SystemExit(f"embeddings differ: {dict(zip((w.name for w in ways), errors))}")
            for number in range(options.rounds):
                peers.measure_peak(options.threads, peak)
                for k in range(len(ways)):
                    for worker in ways[(number + k) % len(ways)].workers:
                        worker.turn(0.1)
        finally:
            for way in ways:
                for worker in way.workers:
                    worker.stop()
    for way, error in zip(ways, errors):
        records.append({"way": way.name, "version": way.version, "median_ms": way.milliseconds(), "best_ms": way.least(), "error": error})
        print(f"{way.name:22} {way.milliseconds():8.1f} ms, best {way.least():8.1f}", flush=True)
    result = {"name": options.name, "date": datetime.datetime.now().isoformat(timespec="seconds"), "machine": peers.machine(),
              "commit": peers.git("rev-parse", "HEAD"), "threads": options.threads, "peak": peak, "tokens": sum(LENGTHS), "runs": records}
    (peers.HERE / "results" / f"ragged-{options.name}.json").write_text(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
