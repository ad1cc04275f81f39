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
from torch_layers import HEAD_DIM, HEADS, WIDTH, Attention, GatedDeltaNet, rms_norm  # noqa: E402


class Teacher(nn.Module):
    """RMSNorm and attention of a layer; returns the normalised input and the mixer's output."""

    def __init__(self, seq: int):
        super().__init__()
        self.norm = nn.Parameter(torch.ones(WIDTH))
        self.mixer = Attention(seq)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = rms_norm(x, self.norm)
        return x, self.mixer(x)


def measure(mode: str) -> dict:
    load = os.getloadavg()[0]
    torch.manual_seed(0)
    torch.set_num_threads(args.threads)
    torch.set_flush_denormal(True)
    teacher = Teacher(args.seq).eval().requires_grad_(False)
    student = GatedDeltaNet(WIDTH, HEADS, HEAD_DIM, HEAD_DIM)
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
    student = GatedDeltaNet(config["hidden_size"], heads, key, int(key * config["expand_v"])).double()

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
