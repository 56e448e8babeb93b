"""The architectures of make_exported.py: a tiny random instance of each, its cases."""

import dataclasses

import numpy as np
import torch
import transformers as hf
from transformers.cache_utils import DynamicCache, EncoderDecoderCache

import exporters
import recurrences
from exporters import Exportable

VOCABULARY = 40
TEXT = {0: "batch", 1: "sequence"}


@dataclasses.dataclass
class Architecture:
    model: Exportable
    example: dict
    cases: dict


def randomised(model, seed):
    return exporters.plain.randomise(model, seed).eval()


#===----------------------------------------------------------------------------===#
# Inputs
#===----------------------------------------------------------------------------===#


def tokens(batch, length, seed, vocabulary=VOCABULARY):
    return np.random.default_rng(seed).integers(5, vocabulary, (batch, length), dtype=np.int64)


def mask(batch, length, ends=(), starts=()):
    """Ones; `ends` maps a row to its kept length, `starts` to its first kept token."""
    kept = np.ones((batch, length), np.int64)
    for row, end in dict(ends).items():
        kept[row, end:] = 0
    for row, start in dict(starts).items():
        kept[row, :start] = 0
    return kept


def normal(shape, seed):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


TEXT_CASES = {
    "1x1": mask(1, 1),
    "2x16": mask(2, 16),
    "3x17-masked": mask(3, 17, ends={1: 9, 2: 1}),
    "1x67": mask(1, 67),
}


def text(model, run, outputs=("last_hidden_state",), extra=None, masks=TEXT_CASES):
    """A model of token ids and mask."""
    extra = extra or (lambda ids, kept: {})

    def make(kept, seed):
        ids = tokens(*kept.shape, seed)
        return {"input_ids": ids, "attention_mask": kept, **extra(ids, kept)}

    example = make(mask(2, 8), 1)
    exportable = Exportable(model, run, example, outputs, {n: TEXT for n in example})
    return Architecture(exportable, example, {c: make(kept, i) for i, (c, kept) in enumerate(masks.items())})


#===----------------------------------------------------------------------------===#
# Encoders
#===----------------------------------------------------------------------------===#


def hidden(model, inputs):
    return model(**inputs).last_hidden_state


def segments(ids, kept):
    types = np.zeros_like(ids)
    types[:, ids.shape[1] // 2:] = 1
    return {"token_type_ids": types * kept}


ENCODER = dict(vocab_size=VOCABULARY, hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48,
               max_position_embeddings=80)


def bert():
    model = hf.BertModel(hf.BertConfig(**ENCODER))
    run = lambda m, x: (lambda out: (out.last_hidden_state, out.pooler_output))(m(**x))
    return text(randomised(model, 1), run, ["last_hidden_state", "pooler_output"], segments)


def minilm():
    """Mean pooling over the kept tokens and unit length, as sentence-transformers exports it."""
    def run(model, inputs):
        states = model(**inputs).last_hidden_state
        keep = inputs["attention_mask"].unsqueeze(-1).expand(states.size()).to(states.dtype)
        pooled = (states * keep).sum(1) / torch.clamp(keep.sum(1), min=1e-9)
        return states, torch.nn.functional.normalize(pooled, p=2, dim=1)

    config = hf.BertConfig(**{**ENCODER, "num_attention_heads": 2})
    model = randomised(hf.BertModel(config, add_pooling_layer=False), 2)
    return text(model, run, ["token_embeddings", "sentence_embedding"], segments)


def distilbert():
    config = hf.DistilBertConfig(vocab_size=VOCABULARY, dim=64, n_layers=2, n_heads=4, hidden_dim=48,
                                 max_position_embeddings=80)
    return text(randomised(hf.DistilBertModel(config), 3), hidden)


def modernbert():
    config = hf.ModernBertConfig(**ENCODER, local_attention=8, pad_token_id=0, global_attn_every_n_layers=2,
                                 bos_token_id=1, eos_token_id=2, cls_token_id=1, sep_token_id=2)
    return text(randomised(hf.ModernBertModel(config), 4), hidden)


def xlnet():
    """Time before batch; the product with the positions is added to that with the keys."""
    config = hf.XLNetConfig(vocab_size=VOCABULARY, d_model=48, n_layer=2, n_head=4, d_inner=48)
    return text(randomised(hf.XLNetModel(config), 18), hidden)


def deberta():
    """Content to position and position to content, of as many distances as the sequence has, up to 24."""
    config = hf.DebertaConfig(**ENCODER, type_vocab_size=0, relative_attention=True, max_relative_positions=24,
                              pos_att_type="c2p|p2c", position_biased_input=False, pad_token_id=0)
    return text(randomised(hf.DebertaModel(config), 21), hidden)


def deberta_v2():
    """Distances in 32 buckets, narrow near 0 and wide far from it; a table for all layers."""
    config = hf.DebertaV2Config(**ENCODER, type_vocab_size=0, relative_attention=True, position_buckets=16,
                                norm_rel_ebd="layer_norm", share_att_key=True, pos_att_type="p2c|c2p",
                                position_biased_input=False, pad_token_id=0)
    return text(randomised(hf.DebertaV2Model(config), 22), hidden)


def xmod():
    """Each sample goes through the adapter of its language: found by NonZero, put back by ScatterND."""
    config = hf.XmodConfig(**{**ENCODER, "intermediate_size": 24, "max_position_embeddings": 75}, pad_token_id=1, default_language="en_XX",
                           languages=["en_XX"])
    return text(randomised(hf.XmodModel(config), 19), hidden)


def t5_config():
    return hf.T5Config(vocab_size=VOCABULARY, d_model=48, d_kv=16, d_ff=48, num_layers=2, num_decoder_layers=2,
                       num_heads=4, relative_attention_num_buckets=8, relative_attention_max_distance=24,
                       decoder_start_token_id=0)


def t5_encoder():
    return text(randomised(hf.T5EncoderModel(t5_config()), 5), hidden)


def t5_wide():
    """Heads more than half as wide as the model: what `--factorize` merges queries and keys of."""
    config = t5_config()
    config.d_kv, config.num_heads = 32, 2
    return text(randomised(hf.T5EncoderModel(config), 16), hidden)


#===----------------------------------------------------------------------------===#
# Images and sound
#===----------------------------------------------------------------------------===#


def vit():
    config = hf.ViTConfig(hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
                          image_size=32, patch_size=8, num_labels=11)
    run = lambda m, x: m(**x).logits
    return images(randomised(hf.ViTForImageClassification(config), 6), run, ["logits"], 32)


def swin():
    config = hf.SwinConfig(image_size=32, patch_size=4, embed_dim=12, depths=[2, 1], num_heads=[2, 4],
                           window_size=4, mlp_ratio=2.0, num_labels=11)
    run = lambda m, x: m(**x).logits
    return images(randomised(hf.SwinForImageClassification(config), 7), run, ["logits"], 32)


def images(model, run, outputs, side):
    make = lambda batch, seed: {"pixel_values": normal((batch, 3, side, side), seed)}
    exportable = Exportable(model, run, ["pixel_values"], outputs, {"pixel_values": {0: "batch"}})
    return Architecture(exportable, make(2, 9), {f"{b}x{side}": make(b, b) for b in (1, 2, 5)})


def whisper_config():
    return hf.WhisperConfig(vocab_size=VOCABULARY, num_mel_bins=16, d_model=48, encoder_layers=2, decoder_layers=2,
                            encoder_attention_heads=4, decoder_attention_heads=4, encoder_ffn_dim=96,
                            decoder_ffn_dim=96, max_source_positions=20, max_target_positions=40, pad_token_id=0,
                            bos_token_id=1, eos_token_id=2, decoder_start_token_id=1, begin_suppress_tokens=None,
                            suppress_tokens=None)


def whisper_encoder():
    model = randomised(hf.WhisperModel(whisper_config()), 8).encoder
    make = lambda batch, seed: {"input_features": normal((batch, 16, 40), seed)}
    exportable = Exportable(model, lambda m, x: m(**x).last_hidden_state, ["input_features"], ["last_hidden_state"],
                            {"input_features": {0: "batch"}})
    return Architecture(exportable, make(2, 9), {f"{b}x40": make(b, b) for b in (1, 2, 5)})


#===----------------------------------------------------------------------------===#
# Decoders: prefill, and a step with the cache as inputs and outputs
#===----------------------------------------------------------------------------===#


def prefill(model):
    """Logits and the cache it leaves."""
    layers = model.config.num_hidden_layers
    kinds = [f"present.{i}.{k}" for i in range(layers) for k in ("key", "value")]

    def run(model, inputs):
        out = model(**inputs, use_cache=True)
        return (out.logits, *flat(out.past_key_values))

    masks = {"1x1": mask(1, 1), "2x9": mask(2, 9), "3x8-masked": mask(3, 8, starts={1: 3, 2: 7}), "1x37": mask(1, 37)}
    positions = lambda ids, kept: {"position_ids": np.maximum(np.cumsum(kept, 1) - 1, 0)}
    return text(model, run, ["logits", *kinds], positions, masks)


def flat(cache):
    return tuple(t for layer in cache.layers for t in (layer.keys, layer.values))


def cache_of(tensors):
    cache = DynamicCache()
    for i in range(0, len(tensors), 2):
        cache.update(tensors[i], tensors[i + 1], i // 2)
    return cache


def step(model, heads, size, past_lengths=((1, 1), (3, 9), (1, 40))):
    """One token for each row, after `past` cached ones."""
    layers = model.config.num_hidden_layers
    names = [f"past_key_values.{i}.{k}" for i in range(layers) for k in ("key", "value")]

    def run(model, inputs):
        past = cache_of([inputs[n] for n in names])
        rest = {n: v for n, v in inputs.items() if n not in names}
        out = model(**rest, past_key_values=past, use_cache=True)
        return (out.logits, *flat(out.past_key_values))

    def make(batch, past, seed):
        kept = mask(batch, past + 1, starts={batch - 1: past // 2})
        inputs = {"input_ids": tokens(batch, 1, seed), "attention_mask": kept,
                  "position_ids": kept.sum(1, keepdims=True) - 1}
        for i, name in enumerate(names):
            inputs[name] = normal((batch, heads, past, size), 100 * seed + i)
        return inputs

    dynamic = {"input_ids": {0: "batch"}, "attention_mask": {0: "batch", 1: "total_sequence"},
               "position_ids": {0: "batch"}, **{n: {0: "batch", 2: "past_sequence"} for n in names}}
    example = make(2, 6, 1)
    exportable = Exportable(model, run, example, ["logits", *[n.replace("past_key_values", "present") for n in names]],
                            dynamic)
    return Architecture(exportable, example, {f"{b}x{p}": make(b, p, i) for i, (b, p) in enumerate(past_lengths)})


def gpt2_model():
    config = hf.GPT2Config(vocab_size=VOCABULARY, n_positions=80, n_embd=64, n_layer=2, n_head=4, n_inner=32,
                           bos_token_id=1, eos_token_id=2)
    return randomised(hf.GPT2LMHeadModel(config), 10)


DECODER = dict(vocab_size=VOCABULARY, hidden_size=64, intermediate_size=48, num_hidden_layers=2,
               num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=130, bos_token_id=1,
               eos_token_id=2, pad_token_id=0)


def llama_model():
    return randomised(hf.LlamaForCausalLM(hf.LlamaConfig(**DECODER)), 11)


def gpt2_prefill():
    return prefill(gpt2_model())


def gpt2_step():
    return step(gpt2_model(), 4, 16)


def llama_prefill():
    return prefill(llama_model())


def llama_step():
    return step(llama_model(), 2, 16)


def mistral():
    config = hf.MistralConfig(**DECODER, sliding_window=8)
    return text(randomised(hf.MistralModel(config), 12), hidden)


def bloom():
    config = hf.BloomConfig(vocab_size=VOCABULARY, hidden_size=48, n_layer=2, n_head=4, bos_token_id=1, eos_token_id=2,
                            pad_token_id=0)
    return text(randomised(hf.BloomModel(config), 13), hidden)


def gpt_oss():
    """A learned sink beside the keys of each head; a router and experts."""
    sizes = dict(hidden_size=32, intermediate_size=16, head_dim=16, num_local_experts=4, num_experts_per_tok=2)
    model = hf.GptOssModel(hf.GptOssConfig(**{**DECODER, **sizes}, sliding_window=8))
    model.set_experts_implementation("batched_mm")
    run = lambda m, x: m(**x, use_cache=False).last_hidden_state
    return text(randomised(model, 17), run)


#===----------------------------------------------------------------------------===#
# Decoders that read an encoder
#===----------------------------------------------------------------------------===#


def cross_step(model, heads, size, source, run_decoder):
    """One token after `past` ones; the encoder's keys and values are in the cache already."""
    layers = 2
    names = [f"past_key_values.{i}.{side}.{k}" for side in ("decoder", "encoder") for i in range(layers)
             for k in ("key", "value")]
    own, other = names[: 2 * layers], names[2 * layers:]
    outputs = ["logits", *[n.replace("past_key_values", "present") for n in own]]

    def run(model, inputs):
        cache = EncoderDecoderCache(cache_of([inputs[n] for n in own]), cache_of([inputs[n] for n in other]))
        logits = run_decoder(model, inputs, cache)
        return (logits, *flat(cache.self_attention_cache))

    def make(batch, past, length, seed):
        inputs = {"input_ids": tokens(batch, 1, seed)}
        if source is None:
            inputs["encoder_attention_mask"] = mask(batch, length, ends={batch - 1: max(1, length - 3)})
        for i, name in enumerate(names):
            inputs[name] = normal((batch, heads, past if name in own else length, size), 100 * seed + i)
        return inputs

    dynamic = {"input_ids": {0: "batch"}, "encoder_attention_mask": {0: "batch", 1: "source"},
               **{n: {0: "batch", 2: "past_sequence"} for n in own},
               **{n: {0: "batch", 2: "source"} if source is None else {0: "batch"} for n in other}}
    example = make(2, 6, source or 9, 1)
    exportable = Exportable(model, run, example, outputs, {n: dynamic[n] for n in example})
    sizes = [(1, 1, source or 1), (2, 5, source or 33), (1, 30, source or 7)]
    return Architecture(exportable, example,
                        {f"{b}x{p}x{s}": make(b, p, s, i) for i, (b, p, s) in enumerate(sizes)})


def t5_step():
    def decode(model, inputs, cache):
        states = torch.zeros(1, 1, 48, dtype=cache.self_attention_cache.layers[0].keys.dtype)
        out = model(encoder_outputs=(states,), attention_mask=inputs["encoder_attention_mask"],
                    decoder_input_ids=inputs["input_ids"], past_key_values=cache, use_cache=True)
        return out.logits

    return cross_step(randomised(hf.T5ForConditionalGeneration(t5_config()), 14), 4, 16, None, decode)


def whisper_step():
    def decode(model, inputs, cache):
        states = torch.zeros(1, 20, 48, dtype=cache.self_attention_cache.layers[0].keys.dtype)
        out = model(encoder_outputs=(states,), decoder_input_ids=inputs["input_ids"], past_key_values=cache,
                    use_cache=True)
        return out.logits

    return cross_step(randomised(hf.WhisperForConditionalGeneration(whisper_config()), 15), 4, 12, 20, decode)


#===----------------------------------------------------------------------------===#
# Recurrences
#===----------------------------------------------------------------------------===#


def mamba():
    """The exporters unroll the scan: the sequence is a constant, the batch is not."""
    config = hf.MambaConfig(vocab_size=VOCABULARY, hidden_size=64, state_size=4, num_hidden_layers=2, expand=1,
                            time_step_rank=4, conv_kernel=4, bos_token_id=1, eos_token_id=2, pad_token_id=0)
    model = randomised(hf.MambaForCausalLM(config), 16)
    run = lambda m, x: m(**x, use_cache=False).logits
    make = lambda batch, seed: {"input_ids": tokens(batch, 12, seed)}
    exportable = Exportable(model, run, ["input_ids"], ["logits"], {"input_ids": {0: "batch"}})
    return Architecture(exportable, make(2, 9), {f"{b}x12": make(b, b) for b in (1, 2, 5)})


def rwkv_config():
    return hf.RwkvConfig(vocab_size=VOCABULARY, hidden_size=16, num_hidden_layers=2, context_length=64, attention_hidden_size=16,
                         intermediate_size=32, bos_token_id=1, eos_token_id=2)


def rwkv():
    """From zeros on: the loop of transformers, whose steps write into the result in place."""
    model = randomised(hf.RwkvForCausalLM(rwkv_config()), 17)
    run = lambda m, x: m(**x, use_cache=False).logits
    make = lambda batch, seed: {"input_ids": tokens(batch, 8, seed)}
    exportable = Exportable(model, run, ["input_ids"], ["logits"], {"input_ids": {0: "batch"}})
    return Architecture(exportable, make(2, 9), {f"{b}x8": make(b, b) for b in (1, 2, 5)})


def rwkv_step():
    """Seven tokens behind others: all five states in, and out again."""
    model = randomised(hf.RwkvForCausalLM(rwkv_config()), 18)
    states = [f"state.{name}" for name in ("ffn", "attention", "numerator", "denominator", "greatest")]

    def run(model, inputs):
        out = model(input_ids=inputs["input_ids"], state=[inputs[n].clone() for n in states], use_cache=True)
        return (out.logits, *out.state)

    def make(batch, seed):
        inputs = {"input_ids": tokens(batch, 7, seed)}
        inputs |= {n: normal((batch, 16, 2), 100 * seed + i) for i, n in enumerate(states)}
        inputs["state.denominator"] = 1 + np.abs(inputs["state.denominator"])
        return inputs

    example = make(2, 9)
    outputs = ["logits", *(n.replace("state", "new_state") for n in states)]
    exportable = Exportable(model, run, list(example), outputs, {n: {0: "batch"} for n in example})
    return Architecture(exportable, example, {f"{b}x7": make(b, b) for b in (1, 2, 5)})


def mamba2():
    """Transformers' chunks of 16: products within, decays of chunks by chunks; both dims are free."""
    config = hf.Mamba2Config(vocab_size=VOCABULARY, hidden_size=32, state_size=8, num_hidden_layers=2, expand=2, head_dim=16,
                             num_heads=4, n_groups=2, conv_kernel=4, chunk_size=16, bos_token_id=1, eos_token_id=2, pad_token_id=0)
    model = randomised(hf.Mamba2ForCausalLM(config), 19)
    run = lambda m, x: m(**x, use_cache=False).logits
    make = lambda batch, length, seed: {"input_ids": tokens(batch, length, seed)}
    exportable = Exportable(model, run, ["input_ids"], ["logits"], {"input_ids": {0: "batch", 1: "sequence"}})
    sizes = [(1, 40), (2, 37), (5, 16), (2, 1)]
    return Architecture(exportable, make(2, 40, 9), {f"{b}x{n}": make(b, n, i) for i, (b, n) in enumerate(sizes)})


def bamba():
    """A Mamba-2 layer and an attention layer, exported at a whole number of chunks: such a file pads nothing, and holds for
    multiples of the chunk alone."""
    config = hf.BambaConfig(vocab_size=VOCABULARY, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
                            num_key_value_heads=2, attn_layer_indices=[1], mamba_n_heads=4, mamba_d_head=16, mamba_d_state=8,
                            mamba_n_groups=1, mamba_expand=2, mamba_chunk_size=16, pad_token_id=0, bos_token_id=1, eos_token_id=2)
    model = randomised(hf.BambaForCausalLM(config), 20)
    run = lambda m, x: m(**x, use_cache=False).logits
    make = lambda batch, length, seed: {"input_ids": tokens(batch, length, seed), "attention_mask": np.ones((batch, length), np.int64)}
    dynamic = {name: {0: "batch", 1: "sequence"} for name in ("input_ids", "attention_mask")}
    exportable = Exportable(model, run, list(dynamic), ["logits"], dynamic)
    sizes = [(1, 16), (3, 32), (2, 80)]
    return Architecture(exportable, make(2, 32, 9), {f"{b}x{n}": make(b, n, i) for i, (b, n) in enumerate(sizes)})


def unrolled(model, steps, width, outputs=("y",)):
    """One layer of `recurrences`: the batch is dynamic, the steps are not."""
    run = lambda m, inputs: m(inputs["x"])
    exportable = Exportable(model, run, ["x"], outputs, {"x": {0: "batch"}})
    cases = {f"{b}x{steps}": {"x": normal((b, steps, width), b)} for b in (1, 2, 5)}
    return Architecture(exportable, cases[f"2x{steps}"], cases)


def lmu():
    return unrolled(randomised(recurrences.LMU(16, 12, 24), 40), 24, 16)


def rwkv4():
    architecture = unrolled(randomised(recurrences.RWKV4(16), 41), 9, 16)
    architecture.cases["2x9-large"] = {"x": 200 * normal((2, 9, 16), 3)}  # exponentials of these keys overflow
    return architecture


def rwkv6():
    return unrolled(randomised(recurrences.RWKV6(16, 2), 42), 9, 16, ("y", "state"))


ARCHITECTURES = [bert, minilm, distilbert, modernbert, t5_encoder, t5_wide, t5_step, vit, swin, whisper_encoder, whisper_step,
                 gpt2_prefill, gpt2_step, llama_prefill, llama_step, mistral, bloom, mamba, mamba2, bamba, lmu, rwkv, rwkv_step,
                 rwkv4, rwkv6, gpt_oss, xlnet, deberta, deberta_v2, xmod]
