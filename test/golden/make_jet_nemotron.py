"""A tiny random Jet-Nemotron and what PyTorch computes with it: test/golden/models/jet_nemotron/.

The folder is as make_models.py describes its own (config.json, model.safetensors, logits.json), with a config.json
like the released ones: no head_dim, layer_types as a list, norm_eps as a string, an expand_v whose products are a
little above whole numbers, and fields that mean nothing to us.

NVIDIA's modelling code needs CUDA kernels and a fork of transformers. The model is composed here from independent
parts instead: attention, rotation, norms and MLP are transformers' Qwen2 classes (the sliding window is a mask), the
linear layers are make_mixers.JetBlock on flash-linear-attention's naive gated delta rule. The names of the modules
are those of NVIDIA's, so that the state dict is the checkpoint. Everything is computed in float64, but for the float32
that transformers' norms and softmax insist on.

Run from the repository root with the environment of make_mixers.py, deterministic:

    ~/postnas-venv/bin/python test/golden/make_jet_nemotron.py
"""

import json
from types import SimpleNamespace

import torch
from fla.models.utils import Cache
from make_mixers import JetBlock
from make_models import OUT, ROWS, TOKENS, greedy, randomise, significant
from safetensors.torch import load_file, save_file
from transformers import Qwen2Config
from transformers.models.qwen2.modeling_qwen2 import Qwen2Attention, Qwen2MLP, Qwen2RMSNorm, Qwen2RotaryEmbedding

SEED = 5
CONFIG = {
    "architectures": ["JetNemotronForCausalLM"],
    "attention_dropout": 0.0,
    "auto_map": {
        "AutoConfig": "configuration_jet_nemotron.JetNemotronConfig",
        "AutoModelForCausalLM": "modeling_jet_nemotron.JetNemotronForCausalLM",
    },
    "bos_token_id": 1,
    "efficient_attention_config": {
        "jet": {
            "conv_size": 4,
            "dconv_generator_reduction": 8,
            "dconv_implementation": "triton",
            "expand_v": 2.6666666667,
            "head_dim": 9,
            "mode": "chunk",
            "norm_eps": "1e-5",
            "num_heads": 2,
        },
        "swa": {"window_size": 7},
    },
    "eos_token_id": 2,
    "hidden_act": "silu",
    "hidden_size": 24,
    "initializer_range": 0.02,
    "intermediate_size": 32,
    "layer_types": ["jet", "swa", "jet", "attn"],
    "max_position_embeddings": 256,
    "max_window_layers": 4,
    "model_type": "jet_nemotron",
    "num_attention_heads": 3,
    "num_hidden_layers": 4,
    "num_key_value_heads": 1,
    "rms_norm_eps": 1e-06,
    "rope_scaling": None,
    "rope_theta": 1000000.0,
    "tie_word_embeddings": True,
    "torch_dtype": "float32",
    "transformers_version": "4.51.3",
    "use_cache": True,
    "use_mrope": False,
    "vocab_size": 64,
}


def qwen2_config() -> Qwen2Config:
    names = ("hidden_size", "intermediate_size", "num_attention_heads", "num_key_value_heads", "num_hidden_layers",
             "hidden_act", "rms_norm_eps", "rope_theta", "max_position_embeddings", "vocab_size")
    config = Qwen2Config(**{name: CONFIG[name] for name in names})
    config._attn_implementation = "eager"
    return config


def causal_mask(tokens: int, window: int | None) -> torch.Tensor:
    """0 where a query may see a key, minus infinity elsewhere: keys i - window + 1 to i for query i. [1, 1, T, T]"""
    query, key = torch.arange(tokens)[:, None], torch.arange(tokens)[None]
    seen = (key <= query) if window is None else (key <= query) & (key > query - window)
    return torch.zeros(tokens, tokens, dtype=torch.float64).masked_fill(~seen, float("-inf"))[None, None]


class Layer(torch.nn.Module):
    def __init__(self, config: Qwen2Config, layer: int):
        super().__init__()
        self.kind = CONFIG["layer_types"][layer]
        jet = CONFIG["efficient_attention_config"]["jet"]
        if self.kind == "jet":
            sizes = ("num_heads", "head_dim", "expand_v", "conv_size", "dconv_generator_reduction")
            self.self_attn = JetBlock(config.hidden_size, **{name: jet[name] for name in sizes},
                                      norm_eps=float(jet["norm_eps"]))
        else:
            self.self_attn = Qwen2Attention(config, layer)
        self.mlp = Qwen2MLP(config)
        self.input_layernorm = Qwen2RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.post_attention_layernorm = Qwen2RMSNorm(config.hidden_size, config.rms_norm_eps)

    def mix(self, x, rotation):
        if self.kind == "jet":
            return self.self_attn(x, Cache(), False)[0]
        window = CONFIG["efficient_attention_config"]["swa"]["window_size"] if self.kind == "swa" else None
        return self.self_attn(x, position_embeddings=rotation, attention_mask=causal_mask(x.shape[1], window))[0]

    def forward(self, x, rotation):
        x = x + self.mix(self.input_layernorm(x), rotation)
        return x + self.mlp(self.post_attention_layernorm(x))


class JetNemotron(torch.nn.Module):
    def __init__(self):
        super().__init__()
        config = qwen2_config()
        self.model = torch.nn.Module()
        self.model.embed_tokens = torch.nn.Embedding(config.vocab_size, config.hidden_size)
        self.model.layers = torch.nn.ModuleList(Layer(config, i) for i in range(config.num_hidden_layers))
        self.model.norm = Qwen2RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.rotary = Qwen2RotaryEmbedding(config)

    def forward(self, ids, use_cache=False):
        x = self.model.embed_tokens(ids)
        rotation = self.rotary(x, torch.arange(ids.shape[1])[None])
        for layer in self.model.layers:
            x = layer(x, rotation)
        return SimpleNamespace(logits=self.model.norm(x) @ self.model.embed_tokens.weight.T)


def parameters(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in model.state_dict().items() if not name.startswith("rotary")}


@torch.no_grad()
def write() -> None:
    folder = OUT / "jet_nemotron"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(CONFIG, indent=2) + "\n")
    model = JetNemotron()
    randomise(model, SEED)
    for layer in model.model.layers:
        if layer.kind == "jet":  # one head forgets within a few tokens, the other hardly
            layer.self_attn.A_log.data = torch.tensor([1.5, -1.5])
            layer.self_attn.dt_bias.data = torch.tensor([0.5, -2.0])
    save_file(parameters(model.float()), folder / "model.safetensors", metadata={"format": "pt"})

    model = JetNemotron().eval()
    missing, unexpected = model.load_state_dict(load_file(folder / "model.safetensors"), strict=False)
    assert not unexpected and all(name.startswith("rotary") for name in missing)
    model.double()
    ids = torch.randint(0, CONFIG["vocab_size"], (ROWS, TOKENS), generator=torch.Generator().manual_seed(100 + SEED))
    logits = model(ids).logits
    decoded = [greedy(model, row[None]) for row in ids]
    margin = min(m for _, m in decoded)
    distinct = min(len(set(row)) for row, _ in decoded)
    # Without a part the logits have to be others, or it would not be tested.
    for name, parameter in model.named_parameters():
        kept = parameter.data.clone()
        parameter.data *= 0.5
        change = (model(ids).logits - logits).abs().max() / logits.abs().max()
        assert change > 1e-3, f"{name} shows in the logits by {change} only"
        parameter.data = kept
    assert 1 < logits.std() < 100 and margin > 5e-3 and distinct >= 8, f"{margin=} {distinct=}: choose another seed"
    golden = {"ids": ids.tolist(), "logits": significant(logits, 7), "greedy": [row for row, _ in decoded],
              "margin": float(f"{margin:.3g}")}
    (folder / "logits.json").write_text(json.dumps(golden, separators=(",", ":")) + "\n")
    print(f"logits std {logits.std():.2f}  margin {margin:.3f}  distinct {distinct}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    write()
