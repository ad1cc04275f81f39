"""Aligning one Gated DeltaNet layer with an attention layer in PyTorch on the CPU: the peer of `bench align`.

The work of a step, on SmolLM2-135M's shapes (width 576, 9 query and 3 key/value heads of 64; Gated DeltaNet with 9
heads, key and value width 64, short convolutions of 4 taps on q, k and v, output gate, gated RMSNorm per head):

    teacher attention forward (RMSNorm, GQA with RoPE, o_proj), no gradient
    student forward on the same normalised input, chunks of 64 tokens
    mean squared error between the two outputs, backward to the student's parameters, AdamW step

float32 throughout. It runs once in eager mode and once under torch.compile, each in a process of its own (peak memory
is per process), and prints one JSON object; `tokens_per_second` is the better of the two. `load_average` is the
machine's before the run: PyTorch's threads wait for each other at every operator, so that one other busy process can
cost a factor of ten, and a figure taken beside another load says nothing.

    python3 -m venv ~/postnas-venv
    ~/postnas-venv/bin/pip install torch==2.15.0 numpy==2.4.6
    ~/postnas-venv/bin/python bench/torch_align.py [--batch 2] [--seq 512] [--steps 10] [--repeats 5] [--threads 2]

`--check test/golden/mixers/gated_deltanet-layer-70.json` compares the student with the reference instead.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time

WIDTH, HEADS, KV_HEADS, HEAD_DIM = 576, 9, 3, 64
ROPE_THETA, NORM_EPS = 100000.0, 1e-5
CHUNK, TAPS = 64, 4


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--seq", type=int, default=512)
    parser.add_argument("--steps", type=int, default=10, help="optimiser steps timed together")
    parser.add_argument("--repeats", type=int, default=5, help="timings, of which the median is reported")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--mode", choices=["both", "eager", "compile"], default="both")
    parser.add_argument("--check", metavar="GOLDEN", help="compare the student with a golden file and exit")
    return parser.parse_args()


args = arguments()
# Read by OpenMP and MKL when torch is imported.
os.environ.update(OMP_NUM_THREADS=str(args.threads), MKL_NUM_THREADS=str(args.threads))

import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
from torch import Tensor, nn  # noqa: E402


def rms_norm(x: Tensor, weight: Tensor) -> Tensor:
    return F.rms_norm(x, (x.shape[-1],), weight, NORM_EPS)


class Teacher(nn.Module):
    """RMSNorm and grouped-query attention of a Llama layer; returns the normalised input and the mixer's output."""

    def __init__(self, seq: int):
        super().__init__()
        kv = KV_HEADS * HEAD_DIM
        self.norm = nn.Parameter(torch.ones(WIDTH))
        self.qkv_proj = nn.Linear(WIDTH, HEADS * HEAD_DIM + 2 * kv, bias=False)
        self.o_proj = nn.Linear(HEADS * HEAD_DIM, WIDTH, bias=False)
        inverse = ROPE_THETA ** (-torch.arange(0, HEAD_DIM, 2) / HEAD_DIM)
        angle = torch.outer(torch.arange(seq), inverse)
        self.register_buffer("cos", torch.cat([angle.cos(), angle.cos()], -1))
        # The sign of the half rotation is folded into the sine.
        self.register_buffer("sin", torch.cat([-angle.sin(), angle.sin()], -1))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        B, T, _ = x.shape
        x = rms_norm(x, self.norm)
        heads = self.qkv_proj(x).view(B, T, HEADS + 2 * KV_HEADS, HEAD_DIM).transpose(1, 2)
        qk, v = heads.split([HEADS + KV_HEADS, KV_HEADS], dim=1)
        qk = qk * self.cos + qk.roll(HEAD_DIM // 2, -1) * self.sin
        q, k = qk.split([HEADS, KV_HEADS], dim=1)
        o = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        return x, self.o_proj(o.transpose(1, 2).reshape(B, T, -1))


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


class Student(nn.Module):
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


def measure(mode: str) -> dict:
    load = os.getloadavg()[0]
    torch.manual_seed(0)
    torch.set_num_threads(args.threads)
    torch.set_flush_denormal(True)
    teacher = Teacher(args.seq).eval().requires_grad_(False)
    student = Student(WIDTH, HEADS, HEAD_DIM, HEAD_DIM)
    optimizer = torch.optim.AdamW(student.parameters(), lr=1e-3, fused=True)
    inputs = [torch.randn(args.batch, args.seq, WIDTH) for _ in range(4)]

    def objective(x: Tensor, target: Tensor) -> Tensor:
        return F.mse_loss(student(x), target)

    teach = teacher
    if mode == "compile":
        objective, teach = torch.compile(objective), torch.compile(teacher)

    def step(x: Tensor) -> Tensor:
        with torch.no_grad():
            x, target = teach(x)
        loss = objective(x, target)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss.detach()

    started = time.perf_counter()
    losses = [step(inputs[i % len(inputs)]).item() for i in range(3)]
    warm_up = time.perf_counter() - started
    speeds = []
    for _ in range(args.repeats):
        started = time.perf_counter()
        for i in range(args.steps):
            loss = step(inputs[i % len(inputs)])
        speeds.append(args.batch * args.seq * args.steps / (time.perf_counter() - started))
    return {
        "tokens_per_second": round(statistics.median(speeds), 1),
        "repeats_tokens_per_second": [round(s, 1) for s in speeds],
        "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        "warm_up_seconds": round(warm_up, 2),
        "load_average": round(load, 2),
        "first_loss": round(losses[0], 6),
        "last_loss": round(loss.item(), 6),
    }


# By default glibc hands large blocks back to the system and faults them in again: up to 20,000 page faults a step, as
# much as a fifth of the CPU time. Kept blocks fault once.
KEEP_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(16 << 30), "MALLOC_TOP_PAD_": str(64 << 20)}


def in_process(mode: str) -> dict:
    command = [sys.executable, __file__, "--mode", mode]
    for name in ("batch", "seq", "steps", "repeats", "threads"):
        command += [f"--{name}", str(getattr(args, name))]
    environment = {**os.environ, **KEEP_MEMORY}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode != 0:
        return {"error": (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]}
    return json.loads(done.stdout)


def check(path: str) -> None:
    """Output and all gradients of the student against a golden layer of make_mixers.py, in float64."""
    with open(path) as file:
        golden = json.load(file)

    def value(t: dict) -> Tensor:
        return (torch.tensor(t["data"], dtype=torch.float64) * t.get("scale", 1)).reshape(t["shape"])

    p = {name: value(t) for name, t in golden["params"].items()}
    d = {name: value(t) for name, t in golden["grads"]["params"].items()}
    config = golden["config"]
    heads, key = config["num_heads"], config["head_dim"]
    student = Student(config["hidden_size"], heads, key, int(key * config["expand_v"])).double()

    def packed(p: dict) -> dict:
        return {
            "in_proj.weight": torch.cat([p[f"{n}_proj.weight"] for n in "qkvg"]),
            "ab_proj.weight": torch.cat([p[f"{n}_proj.weight"] for n in "ab"]),
            "conv": torch.cat([p[f"{n}_conv1d.weight"] for n in "qkv"])[:, 0].T,
            "A_log": p["A_log"], "dt_bias": p["dt_bias"], "o_norm": p["o_norm.weight"],
            "o_proj.weight": p["o_proj.weight"],
        }

    student.load_state_dict(packed(p))
    x = value(golden["inputs"]["x"]).requires_grad_()
    output = student(x)
    (output * value(golden["weights"])).sum().backward()
    pairs = {"output": (output, value(golden["output"])), "x": (x.grad, value(golden["grads"]["inputs"]["x"]))}
    pairs |= {name: (dict(student.named_parameters())[name].grad, expected) for name, expected in packed(d).items()}
    errors = {n: ((a - b).abs().max() / b.abs().max()).item() for n, (a, b) in pairs.items()}
    print(json.dumps({n: float(f"{e:.1e}") for n, e in errors.items()}))
    sys.exit(max(errors.values()) > 1e-6)


def main() -> None:
    if args.check:
        check(args.check)
    if args.mode != "both":
        print(json.dumps(measure(args.mode)))
        return
    modes = {mode: in_process(mode) for mode in ("eager", "compile")}
    ran = {mode: r for mode, r in modes.items() if "tokens_per_second" in r}
    if not ran:
        sys.exit(f"torch_align: neither mode ran: {modes}")
    best = max(ran, key=lambda mode: ran[mode]["tokens_per_second"])
    print(json.dumps({
        "tokens_per_second": ran[best]["tokens_per_second"], "peak_rss_mb": ran[best]["peak_rss_mb"], "best": best,
        "torch": torch.__version__, "threads": args.threads, "batch": args.batch, "seq": args.seq,
        "steps": args.steps, "repeats": args.repeats, **modes,
    }))


if __name__ == "__main__":
    main()
