"""PyTorch's attention as engines of worker.py: scaled_dot_product_attention, and FlexAttention compiled.

The "model" is a JSON file that attention.py writes: {"variant", "dtype", "heads", "key_heads"}.
"""

import json
import pathlib

import torch
from torch.nn.attention import flex_attention as flex
from torch.nn.functional import scaled_dot_product_attention


class Engine:
    def __init__(self, model, inputs, threads):
        torch.set_num_threads(threads)
        self.version = torch.__version__
        self.options = json.loads(pathlib.Path(model).read_text())
        narrow = self.options["dtype"] == "bf16"
        self.inputs = {name: torch.from_numpy(array) for name, array in inputs.items()}
        self.inputs |= {name: self.inputs[name].bfloat16() for name in ("q", "k", "v", "bias") if narrow and name in inputs}
        self.grouped = self.options["heads"] != self.options["key_heads"]
        self.prepare()
        self.run()

    def outputs(self):
        return {"y": self.result.float().numpy()}

    def run(self):
        with torch.inference_mode():
            self.result = self.call(*(self.inputs[name] for name in "qkv"))


class Sdpa(Engine):
    """Masks and biases as tensors it is given."""

    def prepare(self):
        causal = self.options["variant"] == "causal"
        mask = None if causal else self.inputs.get("bias")
        self.call = lambda q, k, v: scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal,
                                                                 enable_gqa=self.grouped)


class Flex(Engine):
    """Masks and biases as functions, compiled for the shapes."""

    def prepare(self):
        table, n = self.inputs.get("t"), self.inputs["q"].shape[2]
        scores = {
            "alibi": lambda x, b, h, i, j: x + table[h] * (j - i),
            "t5": lambda x, b, h, i, j: x + table[h, j - i + n - 1],
            "softcap": lambda x, b, h, i, j: 20 * torch.tanh(x / 20),
        }
        keeps = {
            "causal": lambda b, h, i, j: j <= i,
            "window": lambda b, h, i, j: (j <= i) & (i - j < 256),
            "alibi": lambda b, h, i, j: j <= i,
            "documents": lambda b, h, i, j: table[i] == table[j],
        }
        variant = self.options["variant"]
        mask = None
        if variant in keeps:
            mask = flex.create_block_mask(keeps[variant], None, None, n, self.inputs["k"].shape[2], device="cpu")
        compiled = torch.compile(flex.flex_attention, dynamic=False)
        self.call = lambda q, k, v: compiled(q, k, v, score_mod=scores.get(variant), block_mask=mask,
                                             enable_gqa=self.grouped)
