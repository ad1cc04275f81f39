"""Golden values of the linear-attention blocks, from flash-linear-attention's own code (fla-core, MIT).

Independent reference for src/mixers. Two levels:

* `op`: the naive recurrence (`fla.ops.<mechanism>.naive`), i.e. the definition, on given q, k, v, gates.
* `layer`: the real `fla.layers` class with its own forward code. Its Triton kernels need a GPU, so that the names
  of the kernels inside the layer's module are bound to the naive recurrence, and short convolution and norms to
  plain torch (`fla_in_double` below). Projections, reshapes, gates and order of operations are FLA's.
  `--kernels` checks the written layers against the *unpatched* classes, run by Triton's CPU interpreter.

All is computed in float64 (FLA's naive functions with float32 replaced by float64 in their source).

One JSON file per case, test/golden/mixers/<kind>-<case>.json:

    {
      "kind", "case", "level": "op" | "layer",
      "source":   what ran, with versions
      "config":   numbers of the case; for layers the arguments of the FLA class
      "inputs":   { name: tensor }    op: q, k [B,T,H,K], v [B,T,H,V], gates, see below; layer: x [B,T,D]
      "params":   { name: tensor }    layer only; FLA's state-dict names, matrices as [out, in]
      "initial":  { name: tensor }    state before the first token; absent: zero state
      "weights":  tensor              shaped as the output; the loss below is sum(output * weights)
      "output":   tensor              op: o [B,T,H,V]; layer: [B,T,D]
      "final":    { name: tensor }    state after the last token, names and layouts as in "initial"
      "grads":    { "inputs": {...}, "params": {...}, "initial": {...} }   of the loss, shaped as the tensors
    }

    tensor: { "shape": [...], "data": [flat, row major], "scale"?: s }    value = data * s (s = 1 if absent)

Given tensors (inputs, params, initial, weights) are integers times a power of two, hence exact in float32; computed
ones (output, final, grads) have 8 significant digits. Letters: B batch, T tokens, H heads, K key width, V value
width, D model width, W convolution taps. States: `recurrent` [B,H,K,V]; `conv_q`, `conv_k`, `conv_v`, `conv`
[B,channels,W-1], the inputs of the convolution (before it, no activation) of the last W-1 tokens, oldest first;
`shift` [B,D], the last x (RWKV7). RetNet's `config.position` is the number of tokens before the first one. Arguments
not in `config` have FLA's defaults: eps of the norms 1e-5 (RWKV7's group norm: 1e-5 times head_dim), of the l2 norms
1e-6 inside the root, GLA's gate log-sigmoid / 16, RetNet's rotation base 10000.

Inputs of the op level beside q, k [B,T,H,K] and v [B,T,H,V]; decays are in log space:

    gla             gk [B,T,H,K]
    deltanet        beta [B,T,H]
    gated_deltanet  beta, g [B,T,H]
    kda             beta [B,T,H], g [B,T,H,K]
    mamba2          g [B,T,H]: the scalar-decay recurrence with k = B, q = C, v = dt x, g = dt A, no query scale
    rwkv7           r for q, w [B,T,H,K] the decay, a = -kappa, b = kappa * gate [B,T,H,K], no query scale

Queries come unscaled: but for the last two the recurrence multiplies them by K^-0.5. q and k of the delta rules and
RWKV7's kappa are unit vectors rounded to 1/256. Cases: `op-70` crosses a chunk of 64; `op-strong` has log decays down
to -20 a token in one head and mild ones in the other; `layer-37` starts from a non-zero state with batch 2; `layer-70`
starts from zero. rwkv7-layer-37 is a later layer (`layer_idx` 1) with the first layer's values as input `v_first`.

jet_block is not part of flash-linear-attention: its layer is composed here (class JetBlock) from FLA's naive gated
delta rule and plain torch, with the parameter names of NVIDIA's code. Mamba2's layer has a plain torch form of its
own, which runs in chunks of 16 from the zero state and token by token from another.

Run from the repository root, deterministic; needs no GPU:

    python3 -m venv ~/postnas-venv
    ~/postnas-venv/bin/pip install torch==2.15.0 fla-core==0.6.0 flash-linear-attention==0.6.0 transformers==5.23.0
    ~/postnas-venv/bin/python test/golden/make_mixers.py [kind ...]
    TRITON_INTERPRET=1 ~/postnas-venv/bin/python test/golden/make_mixers.py --kernels [kind ...]
"""

import importlib
import importlib.metadata
import inspect
import json
import re
import sys
import textwrap
from collections.abc import Callable
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import torch
import torch.nn.functional as F
from fla.models.utils import Cache
from fla.layers.mamba2 import Mamba2
from fla.modules import FusedRMSNormGated, RMSNorm, RotaryEmbedding, ShortConvolution
from fla.modules.norm.layernorm_gated import RMSNormGated

OUT = Path(__file__).parent / "mixers"
Tensors = dict[str, torch.Tensor]


# --- numbers that are exact in float32 and short in JSON ---------------------------------------------------------


class Draw:
    """Random tensors on a grid of powers of two."""

    def __init__(self, seed: int):
        self.generator = torch.Generator().manual_seed(seed)

    def normal(self, *shape: int, std: float = 1.0, mean: float = 0.0, grid: float = 2**-8) -> torch.Tensor:
        return snap(mean + std * torch.randn(*shape, generator=self.generator, dtype=torch.float64), grid)

    def uniform(self, *shape: int, low: float, high: float, grid: float = 2**-8) -> torch.Tensor:
        return snap(low + (high - low) * torch.rand(*shape, generator=self.generator, dtype=torch.float64), grid)


def snap(x: torch.Tensor, grid: float = 2**-8) -> torch.Tensor:
    return torch.round(x / grid) * grid


def given(x: torch.Tensor) -> dict:
    """JSON of a tensor whose entries are integers times a power of two."""
    scale = 2.0**-12
    integers = x / scale
    assert torch.equal(integers, integers.round()), "not on the grid"
    while scale < 1 and torch.equal(integers / 2, (integers / 2).round()):
        integers, scale = integers / 2, scale * 2
    return {"shape": list(x.shape), "scale": scale, "data": [int(v) for v in integers.flatten().tolist()]}


def computed(x: torch.Tensor) -> dict:
    assert x.dtype == torch.float64 and x.isfinite().all()
    return {"shape": list(x.shape), "data": [float(f"{v:.8g}") for v in x.detach().flatten().tolist()]}


def value(tensor: dict) -> torch.Tensor:
    data = torch.tensor(tensor["data"], dtype=torch.float64) * tensor.get("scale", 1)
    return data.reshape(tensor["shape"])


# --- FLA on the CPU in float64 -----------------------------------------------------------------------------------


def in_double(function: Callable) -> Callable:
    """A naive FLA function with its casts to float32 made casts to float64."""
    source = textwrap.dedent(inspect.getsource(function)).replace(".float()", ".double()")
    source = re.sub(r"torch\.float(32)?\b", "torch.float64", source)
    module = importlib.import_module(function.__module__)
    namespace = dict(vars(module))
    exec(source, namespace)  # the installed package's own source
    return namespace[function.__name__]


def naive(path: str) -> Callable:
    module, name = path.rsplit(".", 1)
    return in_double(getattr(importlib.import_module(module), name))


def causal_conv(x, weight, bias=None, activation=None, initial_state=None, output_final_state=False, **_):
    """Depthwise causal convolution, x [B,T,D], weight [D,W], state [B,D,W] (FLA's: the oldest entry is never read)."""
    taps = weight.shape[-1]
    past = x.new_zeros(x.shape[0], x.shape[2], taps) if initial_state is None else initial_state
    padded = torch.cat([past, x.transpose(1, 2)], dim=-1)
    y = F.conv1d(padded[..., 1:], weight[:, None], bias, groups=weight.shape[0]).transpose(1, 2)
    y = F.silu(y) if activation in ("silu", "swish") else y
    return y, padded[..., -taps:] if output_final_state else None


def conv_forward(self, x, cache=None, output_final_state=False, **_):
    return causal_conv(x, self.weight[:, 0], self.bias, self.activation, cache, output_final_state)


def rms_norm_forward(self, x):
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.eps) * self.weight


def gated_rms_norm_forward(self, x, g):
    gate = torch.sigmoid(g) if self.activation == "sigmoid" else F.silu(g)
    return rms_norm_forward(self, x) * gate


def turned(state, state_v_first: bool):
    """[B,H,K,V] to and from the [B,H,V,K] that FLA's layers keep."""
    return state.transpose(-1, -2) if state is not None and state_v_first else state


def l2_normalised(x: torch.Tensor) -> torch.Tensor:
    return x * torch.rsqrt(x.square().sum(-1, keepdim=True) + 1e-6)


def gla_kernel(q, k, v, g=None, gk=None, initial_state=None, output_final_state=False, state_v_first=False, **_):
    o, state = naive("fla.ops.gla.naive.naive_recurrent_gla")(
        q, k, v, gk if g is None else g, turned(initial_state, state_v_first), output_final_state)
    return o, turned(state, state_v_first)


def gated_delta_kernel(q, k, v, g, beta, A_log, dt_bias, initial_state=None, output_final_state=False,
                       state_v_first=False, use_qk_l2norm_in_kernel=False, use_gate_in_kernel=False,
                       use_beta_sigmoid_in_kernel=False, allow_neg_eigval=False, **_):
    assert use_qk_l2norm_in_kernel and use_gate_in_kernel and use_beta_sigmoid_in_kernel and not allow_neg_eigval
    g = naive("fla.ops.gated_delta_rule.gate.naive_gdn_gate")(g, A_log, dt_bias, output_dtype=torch.float64)
    o, state = naive("fla.ops.gated_delta_rule.naive.naive_recurrent_gated_delta_rule")(
        l2_normalised(q), l2_normalised(k), v, beta.sigmoid(), g,
        initial_state=turned(initial_state, state_v_first), output_final_state=output_final_state)
    return o, turned(state, state_v_first)


def retention_kernel(q, k, v, initial_state=None, output_final_state=False, **_):
    heads = torch.arange(q.shape[2], dtype=torch.float64)
    g = torch.log1p(-torch.exp2(-5 - heads)).expand(q.shape[:3])
    recurrent = naive("fla.ops.simple_gla.naive.naive_recurrent_simple_gla")
    if initial_state is None:
        parallel = naive("fla.ops.retention.naive.naive_retention")(*(x.transpose(1, 2) for x in (q, k, v)))
        torch.testing.assert_close(parallel.transpose(1, 2), recurrent(q, k, v, g)[0])
    return recurrent(q, k, v, g, initial_state=initial_state, output_final_state=output_final_state)


def delta_kernel(q, k, v, beta, initial_state=None, output_final_state=False, use_qk_l2norm_in_kernel=False, **_):
    assert use_qk_l2norm_in_kernel
    q, k, v, beta = (x.transpose(1, 2) for x in (l2_normalised(q), l2_normalised(k), v, beta))
    o, state = naive("fla.ops.delta_rule.naive.delta_rule_recurrence")(q, k, v, beta, initial_state, output_final_state)
    return o.transpose(1, 2), state


def kda_kernel(q, k, v, g, beta, A_log, dt_bias, initial_state=None, output_final_state=False, state_v_first=False,
               use_qk_l2norm_in_kernel=False, use_gate_in_kernel=False, use_beta_sigmoid_in_kernel=False,
               allow_neg_eigval=False, lower_bound=None, **_):
    assert use_qk_l2norm_in_kernel and use_gate_in_kernel and use_beta_sigmoid_in_kernel
    assert not allow_neg_eigval and lower_bound is None
    g = naive("fla.ops.kda.gate.naive_kda_gate")(g, A_log, dt_bias, output_dtype=torch.float64)
    o, state = naive("fla.ops.kda.naive.naive_recurrent_kda")(
        l2_normalised(q), l2_normalised(k), v, g, beta.sigmoid(),
        initial_state=turned(initial_state, state_v_first), output_final_state=output_final_state)
    return o, turned(state, state_v_first)


def rwkv7_kernel(r, w, k, v, a, b, scale, initial_state=None, output_final_state=False, **_):
    assert scale == 1
    # The naive form scales its queries by K^-0.5.
    r, w, k, v, a, b = (x.transpose(1, 2) for x in (r * r.shape[-1] ** 0.5, w, k, v, a, b))
    o, state = naive("fla.ops.generalized_delta_rule.dplr.naive.dplr_recurrence")(
        r, k, v, a, b, w, initial_state, output_final_state)
    return o.transpose(1, 2), state


def token_shift(x, cu_seqlens=None, cache=None, output_cache=False):
    before = x.new_zeros(x.shape[0], x.shape[2]) if cache is None else cache
    delta = torch.cat([before.reshape(x.shape[0], 1, -1), x[:, :-1]], dim=1) - x
    return (delta, x[:, -1:]) if output_cache else delta


def rotary_forward(self, q, k, seqlen_offset=0, **_):
    """Rotation of halves (not interleaved pairs) at absolute positions."""
    assert not self.interleaved and self.scale_base is None
    half = q.shape[-1] // 2
    inverse = float(self.base) ** (-torch.arange(half, dtype=torch.float64) / half)
    angle = torch.outer(torch.arange(seqlen_offset, seqlen_offset + q.shape[1], dtype=torch.float64), inverse)[:, None]

    def rotate(x):
        x1, x2 = x[..., :half], x[..., half:]
        return torch.cat([x1 * angle.cos() - x2 * angle.sin(), x2 * angle.cos() + x1 * angle.sin()], dim=-1)

    return rotate(q), rotate(k)


def mamba_norm_forward(self, x, z=None):
    return naive("fla.modules.norm.layernorm_gated.rms_norm_ref")(
        x, self.weight, self.bias, z, self.eps, self.group_size, self.norm_before_gate)


# Names inside FLA's modules and what stands for them.
FLA_IN_DOUBLE = {
    "fla.layers.gla.chunk_gla": gla_kernel,
    "fla.layers.gla.fused_recurrent_gla": gla_kernel,
    "fla.layers.gated_deltanet.chunk_gated_delta_rule": gated_delta_kernel,
    "fla.layers.gated_deltanet.fused_recurrent_gated_delta_rule": gated_delta_kernel,
    "fla.layers.gated_deltanet.causal_conv1d": causal_conv,
    "fla.layers.multiscale_retention.chunk_retention": retention_kernel,
    "fla.layers.delta_net.chunk_delta_rule": delta_kernel,
    "fla.layers.delta_net.fused_recurrent_delta_rule": delta_kernel,
    "fla.layers.kda.chunk_kda": kda_kernel,
    "fla.layers.rwkv7.chunk_rwkv7": rwkv7_kernel,
    "fla.layers.rwkv7.token_shift": token_shift,
    "fla.layers.rwkv7.fused_addcmul_rwkv7": naive("fla.ops.rwkv7.fused_addcmul.torch_addcmul_rwkv7"),
    "fla.layers.rwkv7.fused_k_rwkv7": naive("fla.ops.rwkv7.fused_k_update.k_update_ref"),
    "fla.layers.rwkv7.gate_output_correction": naive(
        "fla.ops.rwkv7.gate_output_correction.gate_output_correction_ref"),
}
FORWARDS_IN_DOUBLE = {
    ShortConvolution: conv_forward,
    RMSNorm: rms_norm_forward,
    FusedRMSNormGated: gated_rms_norm_forward,
    RotaryEmbedding: rotary_forward,
    RMSNormGated: mamba_norm_forward,
}


@contextmanager
def fla_in_double():
    with ExitStack() as stack:
        for path, stand_in in FLA_IN_DOUBLE.items():
            stack.enter_context(mock.patch(path, stand_in))
        for module, stand_in in FORWARDS_IN_DOUBLE.items():
            stack.enter_context(mock.patch.object(module, "forward", stand_in))
        # Mamba2 brings its own plain torch form: chunks for a prompt, a step for one cached token.
        stack.enter_context(mock.patch.object(Mamba2, "torch_forward", in_double(Mamba2.torch_forward)))
        yield


# --- cases -------------------------------------------------------------------------------------------------------


def write(kind: str, case: str, level: str, source: str, config: dict, run: Callable, inputs: Tensors, params: Tensors,
          initial: Tensors | None, draw: Draw) -> None:
    """Runs (inputs, params, initial) -> (output, final), differentiates it and writes the case."""
    groups = {"inputs": inputs, "params": params, "initial": initial or {}}
    groups = {g: {n: t.clone().requires_grad_() for n, t in tensors.items()} for g, tensors in groups.items()}
    output, final = run(groups["inputs"], groups["params"], groups["initial"] if initial else None)
    weights = draw.normal(*output.shape, grid=2**-4)
    (output * weights).sum().backward()
    versions = " ".join(f"{p} {importlib.metadata.version(p)}" for p in ("fla-core", "torch"))
    golden = {"kind": kind, "case": case, "level": level, "source": f"{source} in float64, {versions}", "config": config,
              **{g: {n: given(t.detach()) for n, t in tensors.items()} for g, tensors in groups.items() if tensors},
              "weights": given(weights), "output": computed(output),
              "final": {n: computed(t) for n, t in final.items()},
              "grads": {g: {n: computed(t.grad) for n, t in tensors.items()} for g, tensors in groups.items() if tensors}}
    file = OUT / f"{kind}-{case}.json"
    file.write_text(json.dumps(golden, separators=(",", ":")) + "\n")
    largest = max(t.grad.abs().max().item() for tensors in groups.values() for t in tensors.values())
    print(f"{file.name:34} {file.stat().st_size / 1e3:6.1f} kB  output std {output.std():.3f}  largest grad {largest:.2f}")


def write_op(kind: str, case: str, path: str, shape: dict, make_inputs: Callable, seed: int, call: Callable) -> None:
    draw = Draw(seed)
    B, H, K, V = (shape[letter] for letter in "BHKV")
    inputs = make_inputs(draw, **shape)
    function = naive(path)

    def run(inputs, _params, initial):
        output, state = call(function, inputs, initial["recurrent"])
        return output, {"recurrent": state}

    write(kind, case, "op", path, shape, run, inputs, {}, {"recurrent": draw.normal(B, H, K, V, grid=2**-6)}, draw)


@dataclass(frozen=True)
class Layout:
    """How a layer keeps its state in FLA's cache."""

    v_first: bool = False  # recurrent state [B,H,V,K]
    convs: tuple[str, ...] = ()  # names here of the tensors in conv_state
    single: bool = False  # conv_state is the tensor itself, not a tuple
    steps: bool = False  # with a state the layer takes one token at a time


QKV = ("conv_q", "conv_k", "conv_v")
LAYOUTS = {
    "gla": Layout(v_first=True),
    "gated_deltanet": Layout(v_first=True, convs=QKV),
    "retnet": Layout(),
    "deltanet": Layout(convs=QKV),
    "kda": Layout(v_first=True, convs=QKV),
    "mamba2": Layout(v_first=True, convs=("conv",), single=True, steps=True),
    "rwkv7": Layout(convs=("shift",), single=True),
    "jet_block": Layout(convs=("conv_v",)),
}


def layer_cache(initial: Tensors, layout: Layout, layer_idx: int, position: int) -> Cache:
    """FLA's cache holding these states; convolution states there have W entries, of which the oldest is never read."""
    cache = Cache()
    convs = [initial[n] if n == "shift" else F.pad(initial[n], (1, 0)) for n in layout.convs if n in initial]
    cache.update(recurrent_state=turned(initial["recurrent"], layout.v_first).contiguous(),
                 conv_state=(convs[0] if layout.single else tuple(convs)) if convs else None,
                 layer_idx=layer_idx, offset=position)
    return cache


def layer_final(state: dict, layout: Layout) -> Tensors:
    final = {"recurrent": turned(state["recurrent_state"], layout.v_first)}
    convs = state["conv_state"]
    for name, conv in zip(layout.convs, () if convs is None else [convs] if layout.single else convs, strict=False):
        final[name] = conv.reshape(conv.shape[0], -1) if name == "shift" else conv[..., 1:]
    return final


def run_layer(kind: str, layer: torch.nn.Module, inputs: Tensors, initial: Tensors | None, config: dict,
              piece: int | None = None) -> tuple[torch.Tensor, Tensors]:
    """Output and final state of a layer, the tokens given at once or in pieces through its cache."""
    layout, layer_idx = LAYOUTS[kind], config.get("layer_idx", 0)
    cache = layer_cache(initial, layout, layer_idx, config.get("position", 0)) if initial else Cache()
    T = inputs["x"].shape[1]
    if layout.steps:
        piece = 1 if initial else None
    outputs = []
    for start in range(0, T, piece or T):
        x, *_ = (part := {n: t[:, start:start + (piece or T)] for n, t in inputs.items()}).values()
        extra = {n: t for n, t in part.items() if n != "x"}
        outputs.append(layer(x, past_key_values=cache, use_cache=True, **extra)[0])
    return torch.cat(outputs, dim=1), layer_final(cache[layer_idx], layout)


def default_param(draw: Draw, name: str, shape: torch.Size) -> torch.Tensor:
    if "norm" in name:
        return draw.normal(*shape, mean=1, std=0.3, grid=2**-6)
    if "conv1d" in name:
        return draw.normal(*shape, std=0.5, grid=2**-6)
    return draw.normal(*shape, std=1.0 / shape[-1] ** 0.5, grid=2**-8)


def layer_class(path: str) -> type:
    module, name = path.rsplit(".", 1)
    return globals()[name] if module == "make_mixers" else getattr(importlib.import_module(module), name)


# Numbers of a case that are not arguments of the class.
CASE_ONLY = ("B", "T", "position")


def make_layer(path: str, config: dict) -> torch.nn.Module:
    arguments = {"layer_idx": 0, **{n: v for n, v in config.items() if n not in CASE_ONLY}}
    return layer_class(path)(**arguments).eval()


def write_layer(kind: str, case: str, path: str, config: dict, seed: int, make_param: Callable,
                state_shapes: dict[str, tuple] | None, more_inputs: dict[str, int] | None = None) -> None:
    draw = Draw(seed)
    layer = make_layer(path, config).double()
    if isinstance(layer, Mamba2):
        layer.act = F.silu  # else a Triton kernel
    B, T = config["B"], config["T"]
    inputs = {"x": draw.normal(B, T, config["hidden_size"], grid=2**-4)}
    for name, width in (more_inputs or {}).items():
        inputs[name] = draw.normal(B, T, width, grid=2**-4)
    params = {}
    for n, parameter in layer.named_parameters():
        made = make_param(draw, n, parameter.shape)
        params[n] = default_param(draw, n, parameter.shape) if made is None else made
    initial = {n: draw.normal(*s, std=0.5, grid=2**-4) for n, s in state_shapes.items()} if state_shapes else None

    def run(inputs, params, initial):
        with fla_in_double():
            return torch.func.functional_call(Runner(kind, layer, config), {f"layer.{n}": p for n, p in params.items()},
                                              (inputs, initial))

    write(kind, case, "layer", path, config, run, inputs, params, initial, draw)


class Runner(torch.nn.Module):
    """run_layer as a module, so that functional_call can put the parameters in."""

    def __init__(self, kind: str, layer: torch.nn.Module, config: dict):
        super().__init__()
        self.kind, self.layer, self.config = kind, layer, config

    def forward(self, inputs, initial):
        return run_layer(self.kind, self.layer, inputs, initial, self.config)


# --- GLA ---------------------------------------------------------------------------------------------------------


def gla_inputs(low: tuple[float, float]):
    """Queries, keys, values and log decays uniform in (low[h], 0) for head h."""
    def make(draw: Draw, B: int, T: int, H: int, K: int, V: int) -> Tensors:
        gk = torch.stack([draw.uniform(B, T, K, low=low[h], high=0, grid=2**-6) for h in range(H)], dim=2)
        return {"q": draw.normal(B, T, H, K, grid=2**-4), "k": draw.normal(B, T, H, K, grid=2**-4),
                "v": draw.normal(B, T, H, V, grid=2**-4), "gk": gk}
    return make


def gla() -> None:
    path = "fla.ops.gla.naive.naive_recurrent_gla"

    def call(function, i, state):
        return function(i["q"], i["k"], i["v"], i["gk"], initial_state=state, output_final_state=True)

    write_op("gla", "op-70", path, dict(B=1, T=70, H=2, K=8, V=12), gla_inputs((-0.5, -0.05)), 11, call)
    write_op("gla", "op-strong", path, dict(B=2, T=70, H=2, K=3, V=4), gla_inputs((-20, -0.5)), 12, call)

    def param(draw: Draw, name: str, shape: torch.Size):
        # The gate divides its log-sigmoid by 16: a wide bias gives decays from none to e^-2 a token.
        return draw.normal(*shape, mean=-8, std=12, grid=2**-4) if name == "gk_proj.1.bias" else None

    config = dict(hidden_size=16, num_heads=2, expand_k=1.0, expand_v=1.5, gate_low_rank_dim=4)
    layer = "fla.layers.gla.GatedLinearAttention"
    write_layer("gla", "layer-37", layer, {**config, "B": 2, "T": 37}, 13, param, {"recurrent": (2, 2, 8, 12)})
    write_layer("gla", "layer-70", layer, {**config, "B": 1, "T": 70}, 14, param, None)


# --- Gated DeltaNet ----------------------------------------------------------------------------------------------


def delta_inputs(low: tuple[float, float]):
    def make(draw: Draw, B: int, T: int, H: int, K: int, V: int) -> Tensors:
        g = torch.stack([draw.uniform(B, T, low=low[h], high=0, grid=2**-6) for h in range(H)], dim=2)
        q, k = (snap(F.normalize(draw.normal(B, T, H, K), dim=-1)) for _ in range(2))
        return {"q": q, "k": k, "v": draw.normal(B, T, H, V, grid=2**-4),
                "beta": draw.uniform(B, T, H, low=0, high=1, grid=2**-6), "g": g}
    return make


def gated_deltanet() -> None:
    path = "fla.ops.gated_delta_rule.naive.naive_recurrent_gated_delta_rule"

    def call(function, i, state):
        return function(i["q"], i["k"], i["v"], i["beta"], i["g"], initial_state=state, output_final_state=True)

    write_op("gated_deltanet", "op-70", path, dict(B=1, T=70, H=2, K=8, V=12), delta_inputs((-0.5, -0.05)), 21, call)
    write_op("gated_deltanet", "op-strong", path, dict(B=2, T=70, H=2, K=3, V=4), delta_inputs((-20, -0.5)), 22, call)

    def param(_draw: Draw, name: str, _shape: torch.Size):
        # exp(A_log) is 16 in the first head, as large as FLA initialises it, and 1/4 in the second.
        if name == "A_log":
            return torch.tensor([2.75, -1.375], dtype=torch.float64)
        return torch.tensor([0.5, -2.0], dtype=torch.float64) if name == "dt_bias" else None

    config = dict(hidden_size=16, num_heads=2, head_dim=8, expand_v=1.5, conv_size=4)
    layer = "fla.layers.gated_deltanet.GatedDeltaNet"
    states = {"recurrent": (2, 2, 8, 12), "conv_q": (2, 16, 3), "conv_k": (2, 16, 3), "conv_v": (2, 24, 3)}
    write_layer("gated_deltanet", "layer-37", layer, {**config, "B": 2, "T": 37}, 23, param, states)
    write_layer("gated_deltanet", "layer-70", layer, {**config, "B": 1, "T": 70}, 24, param, None)
    without = {**config, "use_short_conv": False, "B": 1, "T": 20}
    write_layer("gated_deltanet", "layer-noconv", layer, without, 25, param, None)


# --- RetNet ------------------------------------------------------------------------------------------------------


def no_param(_draw: Draw, _name: str, _shape: torch.Size) -> None:
    return None


def retnet() -> None:
    config = dict(hidden_size=16, num_heads=2, expand_k=1.0, expand_v=1.5)
    layer = "fla.layers.multiscale_retention.MultiScaleRetention"
    later = {**config, "B": 2, "T": 37, "position": 5}
    write_layer("retnet", "layer-37", layer, later, 31, no_param, {"recurrent": (2, 2, 8, 12)})
    write_layer("retnet", "layer-70", layer, {**config, "B": 1, "T": 70}, 32, no_param, None)


# --- DeltaNet ----------------------------------------------------------------------------------------------------


def without_g(make: Callable) -> Callable:
    return lambda draw, **shape: {n: t for n, t in make(draw, **shape).items() if n != "g"}


def deltanet() -> None:
    def call(function, i, state):
        o, state = function(*(i[n].transpose(1, 2) for n in ("q", "k", "v", "beta")), initial_state=state)
        return o.transpose(1, 2), state

    write_op("deltanet", "op-70", "fla.ops.delta_rule.naive.delta_rule_recurrence", dict(B=1, T=70, H=2, K=6, V=8),
             without_g(delta_inputs((-1, -1))), 41, call)
    config = dict(hidden_size=16, num_heads=2, expand_k=1.0, expand_v=1.5, conv_size=4)
    states = {"recurrent": (2, 2, 8, 12), "conv_q": (2, 16, 3), "conv_k": (2, 16, 3), "conv_v": (2, 24, 3)}
    layer = "fla.layers.delta_net.DeltaNet"
    write_layer("deltanet", "layer-37", layer, {**config, "B": 2, "T": 37}, 42, no_param, states)
    write_layer("deltanet", "layer-70", layer, {**config, "B": 1, "T": 70}, 43, no_param, None)


# --- Mamba2 ------------------------------------------------------------------------------------------------------


def mamba2() -> None:
    def inputs(low):
        def make(draw: Draw, **shape: int) -> Tensors:
            made = gla_inputs(low)(draw, **shape)
            g = made.pop("gk")[..., 0].contiguous()
            return {**made, "g": g}
        return make

    def call(function, i, state):
        return function(i["q"], i["k"], i["v"], i["g"], scale=1.0, initial_state=state, output_final_state=True)

    path = "fla.ops.simple_gla.naive.naive_recurrent_simple_gla"
    write_op("mamba2", "op-70", path, dict(B=1, T=70, H=2, K=6, V=8), inputs((-0.5, -0.05)), 51, call)
    write_op("mamba2", "op-strong", path, dict(B=1, T=70, H=2, K=3, V=4), inputs((-20, -0.5)), 52, call)

    def param(draw: Draw, name: str, shape: torch.Size):
        if name == "A_log":
            return torch.tensor([2.75, 0.0], dtype=torch.float64)
        if name == "dt_bias":
            return torch.tensor([0.5, -2.0], dtype=torch.float64)
        return draw.normal(*shape, mean=1, std=0.5, grid=2**-6) if name == "D" else None

    def four_heads(draw: Draw, name: str, shape: torch.Size):
        made = param(draw, name, shape)
        return made.repeat(2) if name in ("A_log", "dt_bias") else made

    config = dict(hidden_size=12, expand=2, head_dim=12, state_size=8, n_groups=1, conv_kernel=4, chunk_size=16)
    states = {"recurrent": (2, 2, 8, 12), "conv": (2, 40, 3)}
    write_layer("mamba2", "layer-37", "fla.layers.mamba2.Mamba2", {**config, "B": 2, "T": 37}, 53, param, states)
    write_layer("mamba2", "layer-70", "fla.layers.mamba2.Mamba2", {**config, "B": 1, "T": 70}, 54, param, None)
    groups = {**config, "head_dim": 6, "state_size": 5, "n_groups": 2, "B": 1, "T": 20}
    states = {"recurrent": (1, 4, 5, 6), "conv": (1, 44, 3)}
    write_layer("mamba2", "layer-groups", "fla.layers.mamba2.Mamba2", groups, 55, four_heads, states)


# --- RWKV7 -------------------------------------------------------------------------------------------------------


def rwkv7() -> None:
    def inputs(draw: Draw, B: int, T: int, H: int, K: int, V: int) -> Tensors:
        kappa = snap(F.normalize(draw.normal(B, T, H, K), dim=-1))
        gate = draw.uniform(B, T, H, K, low=0, high=1, grid=2**-4)
        return {"r": draw.normal(B, T, H, K, grid=2**-4), "w": draw.uniform(B, T, H, K, low=-0.6, high=0, grid=2**-6),
                "k": draw.normal(B, T, H, K, grid=2**-4), "v": draw.normal(B, T, H, V, grid=2**-4),
                "a": -kappa, "b": kappa * gate}

    def call(_function, i, state):
        return rwkv7_kernel(**i, scale=1, initial_state=state, output_final_state=True)

    path = "fla.ops.generalized_delta_rule.dplr.naive.dplr_recurrence"
    write_op("rwkv7", "op-70", path, dict(B=1, T=70, H=2, K=5, V=6), inputs, 61, call)

    def param(draw: Draw, name: str, shape: torch.Size):
        if name.startswith("x_"):
            return draw.uniform(*shape, low=0, high=1)
        if name in ("k_k", "k_a"):
            return draw.normal(*shape, mean=1, std=0.25)
        if name == "r_k":
            return draw.normal(*shape, std=0.25)
        return draw.normal(*shape) if name.endswith("lora.2.bias") or name == "g_norm.bias" else None

    config = dict(hidden_size=16, head_dim=8, decay_low_rank_dim=4, gate_low_rank_dim=4,
                  a_low_rank_dim=4, v_low_rank_dim=4, num_hidden_layers=2)
    layer = "fla.layers.rwkv7.RWKV7Attention"
    states = {"recurrent": (2, 2, 8, 8), "shift": (2, 16)}
    write_layer("rwkv7", "layer-37", layer, {**config, "layer_idx": 1, "B": 2, "T": 37}, 62, param, states,
                {"v_first": 16})
    write_layer("rwkv7", "layer-70", layer, {**config, "layer_idx": 0, "B": 1, "T": 70}, 63, param, None)


# --- KDA ---------------------------------------------------------------------------------------------------------


def kda() -> None:
    def inputs(low):
        def make(draw: Draw, B: int, T: int, H: int, K: int, V: int) -> Tensors:
            made = delta_inputs(low)(draw, B, T, H, K, V)
            made["g"] = torch.stack([draw.uniform(B, T, K, low=low[h], high=0, grid=2**-6) for h in range(H)], dim=2)
            return made
        return make

    def call(function, i, state):
        return function(i["q"], i["k"], i["v"], i["g"], i["beta"], initial_state=state, output_final_state=True)

    path = "fla.ops.kda.naive.naive_recurrent_kda"
    write_op("kda", "op-70", path, dict(B=1, T=70, H=2, K=6, V=8), inputs((-0.5, -0.05)), 71, call)
    write_op("kda", "op-strong", path, dict(B=1, T=70, H=2, K=3, V=4), inputs((-20, -0.5)), 72, call)

    def param(draw: Draw, name: str, shape: torch.Size):
        if name == "A_log":
            return torch.tensor([2.75, -1.375], dtype=torch.float64)
        return draw.normal(*shape, mean=-0.5, std=1.0) if name in ("dt_bias", "g_proj.1.bias") else None

    config = dict(hidden_size=16, num_heads=2, head_dim=8, expand_v=1.5, conv_size=4)
    states = {"recurrent": (2, 2, 8, 12), "conv_q": (2, 16, 3), "conv_k": (2, 16, 3), "conv_v": (2, 24, 3)}
    layer = "fla.layers.kda.KimiDeltaAttention"
    write_layer("kda", "layer-37", layer, {**config, "B": 2, "T": 37}, 73, param, states)
    write_layer("kda", "layer-70", layer, {**config, "B": 1, "T": 70}, 74, param, None)


# --- JetBlock ----------------------------------------------------------------------------------------------------


class KernelGenerator(torch.nn.Module):
    """A convolution kernel of W taps for each channel and token: W2 silu(W1 x) + b2, channel-major."""

    def __init__(self, hidden_size: int, rank: int, channels: int, taps: int):
        super().__init__()
        self.w1 = torch.nn.Linear(hidden_size, rank, bias=False)
        self.w2 = torch.nn.Linear(rank, channels * taps)
        self.taps = taps

    def forward(self, x):
        return self.w2(F.silu(self.w1(x))).unflatten(-1, (-1, self.taps))


class JetBlock(torch.nn.Module):
    """JetBlock: Gated DeltaNet whose only convolution is a dynamic one on the values."""

    def __init__(self, hidden_size: int, num_heads: int, head_dim: int, expand_v: float, conv_size: int,
                 dconv_generator_reduction: int, norm_eps: float = 1e-5, layer_idx: int = 0):
        super().__init__()
        self.layer_idx, self.num_heads, self.head_dim, self.norm_eps = layer_idx, num_heads, head_dim, norm_eps
        key, value = num_heads * head_dim, int(num_heads * head_dim * expand_v)
        linear = torch.nn.Linear
        self.q_proj, self.k_proj = (linear(hidden_size, key, bias=False) for _ in range(2))
        self.v_proj, self.g_proj = (linear(hidden_size, value, bias=False) for _ in range(2))
        self.a_proj, self.b_proj = (linear(hidden_size, num_heads, bias=False) for _ in range(2))
        self.A_log, self.dt_bias = (torch.nn.Parameter(torch.zeros(num_heads)) for _ in range(2))
        generator = KernelGenerator(hidden_size, value // dconv_generator_reduction, value, conv_size)
        self.dynamic_conv1d = torch.nn.ModuleDict({"kernel_generator": generator})
        self.o_norm = FusedRMSNormGated(value // num_heads, eps=norm_eps)
        self.o_proj = linear(value, hidden_size, bias=False)

    def forward(self, x, past_key_values, use_cache):
        state = past_key_values[self.layer_idx] if len(past_key_values) > self.layer_idx else None
        kernel = self.dynamic_conv1d["kernel_generator"](x)
        taps = kernel.shape[-1]
        u = self.v_proj(x).transpose(1, 2)
        u = torch.cat([u.new_zeros(*u.shape[:2], taps) if state is None else state["conv_state"][0], u], dim=-1)
        v = F.silu((u[..., 1:].unfold(-1, taps, 1).transpose(1, 2) * kernel).sum(-1))
        heads = (self.num_heads, -1)
        q, k = (F.silu(proj(x)).unflatten(-1, heads) for proj in (self.q_proj, self.k_proj))
        o, recurrent = gated_delta_kernel(
            q, k, v.unflatten(-1, heads), self.a_proj(x), self.b_proj(x), self.A_log, self.dt_bias,
            state and state["recurrent_state"], output_final_state=True, use_qk_l2norm_in_kernel=True,
            use_gate_in_kernel=True, use_beta_sigmoid_in_kernel=True)
        past_key_values.update(recurrent_state=recurrent, conv_state=(u[..., -taps:],), layer_idx=self.layer_idx,
                               offset=x.shape[1])
        o = gated_rms_norm_forward(self.o_norm, o, self.g_proj(x).unflatten(-1, heads))
        return (self.o_proj(o.flatten(-2)),)


def jet_block() -> None:
    def param(draw: Draw, name: str, shape: torch.Size):
        if name == "A_log":
            return torch.tensor([2.75, -1.375], dtype=torch.float64)
        if name == "dt_bias":
            return torch.tensor([0.5, -2.0], dtype=torch.float64)
        return draw.normal(*shape, std=0.5) if name.endswith("w2.bias") else None

    config = dict(hidden_size=16, num_heads=2, head_dim=8, expand_v=1.5, conv_size=4, dconv_generator_reduction=8)
    states = {"recurrent": (2, 2, 8, 12), "conv_v": (2, 24, 3)}
    write_layer("jet_block", "layer-37", "make_mixers.JetBlock", {**config, "B": 2, "T": 37}, 81, param, states)
    write_layer("jet_block", "layer-70", "make_mixers.JetBlock", {**config, "B": 1, "T": 70}, 82, param, None)


KINDS = {"gla": gla, "gated_deltanet": gated_deltanet, "retnet": retnet, "deltanet": deltanet, "mamba2": mamba2,
         "rwkv7": rwkv7, "kda": kda, "jet_block": jet_block}


# --- check against the unpatched classes -------------------------------------------------------------------------


@torch.no_grad()
def check_kernels(kinds: list[str]) -> None:
    """Runs FLA's layers with their own Triton kernels, interpreted on the CPU in float32, on the written cases."""
    from triton.runtime.autotuner import Autotuner

    # Without a driver nothing can be timed: every candidate costs the same, the first is taken.
    Autotuner._bench = lambda self, *args, config, **kwargs: [0.0, 0.0, 0.0]
    for file in sorted(OUT.glob("*.json")):
        golden = json.loads(file.read_text())
        path = golden["source"].split(" ")[0]
        if golden["kind"] not in kinds or golden["level"] != "layer" or path.startswith("make_mixers"):
            continue
        layer = make_layer(path, golden["config"])
        layer.load_state_dict({n: value(t).float() for n, t in golden["params"].items()})
        inputs = {n: value(t).float() for n, t in golden["inputs"].items()}
        initial = {n: value(t).float() for n, t in golden.get("initial", {}).items()}
        # Pieces of up to 64 tokens take the recurrent kernels; the chunked ones do not run in the interpreter.
        output, final = run_layer(golden["kind"], layer, inputs, initial or None, golden["config"], piece=35)
        errors = {"output": (output, golden["output"]), **{n: (final[n], golden["final"][n]) for n in final}}
        errors = {n: ((a.double() - value(b)).abs().max() / value(b).abs().max()).item() for n, (a, b) in errors.items()}
        print(f"{file.name:34} " + "  ".join(f"{n} {e:.1e}" for n, e in errors.items()))
        assert max(errors.values()) < 1e-5


if __name__ == "__main__":
    arguments = sys.argv[1:]
    chosen = [a for a in arguments if a != "--kernels"] or list(KINDS)
    if "--kernels" in arguments:
        check_kernels(chosen)
    else:
        OUT.mkdir(exist_ok=True)
        for kind in chosen:
            KINDS[kind]()
