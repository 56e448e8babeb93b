#!/usr/bin/env python3
r"""Export the real-size benchmark models to ONNX, with inputs and float64 outputs.

    python3 -m venv torchenv
    torchenv/bin/pip install torch==2.13.0 transformers==5.23.0 onnx==1.23.1 onnxscript==0.7.2 \
        safetensors==0.8.0 numpy==2.4.6
    torchenv/bin/python benchmarks/export.py --minilm build/deps/minilm --out models

Needs an environment of its own: nothing else in the repository needs PyTorch.
Writes, per model (minilm with the real weights, the others with random ones
from a fixed seed):

    OUT/NAME.onnx                       opset 18, dynamic batch (and sequence)
    OUT/NAME/CASE/inputs/INPUT.npy      the inputs, in the model's dtypes
    OUT/NAME/CASE/outputs/OUTPUT.npy    PyTorch's outputs in float64
    OUT/NAME/CASE/float32.json          error of float32 with products summed left to right

The function `export` and the cases are shared with tests/models/make.py.
"""

import argparse
import copy
import json
import pathlib

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import (
    BeitConfig, BeitForImageClassification, BertConfig, BertModel, ConvNextConfig, ConvNextForImageClassification,
    DebertaV2Config, DebertaV2Model, GPT2Config, GPT2LMHeadModel, GPT2Model, LlamaConfig, LlamaModel,
    MobileNetV2Config, MobileNetV2ForImageClassification, MobileViTConfig, MobileViTForImageClassification,
    PvtV2Config, PvtV2ForImageClassification, Qwen3MoeConfig, Qwen3MoeModel, ResNetConfig,
    ResNetForImageClassification, SegformerConfig, SegformerForSemanticSegmentation, SwiftFormerConfig,
    SwiftFormerForImageClassification, SwinConfig,
    SwinForImageClassification, T5Config, T5EncoderModel, ViTConfig, ViTForImageClassification, Wav2Vec2BertConfig,
    Wav2Vec2BertModel, WhisperConfig, WhisperModel,
)
from transformers.cache_utils import DynamicCache

OPSET = 18
SEED = 20260


class Bert(torch.nn.Module):
    """A BERT encoder; with `pooler`, also its tanh-pooled first token."""

    output_names = ["last_hidden_state"]

    def __init__(self, bert, pooler=False):
        super().__init__()
        self.bert = bert
        self.pooler = pooler
        if pooler:
            self.output_names = ["last_hidden_state", "pooler_output"]

    def forward(self, input_ids, attention_mask, token_type_ids):
        out = self.bert(input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids)
        return (out.last_hidden_state, out.pooler_output) if self.pooler else out.last_hidden_state


class SentenceEmbedding(torch.nn.Module):
    """A BERT encoder, mean pooling over the kept tokens, unit length: the
    sentence-transformers modules Transformer, Pooling and Normalize."""

    output_names = ["last_hidden_state", "sentence_embedding"]

    def __init__(self, bert):
        super().__init__()
        self.bert = bert

    def forward(self, input_ids, attention_mask, token_type_ids):
        hidden = self.bert(
            input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids
        ).last_hidden_state
        keep = attention_mask.unsqueeze(-1).expand(hidden.size()).to(hidden.dtype)
        pooled = (hidden * keep).sum(1) / torch.clamp(keep.sum(1), min=1e-9)
        return hidden, torch.nn.functional.normalize(pooled, p=2, dim=1)


class Vit(torch.nn.Module):
    """A ViT classifier; with `hidden`, also the last layer's tokens."""

    output_names = ["logits"]

    def __init__(self, vit, hidden=False):
        super().__init__()
        self.vit = vit
        self.hidden = hidden
        if hidden:
            self.output_names = ["logits", "last_hidden_state"]

    def forward(self, pixel_values):
        tokens = self.vit.vit(pixel_values=pixel_values).last_hidden_state
        logits = self.vit.classifier(tokens[:, 0])
        return (logits, tokens) if self.hidden else logits


class Hidden(torch.nn.Module):
    """The last hidden state of a model of token ids and a mask."""

    output_names = ["last_hidden_state"]

    def __init__(self, model, **fixed):
        super().__init__()
        self.model, self.fixed = model, fixed

    def forward(self, input_ids, attention_mask):
        return self.model(input_ids=input_ids, attention_mask=attention_mask, **self.fixed).last_hidden_state


class Classifier(torch.nn.Module):
    """The logits of an image model."""

    output_names = ["logits"]

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, pixel_values):
        return self.model(pixel_values=pixel_values).logits


class SpeechEncoder(torch.nn.Module):
    """The last hidden state of a model of spectral features."""

    output_names = ["last_hidden_state"]

    def __init__(self, encoder):
        super().__init__()
        self.encoder = encoder

    def forward(self, input_features):
        return self.encoder(input_features=input_features).last_hidden_state


class Step(torch.nn.Module):
    """One token more of a decoder: its cache is inputs, and outputs with the token's keys and values behind."""

    def __init__(self, model):
        super().__init__()
        self.model = model
        parts = [f"{n}.{kind}" for n in range(model.config.num_hidden_layers) for kind in ("key", "value")]
        self.output_names = ["logits", *[f"present.{part}" for part in parts]]
        self.dynamic_shapes = {
            "input_ids": {0: "batch"}, "attention_mask": {0: "batch", 1: "total"}, "position_ids": {0: "batch"},
            "past": tuple({0: "batch", 2: "past"} for _ in parts),
        }

    def forward(self, input_ids, attention_mask, position_ids, *past):
        cache = DynamicCache()
        for layer in range(len(past) // 2):
            cache.update(past[2 * layer], past[2 * layer + 1], layer)
        out = self.model(input_ids=input_ids, attention_mask=attention_mask, position_ids=position_ids,
                         past_key_values=cache, use_cache=True)
        return (out.logits, *[t for layer in out.past_key_values.layers for t in (layer.keys, layer.values)])


def randomise(model, seed):
    """Random weights that keep every layer's part visible in the outputs:
    biases and norms differ from their neutral values, attention is not flat."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            noise = torch.randn(p.shape, generator=generator)
            if "norm" in name.lower() and name.endswith("weight"):
                p.copy_(1.0 + 0.1 * noise)
            elif p.dim() >= 2 and "embeddings" not in name:
                p.copy_(noise * 1.2 / (p[0].numel() ** 0.5))
            else:
                p.copy_(noise * (0.1 if p.dim() == 1 else 0.5))
    return model


def text_inputs(batch, length, vocab, seed, masked=(), segments=False):
    """Token ids of one (batch, length); `masked` maps a row to its kept length."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(5, vocab, (batch, length), dtype=np.int64)
    mask = np.ones((batch, length), np.int64)
    types = np.zeros((batch, length), np.int64)
    for row, kept in dict(masked).items():
        mask[row, kept:] = 0
        ids[row, kept:] = 0
    if segments:
        types[:, length // 2:] = 1
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": types * mask}


def token_inputs(batch, length, vocab, seed):
    """Token ids and a mask without padding."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(5, vocab, (batch, length), dtype=np.int64)
    return {"input_ids": ids, "attention_mask": np.ones((batch, length), np.int64)}


def step_inputs(batch, past, layers, heads, size, vocab, seed):
    """One token behind `past` others, whose keys and values are there."""
    rng = np.random.default_rng(seed)
    inputs = {"input_ids": rng.integers(5, vocab, (batch, 1), dtype=np.int64),
              "attention_mask": np.ones((batch, past + 1), np.int64), "position_ids": np.full((batch, 1), past, np.int64)}
    for layer in range(layers):
        for kind in ("key", "value"):
            cached = rng.standard_normal((batch, heads, past, size)).astype(np.float32)
            inputs[f"past_key_values.{layer}.{kind}"] = cached
    return inputs


def speech_inputs(seed, *shape):
    rng = np.random.default_rng(seed)
    return {"input_features": rng.standard_normal(shape).astype(np.float32)}


def image_inputs(batch, size, seed):
    rng = np.random.default_rng(seed)
    return {"pixel_values": rng.standard_normal((batch, 3, size, size)).astype(np.float32)}


def dynamic_shapes(names, longest):
    """What the exporter is told is dynamic: batch, and sequence of text inputs."""
    batch = torch.export.Dim("batch", min=1, max=4096)
    sequence = torch.export.Dim("sequence", min=1, max=longest)
    fixed = ("pixel_values", "input_features")
    return {n: {0: batch} if n in fixed else {0: batch, 1: sequence} for n in names}


def export(model, example, path, longest=512, keep_metadata=True):
    """Write `model` to `path` as PyTorch's exporter writes it, inline weights.
    The metadata (stack traces of this machine) is most of a small file."""
    model = model.eval()
    names = list(example)
    program = torch.onnx.export(
        model,
        tuple(torch.from_numpy(example[n]) for n in names),
        dynamo=True,
        opset_version=OPSET,
        input_names=names,
        output_names=model.output_names,
        dynamic_shapes=getattr(model, "dynamic_shapes", None) or dynamic_shapes(names, longest),
        verbose=False,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    if not keep_metadata:
        for node in program.model.graph:
            node.metadata_props.clear()
        for value in program.model.graph.initializers.values():
            value.metadata_props.clear()
    program.save(str(path), external_data=False)


def evaluate(model, inputs, dtype):
    """The outputs of one run with every float in `dtype`."""
    with torch.no_grad():
        tensors = [torch.from_numpy(v) for v in inputs.values()]
        tensors = [t.to(dtype) if t.is_floating_point() else t for t in tensors]
        out = model(*tensors)
    out = out if isinstance(out, tuple) else (out,)
    return {n: o.numpy() for n, o in zip(model.output_names, out)}


class LeftToRight(TorchDispatchMode):
    """Every matrix product summed in float32 from the first term to the last:
    the plain evaluation that errors are measured by. A library's own order of
    summation is its secret, and more exact or less from version to version."""

    @staticmethod
    def product(a, b):
        total = torch.zeros(*a.shape[:-1], b.shape[-1], dtype=a.dtype)
        for k in range(a.shape[-1]):
            total.addcmul_(a[..., k : k + 1], b[..., k : k + 1, :])
        return total

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        aten = torch.ops.aten
        if function in (aten.mm.default, aten.bmm.default):
            return self.product(*arguments)
        if function is aten.addmm.default:
            return self.product(*arguments[1:]) + arguments[0]
        return function(*arguments, **(keywords or {}))


def evaluate_plainly(model, inputs):
    """float32 with every product left to right, attention included."""
    plain = copy.deepcopy(model).float().eval()
    for module in plain.modules():
        if hasattr(module, "set_attn_implementation"):
            module.set_attn_implementation("eager")
    with LeftToRight():
        return evaluate(plain, inputs, torch.float32)


def reference(model, inputs, plainly=True):
    """PyTorch's float64 outputs, and the error of plain float32 against them; with `plainly` false, of
    PyTorch's own float32, where summing one product after another would take hours."""
    exact = evaluate(copy.deepcopy(model).double().eval(), inputs, torch.float64)
    plain = evaluate_plainly(model, inputs) if plainly else evaluate(model.eval(), inputs, torch.float32)
    error = {}
    for name, want in exact.items():
        d = plain[name].astype(np.float64) - want
        error[name] = {"max": float(np.abs(d).max()), "rms": float(np.sqrt((d * d).mean()))}
    return exact, error


def write_case(model, inputs, folder, plainly=True):
    exact, error = reference(model, inputs, plainly)
    for kind, tensors in (("inputs", inputs), ("outputs", exact)):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for name, value in tensors.items():
            np.save(folder / kind / f"{name}.npy", value)
    (folder / "float32.json").write_text(json.dumps(error, indent=1) + "\n")


def write_model(name, model, cases, out, example):
    print(f"{name}: exporting", flush=True)
    export(model, example, out / f"{name}.onnx")
    for case, inputs in cases.items():
        print(f"{name}: {case} in float64", flush=True)
        write_case(model, inputs, out / name / case, plainly=name in SUMMED_PLAINLY)


def text_cases(vocab, shapes):
    cases = {f"{b}x{s}": text_inputs(b, s, vocab, 100 * b + s) for b, s in shapes}
    cases["3x17-masked"] = text_inputs(3, 17, vocab, 7, masked={1: 9, 2: 1}, segments=True)
    return cases


# Scaled dot-product attention with a position bias does not pass torch.export.
BIASED = {"attn_implementation": "eager"}


def random_model(name):
    """One of MODELS but MiniLM, with random weights."""
    if name == "bert-base":
        return Bert(randomise(BertModel(BertConfig()), SEED), pooler=True)
    if name == "vit-b16":
        return Vit(randomise(ViTForImageClassification(ViTConfig(num_labels=1000)), SEED))
    if name == "gpt2":
        return Hidden(randomise(GPT2Model(GPT2Config()), SEED), use_cache=False)
    if name == "t5-small":
        sizes = {"d_model": 512, "d_kv": 64, "d_ff": 2048, "num_layers": 6, "num_heads": 8}
        return Hidden(T5EncoderModel(T5Config(**sizes, **BIASED)))
    if name == "swin-t":
        return Classifier(randomise(SwinForImageClassification(SwinConfig(num_labels=1000, **BIASED)), SEED))
    if name == "resnet-50":
        return Classifier(randomise(ResNetForImageClassification(ResNetConfig(num_labels=1000)), SEED))
    if name == "mobilenet-v2":
        return Classifier(randomise(MobileNetV2ForImageClassification(MobileNetV2Config(num_labels=1000)), SEED))
    if name == "convnext-t":
        return Classifier(randomise(ConvNextForImageClassification(ConvNextConfig(num_labels=1000)), SEED))
    if name == "llama-2048x8":
        sizes = {"hidden_size": 2048, "intermediate_size": 5632, "num_hidden_layers": 8, "num_attention_heads": 32,
                 "num_key_value_heads": 8, "vocab_size": 8192}
        return Hidden(LlamaModel(LlamaConfig(**sizes)), use_cache=False)
    if name == "qwen3-moe":
        sizes = {"hidden_size": 1024, "num_hidden_layers": 2, "num_attention_heads": 16, "num_key_value_heads": 4, "head_dim": 64,
                 "num_experts": 16, "num_experts_per_tok": 4, "moe_intermediate_size": 768, "vocab_size": 8192}
        model = Qwen3MoeModel(Qwen3MoeConfig(**sizes))
        model.set_experts_implementation("batched_mm")  # its other forms ONNX has no operators for
        return Hidden(randomise(model, SEED), use_cache=False)
    if name == "deberta-v3":
        positions = {"relative_attention": True, "position_buckets": 256, "max_relative_positions": -1,
                     "share_att_key": True, "pos_att_type": ["p2c", "c2p"], "norm_rel_ebd": "layer_norm",
                     "position_biased_input": False, "type_vocab_size": 0}
        sizes = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072,
                 "vocab_size": VOCABULARY}
        return Hidden(randomise(DebertaV2Model(DebertaV2Config(**positions, **sizes)), SEED))
    if name == "segformer-b0":
        return Classifier(randomise(SegformerForSemanticSegmentation(SegformerConfig()), SEED))
    if name == "pvt-v2-b0":
        return Classifier(randomise(PvtV2ForImageClassification(PvtV2Config(num_labels=1000)), SEED))
    if name == "mobilevit-s":
        return Classifier(randomise(MobileViTForImageClassification(MobileViTConfig(num_labels=1000)), SEED))
    if name == "swiftformer-xs":
        return Classifier(randomise(SwiftFormerForImageClassification(SwiftFormerConfig(num_labels=1000)), SEED))
    if name == "beit-b16":
        config = BeitConfig(num_labels=1000, use_relative_position_bias=True, **BIASED)
        return Classifier(randomise(BeitForImageClassification(config), SEED))
    if name == "gpt2-step":
        config = GPT2Config(n_layer=STEP["layers"], vocab_size=STEP["vocab"], bos_token_id=1, eos_token_id=2)
        return Step(randomise(GPT2LMHeadModel(config), SEED))
    if name == "conformer":
        sizes = {"hidden_size": 512, "num_hidden_layers": 4, "num_attention_heads": 8, "intermediate_size": 2048,
                 "feature_projection_input_dim": 160}
        return SpeechEncoder(randomise(Wav2Vec2BertModel(Wav2Vec2BertConfig(**sizes, **BIASED)), SEED))
    if name == "whisper-tiny":
        sizes = {"d_model": 384, "encoder_layers": 4, "encoder_attention_heads": 6, "encoder_ffn_dim": 1536}
        return SpeechEncoder(WhisperModel(WhisperConfig(**sizes)).encoder)
    raise ValueError(f"models are {', '.join(MODELS)}; found {name}")


def build(name, minilm=None):
    """One of MODELS; `minilm` is the folder with the real weights."""
    torch.manual_seed(SEED)
    if name == "minilm":
        return Bert(BertModel.from_pretrained(minilm, add_pooling_layer=False))
    return random_model(name)


VOCABULARY = 30522  # of BERT's uncased word pieces, MiniLM's too
STEP = {"layers": 4, "heads": 12, "size": 64, "vocab": 1000}  # of gpt2-step
MODELS = {
    "minilm": text_cases(VOCABULARY, [(1, 16), (1, 128), (8, 128)]),
    "bert-base": text_cases(VOCABULARY, [(1, 128), (1, 512)]),
    "vit-b16": {f"{b}x224": image_inputs(b, 224, b) for b in (1, 3)},
    "gpt2": {"1x512": token_inputs(1, 512, 50257, 3)},
    "t5-small": {"1x512": token_inputs(1, 512, 32128, 4)},
    "swin-t": {"1x224": image_inputs(1, 224, 5)},
    "resnet-50": {"1x224": image_inputs(1, 224, 10)},
    "mobilenet-v2": {"1x224": image_inputs(1, 224, 11)},
    "convnext-t": {"1x224": image_inputs(1, 224, 12)},
    "llama-2048x8": {"1x512": token_inputs(1, 512, 8192, 6)},
    "qwen3-moe": {f"1x{n}": token_inputs(1, n, 8192, 19) for n in (1, 64)},
    "whisper-tiny": {"1x3000": speech_inputs(7, 1, 80, 3000)},
    "deberta-v3": {"1x128": token_inputs(1, 128, VOCABULARY, 13)},
    "segformer-b0": {"1x256": image_inputs(1, 256, 14)},
    "conformer": {"1x200": speech_inputs(15, 1, 200, 160)},
    "pvt-v2-b0": {"1x224": image_inputs(1, 224, 16)},
    "mobilevit-s": {"1x256": image_inputs(1, 256, 17)},
    "swiftformer-xs": {"1x224": image_inputs(1, 224, 20)},
    "beit-b16": {"1x224": image_inputs(1, 224, 19)},
    "gpt2-step": {"1x512": step_inputs(1, 512, **STEP, seed=18)},
}
SUMMED_PLAINLY = ("minilm", "bert-base", "vit-b16")


def example_inputs(name):
    """What the model is traced with."""
    first = next(iter(MODELS[name].values()))
    if "pixel_values" in first:
        return image_inputs(2, first["pixel_values"].shape[2], 9)
    if "input_features" in first:
        return speech_inputs(9, 2, *first["input_features"].shape[1:])
    if "position_ids" in first:
        return step_inputs(2, 16, **STEP, seed=9)
    return text_inputs(2, 16, VOCABULARY, 1) if "token_type_ids" in first else token_inputs(2, 16, 8192, 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minilm", type=pathlib.Path, help="folder with config.json and model.safetensors")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--only", nargs="*", choices=list(MODELS), default=list(MODELS))
    args = parser.parse_args()
    if "minilm" in args.only and args.minilm is None:
        parser.error("minilm needs --minilm DIR")
    for name in args.only:
        write_model(name, build(name, args.minilm), MODELS[name], args.out, example_inputs(name))


if __name__ == "__main__":
    main()
