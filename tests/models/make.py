#!/usr/bin/env python3
"""Make the small models of this folder and PyTorch's float64 outputs for them.

README.md says how to run this and what it writes. Every number comes from a
fixed seed; the weights are random, the architectures are the real ones.
"""

import argparse
import json
import pathlib
import sys

import numpy as np
import torch
from safetensors.torch import save_file
from transformers import AutoTokenizer, BertConfig, BertModel, ViTConfig, ViTForImageClassification

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "benchmarks"))
import export  # noqa: E402

LONGEST = 130
TEXT_SHAPES = [(1, 1), (1, 7), (2, 16), (1, 129)]


def text_cases(vocab):
    """Shapes that meet every kind of edge, and rows with masked ends."""
    cases = {f"{b}x{s}": export.text_inputs(b, s, vocab, 100 * b + s) for b, s in TEXT_SHAPES}
    cases["3x17-masked"] = export.text_inputs(3, 17, vocab, 7, masked={1: 9, 2: 1}, segments=True)
    cases["5x33-masked"] = export.text_inputs(5, 33, vocab, 8, masked={0: 32, 3: 17, 4: 2}, segments=True)
    return cases


def small_bert(hidden, heads, seed, pooler):
    config = BertConfig(
        vocab_size=40,
        hidden_size=hidden,
        num_hidden_layers=2,
        num_attention_heads=heads,
        intermediate_size=72,
        max_position_embeddings=LONGEST,
        type_vocab_size=2,
    )
    return export.randomise(BertModel(config, add_pooling_layer=pooler), seed)


def make_onnx(name, model, cases, example):
    print(name, flush=True)
    export.export(model, example, HERE / name / "model.onnx", longest=LONGEST, keep_metadata=False)
    for case, inputs in cases.items():
        export.write_case(model, inputs, HERE / name / case)


def bert():
    model = export.Bert(small_bert(64, 4, 1, pooler=True), pooler=True)
    make_onnx("bert", model, text_cases(40), export.text_inputs(2, 16, 40, 1))


def sentence():
    """Hidden size 60, three heads of 20: nothing here divides a vector."""
    model = export.SentenceEmbedding(small_bert(60, 3, 2, pooler=False))
    make_onnx("sentence", model, text_cases(40), export.text_inputs(2, 16, 40, 1))


def vit():
    config = ViTConfig(
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=80,
        image_size=32,
        patch_size=8,
        num_labels=11,
    )
    model = export.Vit(export.randomise(ViTForImageClassification(config), 3), hidden=True)
    cases = {f"{b}x32": export.image_inputs(b, 32, b) for b in (1, 2, 5)}
    make_onnx("vit", model, cases, export.image_inputs(2, 32, 9))


def write_weights(bert, folder):
    folder.mkdir(parents=True, exist_ok=True)
    config = bert.config.to_dict()
    keep = [
        "model_type", "hidden_act", "hidden_size", "intermediate_size", "layer_norm_eps",
        "max_position_embeddings", "num_attention_heads", "num_hidden_layers", "type_vocab_size", "vocab_size",
    ]
    config = {"architectures": ["BertModel"], **{k: config[k] for k in keep}, "position_embedding_type": "absolute"}
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    save_file({k: v.contiguous() for k, v in bert.state_dict().items()}, folder / "model.safetensors",
              metadata={"format": "pt"})
    (folder / "model.safetensors").chmod(0o644)


def bert_safetensors():
    print("bert-safetensors", flush=True)
    bert = small_bert(64, 2, 4, pooler=True)
    write_weights(bert, HERE / "bert-safetensors")
    model = export.Bert(bert, pooler=True)
    for case, inputs in text_cases(40).items():
        export.write_case(model, inputs, HERE / "bert-safetensors" / case)


def sentence_transformers():
    """The folder layout of a sentence-transformers model: modules.json names
    the encoder, its pooling and the normalisation."""
    print("sentence-transformers", flush=True)
    folder = HERE / "sentence-transformers"
    bert = small_bert(48, 4, 5, pooler=False)
    write_weights(bert, folder)
    kinds = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")]
    modules = [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for i, (path, kind) in enumerate(kinds)
    ]
    (folder / "modules.json").write_text(json.dumps(modules, indent=2) + "\n")
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 128, "do_lower_case": False}) + "\n")
    (folder / "1_Pooling").mkdir(exist_ok=True)
    pooling = {
        "word_embedding_dimension": 48,
        "pooling_mode_cls_token": False,
        "pooling_mode_mean_tokens": True,
        "pooling_mode_max_tokens": False,
        "pooling_mode_mean_sqrt_len_tokens": False,
    }
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling, indent=2) + "\n")
    model = export.SentenceEmbedding(bert)
    for case, inputs in text_cases(40).items():
        write_embeddings(model, inputs, folder / case)


def write_embeddings(model, inputs, folder):
    """A sentence-transformers model has one output; the hidden states stay inside."""
    export.write_case(model, inputs, folder)
    (folder / "outputs" / "last_hidden_state.npy").unlink()


def minilm(folder):
    """The real model on the lines of minilm/sentences.txt: token ids as its own
    tokenizer gives them, and the embeddings in float64. No weights."""
    print("minilm", flush=True)
    lines = (HERE / "minilm" / "sentences.txt").read_text(encoding="utf-8").splitlines()
    tokens = AutoTokenizer.from_pretrained(folder)(lines, padding=True, return_tensors="np")
    names = ["input_ids", "attention_mask", "token_type_ids"]
    inputs = {n: np.asarray(tokens[n], dtype=np.int64) for n in names}
    model = export.SentenceEmbedding(BertModel.from_pretrained(folder, add_pooling_layer=False))
    write_embeddings(model, inputs, HERE / "minilm" / "sentences")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minilm", type=pathlib.Path, required=True, help="folder with all-MiniLM-L6-v2")
    args = parser.parse_args()
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)  # the order of a sum depends on it
    bert()
    sentence()
    vit()
    bert_safetensors()
    sentence_transformers()
    minilm(args.minilm)


if __name__ == "__main__":
    main()
