"""Tiny random Hugging Face checkpoints and what `transformers` computes with them.

Independent reference for src/model: each folder test/golden/models/<name>/ is a loadable Hugging Face
checkpoint (config.json, model.safetensors or shards with an index) plus logits.json:

    {
      "ids":    [2][20]      token ids, one row per sequence, no padding, positions 0..19
      "logits": [2][20][V]   float32 logits of that forward pass, rounded to 7 significant digits
      "greedy": [2][16]      the 16 tokens greedy decoding appends to each row (no stop token)
      "margin":              smallest gap between best and second-best logit met while decoding
    }

Everything is computed in float32 by the model as `from_pretrained` reads it back from the folder, eager
attention, so the goldens cover the files and not only the arithmetic. Embeddings and head are N(0, 0.2), other
matrices and biases N(0, 0.3), norms 1 + N(0, 0.3), so that no part of the network is close to the identity or to
zero; the seeds are such that greedy decoding neither repeats itself soon nor meets a near tie.

config.json is written with the field names found on the hub today (`rope_theta`, `rope_scaling`,
`torch_dtype`), except for `llama-bias` and `qwen3-bf16`, which keep what transformers 5 writes
(`rope_parameters`, `dtype`).

Run from the repository root, deterministic:

    python3 -m venv ~/postnas-venv
    ~/postnas-venv/bin/pip install torch==2.15.0 transformers==5.23.0 safetensors==0.8.0 numpy==2.4.6
    ~/postnas-venv/bin/python test/golden/make_models.py [name ...]

Written with Python 3.11, torch 2.15.0 (CPU), transformers 5.23.0. The logits may differ in the last digit
with another build of torch. `llama-yarn`, `qwen2-own-head` and the families after
`qwen3-bf16`: transformers 5.24.0.
"""

import json
import shutil
import sys
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM

OUT = Path(__file__).parent / "models"
ROWS, TOKENS, NEW_TOKENS = 2, 20, 16

COMMON = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "hidden_act": "silu",
    "max_position_embeddings": 256,
    "initializer_range": 0.02,
    "rms_norm_eps": 1e-5,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "attention_dropout": 0.0,
    "use_cache": True,
}

LLAMA = {**COMMON, "model_type": "llama", "architectures": ["LlamaForCausalLM"], "attention_bias": False,
         "mlp_bias": False, "pretraining_tp": 1}
QWEN2 = {**COMMON, "model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"], "rms_norm_eps": 1e-6,
         "use_sliding_window": False, "sliding_window": 32, "max_window_layers": 2}
QWEN3 = {**COMMON, "model_type": "qwen3", "architectures": ["Qwen3ForCausalLM"], "rms_norm_eps": 1e-6,
         "attention_bias": False, "head_dim": 16, "use_sliding_window": False, "sliding_window": None,
         "max_window_layers": 2}
LLAMA_TIED = {**LLAMA, "num_hidden_layers": 3, "intermediate_size": 40, "tie_word_embeddings": True,
              "rope_theta": 10000.0, "rope_scaling": None}
QWEN2_TIED = {**QWEN2, "num_key_value_heads": 1, "tie_word_embeddings": True, "rope_theta": 1000000.0}
QWEN3_TIED = {**QWEN3, "tie_word_embeddings": True, "rope_theta": 1000000, "rope_scaling": None}

# Of the families below what is written is what the hub has, in one layer or two.
MISTRAL = {**COMMON, "model_type": "mistral", "architectures": ["MistralForCausalLM"], "sliding_window": 6,
           "tie_word_embeddings": False, "rope_theta": 10000.0}
MINISTRAL = {**COMMON, "model_type": "ministral", "architectures": ["MinistralForCausalLM"], "sliding_window": 6,
             "head_dim": 12, "tie_word_embeddings": True, "rope_theta": 10000.0,
             "layer_types": ["sliding_attention", "full_attention"]}
GRANITE = {**COMMON, "model_type": "granite", "architectures": ["GraniteForCausalLM"], "attention_bias": True,
           "mlp_bias": True, "tie_word_embeddings": True, "rope_theta": 10000.0, "embedding_multiplier": 6.0,
           "logits_scaling": 0.5, "residual_multiplier": 0.7, "attention_multiplier": 0.2}
PHI3 = {**COMMON, "model_type": "phi3", "architectures": ["Phi3ForCausalLM"], "sliding_window": 9, "pad_token_id": 0,
        "original_max_position_embeddings": 256, "tie_word_embeddings": False, "rope_theta": 10000.0,
        "rope_scaling": None, "resid_pdrop": 0.0, "embd_pdrop": 0.0}
SMOLLM3 = {**COMMON, "model_type": "smollm3", "architectures": ["SmolLM3ForCausalLM"], "no_rope_layers": [1, 0],
           "no_rope_layer_interval": 4, "tie_word_embeddings": True, "rope_theta": 10000.0, "rope_scaling": None,
           "pad_token_id": 0, "use_sliding_window": False, "sliding_window": None}
OLMO2 = {**COMMON, "model_type": "olmo2", "architectures": ["Olmo2ForCausalLM"], "attention_bias": False,
         "tie_word_embeddings": False, "rope_theta": 10000.0, "pad_token_id": 0}
GEMMA = {**COMMON, "model_type": "gemma", "architectures": ["GemmaForCausalLM"], "head_dim": 12, "hidden_act": "gelu",
         "hidden_activation": None, "attention_bias": False, "tie_word_embeddings": True, "rope_theta": 10000.0,
         "pad_token_id": 0}
GEMMA3 = {**COMMON, "model_type": "gemma3_text", "architectures": ["Gemma3ForCausalLM"], "head_dim": 12,
          "num_hidden_layers": 3, "sliding_window": 6, "sliding_window_pattern": 3, "query_pre_attn_scalar": 20,
          "hidden_activation": "gelu_pytorch_tanh", "attention_bias": False, "tie_word_embeddings": True,
          "rope_theta": 100000.0, "rope_local_base_freq": 300.0,
          "rope_scaling": {"rope_type": "linear", "factor": 4.0}, "pad_token_id": 0}
del GEMMA3["hidden_act"]
# Two value heads to a key head; gates, and half of each head rotated.
QWEN35 = {**COMMON, "model_type": "qwen3_5_text", "architectures": ["Qwen3_5ForCausalLM"], "head_dim": 12,
          "num_hidden_layers": 3, "layer_types": ["linear_attention", "full_attention", "linear_attention"],
          "linear_num_key_heads": 2, "linear_num_value_heads": 4, "linear_key_head_dim": 6,
          "linear_value_head_dim": 8, "linear_conv_kernel_dim": 4, "tie_word_embeddings": True, "pad_token_id": 0,
          "rms_norm_eps": 1e-6, "attn_output_gate": True,
          "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.5,
                              "mrope_section": [1, 1, 1], "mrope_interleaved": True}}
PHI3_PART = {**PHI3, "head_dim": 12, "num_hidden_layers": 1, "partial_rotary_factor": 0.5, "sliding_window": None}

# name -> (config.json as on the hub, seed, dtype of the file, shard size, keep transformers' own config.json)
MODELS = {
    "llama": (LLAMA_TIED, 21, "float32", None, False),
    "llama-sharded": (LLAMA_TIED, 21, "float32", "30KB", False),
    # Wavelengths 6.3, 29.7, 140.5 and 664 tokens: one below, one inside and two above the interpolated band.
    "llama3-rope": (
        {**LLAMA, "tie_word_embeddings": False, "rope_theta": 500.0,
         "rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                          "original_max_position_embeddings": 64}},
        2, "float32", None, False),
    "llama-bias": (
        {**LLAMA, "tie_word_embeddings": False, "attention_bias": True, "mlp_bias": True, "rope_theta": 10000.0,
         "rope_scaling": {"rope_type": "linear", "factor": 4.0}},
        31, "float32", None, True),
    "qwen2": (QWEN2_TIED, 10, "float32", None, False),
    "qwen2-f16": (QWEN2_TIED, 10, "float16", None, False),
    # rope_scaling counts, rope_parameters beside it does not.
    "llama-yarn": (
        {**LLAMA, "num_hidden_layers": 1, "tie_word_embeddings": False, "rope_theta": 500.0,
         "rope_parameters": {"rope_type": "default", "rope_theta": 70.0},
         "rope_scaling": {"rope_type": "yarn", "factor": 8.0, "original_max_position_embeddings": 32}},
        5, "float32", None, False),
    # The configuration ties the head, the file has another one.
    "qwen2-own-head": ({**QWEN2_TIED, "num_hidden_layers": 1}, 13, "float32", None, False),
    "qwen3": (QWEN3_TIED, 24, "float32", None, False),
    "qwen3-bf16": (QWEN3_TIED, 24, "bfloat16", None, True),
    "mistral": (MISTRAL, 2, "float32", None, False),
    "ministral": (MINISTRAL, 1, "float32", None, True),
    "granite": (GRANITE, 12, "float32", None, False),
    "smollm3": (SMOLLM3, 2, "float32", None, False),
    "olmo2": (OLMO2, 6, "float32", None, False),
    "gemma": (GEMMA, 1, "float32", None, False),
    "gemma3": (GEMMA3, 19, "float32", None, False),
    "gemma3-own": (GEMMA3, 19, "float32", None, True),
    "qwen3_5": (QWEN35, 1, "float32", None, False),
    "phi3-part": (PHI3_PART, 1, "float32", None, False),
    "phi3": (PHI3, 1, "float32", None, False),
}


def randomise(model: torch.nn.Module, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in sorted(model.named_parameters()):
        noise = torch.randn(parameter.shape, generator=generator)
        if "norm" in name:
            parameter.data = 1 + 0.3 * noise
        else:
            parameter.data = (0.2 if "embed" in name or "lm_head" in name else 0.3) * noise


def significant(values: torch.Tensor, digits: int):
    """Nested lists of floats with so many significant digits."""
    if values.ndim == 0:
        return float(f"{values.item():.{digits}g}")
    return [significant(value, digits) for value in values]


@torch.no_grad()
def greedy(model, ids: torch.Tensor) -> tuple[list[int], float]:
    """Plain greedy decoding without a cache, and the smallest margin of any choice."""
    margin = float("inf")
    for _ in range(NEW_TOKENS):
        best = model(ids, use_cache=False).logits[0, -1].topk(2)
        margin = min(margin, (best.values[0] - best.values[1]).item())
        ids = torch.cat([ids, best.indices[:1][None]], dim=1)
    return ids[0, -NEW_TOKENS:].tolist(), margin


@torch.no_grad()
def write(name: str) -> None:
    config, seed, dtype, shard_size, own_config = MODELS[name]
    folder = OUT / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder)).float()
    randomise(model, seed)
    if name == "qwen2-own-head":
        generator = torch.Generator().manual_seed(seed + 1000)
        model.lm_head.weight = torch.nn.Parameter(0.2 * torch.randn(model.lm_head.weight.shape, generator=generator))
    model.to(getattr(torch, dtype)).save_pretrained(folder, **({"max_shard_size": shard_size} if shard_size else {}))
    (folder / "generation_config.json").unlink(missing_ok=True)
    if not own_config:
        hub = {**config, "torch_dtype": dtype}
        (folder / "config.json").write_text(json.dumps(hub, indent=2) + "\n")

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    ids = torch.randint(0, config["vocab_size"], (ROWS, TOKENS), generator=torch.Generator().manual_seed(100 + seed))
    logits = model(ids).logits
    assert logits.dtype == torch.float32 and 1 < logits.std() < 100, logits.std()
    exact = model.double()(ids).logits
    error = ((exact - logits).abs().max() / exact.abs().max()).item()
    model.float()
    decoded = [greedy(model, row[None]) for row in ids]
    margin = min(m for _, m in decoded)
    distinct = min(len(set(row)) for row, _ in decoded)
    assert margin > 5e-3 and distinct >= 8, f"{name}: margin {margin}, {distinct} distinct: choose another seed"
    golden = {"ids": ids.tolist(), "logits": significant(logits, 7), "greedy": [row for row, _ in decoded],
              "margin": float(f"{margin:.3g}")}
    (folder / "logits.json").write_text(json.dumps(golden, separators=(",", ":")) + "\n")
    size = sum(f.stat().st_size for f in folder.iterdir())
    print(f"{name:14} {size / 1e3:6.1f} kB  logits std {logits.std():.2f}  float32 error {error:.1e}  margin {margin:.3f}")


if __name__ == "__main__":
    torch.set_num_threads(2)
    for name in sys.argv[1:] or MODELS:
        write(name)
