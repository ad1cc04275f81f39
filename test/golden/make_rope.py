"""What `transformers` makes of the ways in which a config.json speaks of rotary position encoding: rope.json.

Independent reference for src/model/rope-config.ts and src/mixers/rope.ts. For each case

    {"config": fields beside COMMON, "inv_freq": [head_dim / 2], "magnitude": factor of cosines and sines}

as LlamaRotaryEmbedding has them, or {"config", "error": the message} where transformers refuses it.

Run from the repository root, deterministic (torch 2.15.0, transformers 5.24.0):

    python3 -m venv ~/postnas-venv
    ~/postnas-venv/bin/pip install torch==2.15.0 transformers==5.24.0
    ~/postnas-venv/bin/python test/golden/make_rope.py
"""

import json
import tempfile
from pathlib import Path

from transformers import AutoConfig
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

OUT = Path(__file__).parent / "rope.json"
COMMON = {
    "model_type": "llama",
    "vocab_size": 64,
    "hidden_size": 64,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "max_position_embeddings": 1024,
}
DEFAULT = {"rope_type": "default", "rope_theta": 5000.0}
LINEAR = {"rope_type": "linear", "factor": 2.0}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 256}
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 64}

CASES = {
    "nothing": {},
    "theta alone": {"rope_theta": 500.0},
    "parameters": {"rope_parameters": DEFAULT},
    "theta in both places": {"rope_parameters": DEFAULT, "rope_theta": 500.0},
    "theta outside of the parameters": {"rope_parameters": {"rope_type": "default"}, "rope_theta": 500.0},
    "linear beside default": {"rope_parameters": DEFAULT, "rope_scaling": LINEAR},
    "linear beside default, theta outside": {"rope_parameters": DEFAULT, "rope_scaling": LINEAR, "rope_theta": 500.0},
    "linear with a theta beside default": {"rope_parameters": DEFAULT, "rope_scaling": {**LINEAR, "rope_theta": 70.0}},
    "yarn beside default": {"rope_parameters": DEFAULT, "rope_scaling": YARN},
    "llama3 beside linear": {"rope_parameters": LINEAR, "rope_scaling": LLAMA3},
    "scaling null beside linear": {"rope_parameters": LINEAR, "rope_scaling": None},
    "scaling empty beside linear": {"rope_parameters": LINEAR, "rope_scaling": {}},
    "parameters empty": {"rope_parameters": {}, "rope_theta": 500.0},
    "type and rope_type": {"rope_scaling": {"type": "linear", "rope_type": "default", "factor": 2.0}},
    "type alone": {"rope_scaling": {"type": "linear", "factor": 2.0}},
    "linear without a factor": {"rope_scaling": {"type": "linear"}},
    "llama3": {"rope_theta": 500.0, "rope_scaling": LLAMA3},
    "llama3, original context outside": {
        "rope_theta": 500.0, "rope_scaling": LLAMA3, "original_max_position_embeddings": 128},
    "llama3, original context left out": {
        "rope_theta": 500.0, "rope_scaling": {k: v for k, v in LLAMA3.items() if not k.startswith("original")}},
    "yarn": {"rope_parameters": {**YARN, "rope_theta": 500.0}},
    "yarn, original context left out": {"rope_scaling": {"rope_type": "yarn", "factor": 4.0}, "rope_theta": 500.0},
    "yarn, original context outside": {"rope_scaling": YARN, "original_max_position_embeddings": 128},
    "yarn, attention factor": {"rope_scaling": {**YARN, "attention_factor": 0.75}},
    "yarn, betas": {"rope_scaling": {**YARN, "beta_fast": 16.0, "beta_slow": 2.0}},
    "yarn, betas of zero": {"rope_scaling": {**YARN, "beta_fast": 0, "beta_slow": 0}},
    "yarn, mscale": {"rope_scaling": {**YARN, "mscale": 0.707, "mscale_all_dim": 1.5}},
    "yarn, one mscale": {"rope_scaling": {**YARN, "mscale": 0.707}},
    "yarn, not truncated": {"rope_scaling": {**YARN, "truncate": False}},
    "yarn, narrow": {"rope_scaling": {**YARN, "beta_fast": 4, "beta_slow": 4}},
    "yarn, factor null": {"rope_scaling": {**YARN, "factor": None}},
    "yarn, factor below one": {"rope_scaling": {**YARN, "factor": 0.5}},
    "yarn without a factor": {"rope_scaling": {"rope_type": "yarn", "original_max_position_embeddings": 256}},
    "keys of other types": {"rope_scaling": {**LINEAR, "beta_fast": 8, "low_freq_factor": 1.0}},
    "an unknown kind": {"rope_scaling": {"rope_type": "spiral", "factor": 2.0}},
}


def outcome(fields: dict) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "config.json").write_text(json.dumps({**COMMON, **fields}))
        try:
            rope = LlamaRotaryEmbedding(AutoConfig.from_pretrained(folder))
        except Exception as error:
            return {"config": fields, "error": f"{type(error).__name__}: {error}"}
    return {
        "config": fields,
        "inv_freq": [float(f"{x:.7g}") for x in rope.inv_freq.double().tolist()],
        "magnitude": float(rope.attention_scaling),
    }


result = {name: outcome(fields) for name, fields in CASES.items()}
lines = ",\n".join(f"    {json.dumps(name)}: {json.dumps(case)}" for name, case in result.items())
OUT.write_text("{\n" + f'  "common": {json.dumps(COMMON)},\n  "cases": {{\n' + lines + "\n  }\n}\n")
