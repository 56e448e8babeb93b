"""PyTorch and what comes with it as engines of gpu.py, on the GPU.

A Problem holds a case's operands, in the host's memory and on the GPU, and the result in float32. An engine is made for one:
it is a function of the operands on the GPU, timed with and without the copies between the two.
"""

import pathlib
import time

import numpy as np
import torch
from torch.nn.attention import flex_attention as flex
from torch.nn.functional import scaled_dot_product_attention

DEVICE = "cuda"


def gpu_name():
    return torch.cuda.get_device_name()


#===----------------------------------------------------------------------------===#
# Problems
#===----------------------------------------------------------------------------===#


def table_of(case, generator):
    """What the score or keep of an attention reads."""
    kind = case.REGIONS[case.variant][1]
    if kind == "slopes":
        return 2.0 ** (-8 * (torch.arange(case.heads) + 1) / case.heads)
    if kind == "distances":
        return torch.randn(case.heads, 2 * case.length - 1, generator=generator)
    if kind == "numbers":
        return torch.arange(case.length) * 8 // case.length  # eight documents
    return None


class Problem:
    def __init__(self, case):
        self.case = case
        generator = torch.Generator().manual_seed(7)
        if hasattr(case, "model"):
            self.host = {file.stem: torch.from_numpy(np.load(file)) for file in sorted(case.inputs.glob("*.npy"))}
            self.wanted = None
        else:
            dtype = torch.bfloat16 if case.dtype == "bf16" else torch.float32
            draw = torch.rand if case.dtype == "f32" else torch.randn  # NPRF's features are positive
            self.host = {name: draw(shape, generator=generator).to(dtype) for name, shape in case.shapes().items()}
            if hasattr(case, "REGIONS") and (table := table_of(case, generator)) is not None:
                self.host["t"] = table.float() if table.is_floating_point() else table
        self.gpu = {name: array.to(DEVICE) for name, array in self.host.items()}
        self.arrays = {name: (x.view(torch.uint16) if x.dtype == torch.bfloat16 else x).numpy() for name, x in self.host.items()}
        if not hasattr(case, "model"):
            self.wanted = reference(case, {name: x.float() if x.is_floating_point() else x for name, x in self.gpu.items()}).cpu().numpy()

    def error(self, outputs):
        """The largest difference, in parts of the largest element. Of a model, what the first engine gives is what others are held to."""
        found = next(iter(outputs.values()))
        found = (found.astype(np.uint32) << 16).view(np.float32) if found.dtype == np.uint16 else found.astype(np.float32)
        self.wanted = found if self.wanted is None else self.wanted
        return float(np.abs(found - self.wanted).max() / np.abs(self.wanted).max())


def reference(case, x):
    if hasattr(case, "size"):
        return x["a"] @ x["b"]
    if hasattr(case, "features"):
        return nprf(x)
    score, keep = regions(case, x.get("t"))
    group = case.heads // case.key_heads
    i, j = torch.arange(case.queries, device=DEVICE)[:, None], torch.arange(case.length, device=DEVICE)[None]
    heads = []
    for h in range(case.heads):
        s = x["q"][0, h] @ x["k"][0, h // group].T * case.depth**-0.5
        s = score(s, 0, h, i, j) if score else s
        s = s.masked_fill(~keep(0, h, i, j), -torch.inf) if keep else s
        heads.append(torch.softmax(s, -1) @ x["v"][0, h // group])
    return torch.stack(heads)[None]


def regions(case, table):
    """The score and keep regions of an attention as FlexAttention takes them."""
    last = case.length - 1
    scores = {"alibi": lambda s, b, h, i, j: s + table[h] * (j - i), "t5": lambda s, b, h, i, j: s + table[h, j - i + last]}
    causal = lambda b, h, i, j: j <= i
    keeps = {"causal": causal, "alibi": causal, "window": lambda b, h, i, j: (j <= i) & (i - j < 256),
             "documents": lambda b, h, i, j: table[i] == table[j]}
    return scores.get(case.variant), keeps.get(case.variant)


def nprf(x):
    """All pairs, a head at a time."""
    heads = []
    for h in range(x["q"].shape[1]):
        n = x["q"].shape[2]
        factors = x["c"][h].as_strided((n, n), (1, 1)).flip(0)  # [i][j] = c[j - i + n - 1]
        s = (x["q"][0, h] @ x["k"][0, h].T) * factors
        heads.append(s @ x["v"][0, h] / s.sum(-1, keepdim=True))
    return torch.stack(heads)[None]


#===----------------------------------------------------------------------------===#
# Engines
#===----------------------------------------------------------------------------===#


class Engine:
    """`prepare` makes `call`, a function of operands by name."""

    def __init__(self, problem):
        self.problem = problem
        self.prepare(problem.case, problem.gpu)
        self.result = self.once(problem.gpu)

    def once(self, operands):
        with torch.inference_mode():
            return self.call(operands)

    def whole(self):
        torch.cuda.synchronize()
        started = time.perf_counter()
        self.once({name: x.to(DEVICE) for name, x in self.problem.host.items()}).cpu()
        return time.perf_counter() - started

    def device(self):
        began, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        began.record()
        self.once(self.problem.gpu)
        ended.record()
        torch.cuda.synchronize()
        return began.elapsed_time(ended) / 1e3

    def outputs(self):
        return {"y": self.result.float().cpu().numpy()}


class Matmul(Engine):
    name = "torch (cuBLAS)"

    def prepare(self, case, operands):
        self.call = lambda x: x["a"] @ x["b"]


class TritonMatmul(Engine):
    """The best of Inductor's Triton templates."""

    name = "Triton, by torch.compile"

    def prepare(self, case, operands):
        options = {"max_autotune": True, "max_autotune_gemm_backends": "TRITON"}
        product = torch.compile(lambda a, b: a @ b, dynamic=False, options=options)
        self.call = lambda x: product(x["a"], x["b"])


class Sdpa(Engine):
    """Masks and biases as tensors made beforehand."""

    name = "torch SDPA"

    def prepare(self, case, operands):
        score, keep = regions(case, operands.get("t"))
        causal, mask = case.variant == "causal", None
        if not causal and (score or keep):
            i, j = torch.arange(case.queries, device=DEVICE)[:, None], torch.arange(case.length, device=DEVICE)[None]
            per_head = lambda h: (score(torch.zeros((), device=DEVICE), 0, h, i, j) if score else torch.zeros_like(i + j, dtype=torch.float32))
            mask = torch.stack([per_head(h) if not keep else per_head(h).masked_fill(~keep(0, h, i, j), -torch.inf)
                                for h in range(case.heads)])[None].to(torch.bfloat16)
        self.call = lambda x: scaled_dot_product_attention(x["q"], x["k"], x["v"], attn_mask=mask, is_causal=causal,
                                                           enable_gqa=case.heads != case.key_heads)


class Flex(Engine):
    name = "FlexAttention"

    def prepare(self, case, operands):
        score, keep = regions(case, operands.get("t"))
        mask = flex.create_block_mask(keep, None, None, case.queries, case.length, device=DEVICE) if keep else None
        attention = torch.compile(flex.flex_attention, dynamic=False)
        self.call = lambda x: attention(x["q"], x["k"], x["v"], score_mod=score, block_mask=mask, enable_gqa=case.heads != case.key_heads)


class Flash(Engine):
    name = "FlashAttention"

    def prepare(self, case, operands):
        from flash_attn import flash_attn_func

        if case.variant not in ("plain", "causal", "window", "alibi"):
            raise NotImplementedError(f"has no {case.variant}")
        options = {"causal": case.variant != "plain", "window_size": (255, 0) if case.variant == "window" else (-1, -1),
                   "alibi_slopes": operands["t"] if case.variant == "alibi" else None}
        turned = lambda x: x.transpose(1, 2)
        self.call = lambda x: turned(flash_attn_func(*(turned(x[name]) for name in "qkv"), **options))


class NprfEager(Engine):
    name = "torch"

    def prepare(self, case, operands):
        self.call = nprf


class NprfCompiled(Engine):
    name = "torch.compile"

    def prepare(self, case, operands):
        self.call = torch.compile(nprf, dynamic=False)


class ModelEager(Engine):
    name = "torch"

    def wrapped(self, net):
        return net

    def prepare(self, case, operands):
        import export

        net = export.build(case.model, pathlib.Path(__file__).resolve().parent.parent / "build" / "deps" / "minilm").eval().to(DEVICE)
        known = [name for name in ("input_ids", "attention_mask", "token_type_ids") if name in operands]
        run = self.wrapped(net)
        first = lambda result: result[0] if isinstance(result, tuple) else result
        self.call = lambda x: first(run(*(x[name] for name in known)))


class ModelCompiled(ModelEager):
    """With CUDA graphs, which max-autotune takes."""

    name = "torch.compile"

    def wrapped(self, net):
        return torch.compile(net, mode="max-autotune", dynamic=False)


def engines(case):
    if hasattr(case, "model"):
        return [ModelEager, ModelCompiled]
    if hasattr(case, "size"):
        return [Matmul, TritonMatmul]
    if hasattr(case, "features"):
        return [NprfEager, NprfCompiled]
    return [Sdpa, Flex, Flash]
