"""
SmolLM2-135M's layers in PyTorch, as the benchmarks' peer has them (torch_align.py, torch_distill.py): attention as it is,
over windows with sinks, or with some heads of either, and Gated DeltaNet in chunks of 64 tokens. Float32, on the CPU.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WIDTH, HEADS, KV_HEADS, HEAD_DIM = 576, 9, 3, 64
ROPE_THETA, NORM_EPS = 100000.0, 1e-5
CHUNK, TAPS = 64, 4


def rms_norm(x: Tensor, weight: Tensor) -> Tensor:
    return F.rms_norm(x, (x.shape[-1],), weight, NORM_EPS)


class Attention(nn.Module):
    """
    Grouped-query attention with RoPE of normalised inputs. Of its KV heads those in `full` see all tokens (all, unless
    told), the others the last `window` and the first `sinks`.
    """

    def __init__(self, seq: int, window: int = 0, sinks: int = 0, full: list[int] | None = None):
        super().__init__()
        kv = KV_HEADS * HEAD_DIM
        self.qkv_proj = nn.Linear(WIDTH, HEADS * HEAD_DIM + 2 * kv, bias=False)
        self.o_proj = nn.Linear(HEADS * HEAD_DIM, WIDTH, bias=False)
        inverse = ROPE_THETA ** (-torch.arange(0, HEAD_DIM, 2) / HEAD_DIM)
        angle = torch.outer(torch.arange(seq), inverse)
        self.register_buffer("cos", torch.cat([angle.cos(), angle.cos()], -1))
        # The sign of the half rotation is folded into the sine.
        self.register_buffer("sin", torch.cat([-angle.sin(), angle.sin()], -1))
        self.full = list(range(KV_HEADS)) if full is None else full
        self.near = [head for head in range(KV_HEADS) if head not in self.full]
        distance = torch.arange(seq)[:, None] - torch.arange(seq)[None]
        seen = (distance >= 0) & ((distance < window) | (torch.arange(seq)[None] < sinks))
        self.register_buffer("seen", seen)

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        causal = lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        near = lambda q, k, v: F.scaled_dot_product_attention(q, k, v, attn_mask=self.seen, enable_gqa=True)
        if not self.near:
            return causal(q, k, v)
        if not self.full:
            return near(q, k, v)
        # Key heads and their queries by group.
        size = HEADS // KV_HEADS
        of = lambda heads: [head * size + i for head in heads for i in range(size)]
        parts = [causal(q[:, of(self.full)], k[:, self.full], v[:, self.full])]
        parts.append(near(q[:, of(self.near)], k[:, self.near], v[:, self.near]))
        order = of(self.full) + of(self.near)
        return torch.cat(parts, 1)[:, [order.index(head) for head in range(HEADS)]]

    def forward(self, x: Tensor) -> Tensor:
        B, T, _ = x.shape
        heads = self.qkv_proj(x).view(B, T, HEADS + 2 * KV_HEADS, HEAD_DIM).transpose(1, 2)
        qk, v = heads.split([HEADS + KV_HEADS, KV_HEADS], dim=1)
        qk = qk * self.cos + qk.roll(HEAD_DIM // 2, -1) * self.sin
        q, k = qk.split([HEADS, KV_HEADS], dim=1)
        return self.o_proj(self.attend(q, k, v).transpose(1, 2).reshape(B, T, -1))


class UnitLowerInverse(torch.autograd.Function):
    """(I + N)^-1 for strictly lower triangular N [..., C, C]; twice as fast backward as the solve's own gradient."""

    @staticmethod
    def forward(ctx, N: Tensor) -> Tensor:
        eye = torch.eye(N.shape[-1], dtype=N.dtype).expand_as(N)
        inverse = torch.linalg.solve_triangular(N, eye, upper=False, unitriangular=True)
        ctx.save_for_backward(inverse)
        return inverse

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:
        (inverse,) = ctx.saved_tensors
        return -(inverse.mT @ grad @ inverse.mT).tril(-1)


def chunk_gated_delta_rule(q: Tensor, k: Tensor, v: Tensor, beta: Tensor, g: Tensor) -> Tensor:
    """o [B,H,T,V] of the gated delta rule; q, k [B,H,T,K] normalised and q scaled, v [B,H,T,V], beta and g [B,H,T]."""
    B, H, T, K = q.shape
    V = v.shape[-1]
    if T % CHUNK:
        pad = CHUNK - T % CHUNK
        q, k, v = (F.pad(x, (0, 0, 0, pad)) for x in (q, k, v))
        beta, g = (F.pad(x, (0, pad)) for x in (beta, g))
    # [B*H, chunks, C, width]: one batch dimension for bmm, chunks apart for the scan.
    q, k, v = (x.reshape(B * H, -1, CHUNK, x.shape[-1]) for x in (q, k, v))
    beta = beta.reshape(B * H, -1, CHUNK, 1)
    G = g.reshape(B * H, -1, CHUNK).cumsum(-1)
    lower = torch.ones(CHUNK, CHUNK, dtype=torch.bool).tril()
    # Masked before the exponential: above the diagonal it would overflow.
    decay = (G[..., :, None] - G[..., None, :]).masked_fill(~lower, float("-inf")).exp()
    from_start = G.exp()[..., None]
    to_end = (G[..., -1:] - G).exp()[..., None]

    k_beta = k * beta
    inverse = UnitLowerInverse.apply((k_beta @ k.mT) * decay)
    u, w = inverse @ (v * beta), inverse @ (k_beta * from_start)
    k_end = (k * to_end).mT
    total = from_start[:, :, -1:]

    state = q.new_zeros(B * H, K, V)
    states, values = [], []
    # unbind, not indexing: its gradient is one stack instead of a full-size tensor for every chunk.
    for u_i, w_i, k_i, total_i in zip(u.unbind(1), w.unbind(1), k_end.unbind(1), total.unbind(1)):
        states.append(state)
        value = torch.baddbmm(u_i, w_i, state, alpha=-1)
        values.append(value)
        state = torch.baddbmm(state * total_i, k_i, value)
    o = (q * from_start) @ torch.stack(states, 1) + ((q @ k.mT) * decay) @ torch.stack(values, 1)
    return o.reshape(B, H, -1, V)[:, :, :T]


class GatedDeltaNet(nn.Module):
    """Gated DeltaNet as flash-linear-attention defines it; q, k, v and the output gate share one projection."""

    def __init__(self, width: int, heads: int, key_dim: int, value_dim: int):
        super().__init__()
        self.heads, self.key_dim, self.value_dim = heads, key_dim, value_dim
        self.sizes = [heads * key_dim, heads * key_dim, heads * value_dim]
        channels = sum(self.sizes)
        self.in_proj = nn.Linear(width, channels + heads * value_dim, bias=False)
        self.ab_proj = nn.Linear(width, 2 * heads, bias=False)
        self.conv = nn.Parameter(torch.randn(TAPS, channels) * 0.5)
        self.A_log = nn.Parameter(torch.empty(heads).uniform_(1, 16).log())
        dt = torch.empty(heads).uniform_(-6.9, -2.3).exp()
        self.dt_bias = nn.Parameter(dt + (-torch.expm1(-dt)).log())
        self.o_norm = nn.Parameter(torch.ones(value_dim))
        self.o_proj = nn.Linear(heads * value_dim, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        B, T, _ = x.shape
        H, K, V = self.heads, self.key_dim, self.value_dim
        projected = self.in_proj(x)
        channels = sum(self.sizes)
        # A 2-d convolution over [B, channels, 1, T] with channels last in memory takes half the time of conv1d or
        # of four shifted products on the CPU.
        u = F.pad(projected[..., :channels], (0, 0, TAPS - 1, 0)).transpose(1, 2)[:, :, None]
        mixed = F.conv2d(u, self.conv.T[:, None, None], groups=channels)[:, :, 0].transpose(1, 2)
        q, k, v = F.silu(mixed).split(self.sizes, dim=-1)
        q, k = (x.view(B, T, H, K).transpose(1, 2) for x in (q, k))
        q = q * (torch.rsqrt(q.square().sum(-1, keepdim=True) + 1e-6) * K**-0.5)
        k = k * torch.rsqrt(k.square().sum(-1, keepdim=True) + 1e-6)
        v = v.view(B, T, H, V).transpose(1, 2)
        a, b = self.ab_proj(x).transpose(1, 2).chunk(2, dim=1)
        g = -self.A_log.exp()[:, None] * F.softplus(a + self.dt_bias[:, None])
        o = chunk_gated_delta_rule(q, k, v, b.sigmoid(), g).transpose(1, 2)
        gate = F.silu(projected[..., channels:]).view(B, T, H, V)
        return self.o_proj((rms_norm(o, self.o_norm) * gate).reshape(B, T, H * V))
