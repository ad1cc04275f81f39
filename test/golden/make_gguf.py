"""Blocks of GGUF's element types and the values that they stand for.

Independent reference for src/model/import/gguf-blocks.ts: gguf/blocks.json holds per type

    {"type": ggml's number, "data": base64 of a few blocks, "values": [...] float32}

as llama.cpp's Python package decodes them. Blocks are quantised normal values where the package can quantise the
type, and random bytes with a finite scale where it cannot (Q6_K).

Run from the repository root, deterministic:

    python3 -m venv ~/postnas-venv
    ~/postnas-venv/bin/pip install gguf==0.19.0 numpy==2.4.6
    ~/postnas-venv/bin/python test/golden/make_gguf.py
"""

import base64
import json
from pathlib import Path

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, quants

OUT = Path(__file__).parent / "gguf" / "blocks.json"
TYPES = ["F16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q6_K", "BF16"]


def main():
    rng = np.random.default_rng(20260)
    result = {}
    for name in TYPES:
        kind = GGMLQuantizationType[name]
        values, size = GGML_QUANT_SIZES[kind]
        try:
            data = quants.quantize(rng.normal(0, 0.7, (1, 2 * max(values, 32))).astype(np.float32), kind)
        except NotImplementedError:
            data = rng.integers(0, 256, (2, size), dtype=np.uint8)
            data[:, -2:] = np.array([[0.0123], [-1.5]], dtype=np.float16).view(np.uint8)
            data = data.reshape(1, -1)
        data = np.ascontiguousarray(data)
        decoded = quants.dequantize(data, kind).astype(np.float32).reshape(-1)
        result[name] = {
            "type": int(kind),
            "data": base64.b64encode(data.tobytes()).decode(),
            "values": [float(f"{v:.9g}") for v in decoded],
        }
    OUT.parent.mkdir(exist_ok=True)
    lines = ",\n".join(f'"{name}": {json.dumps(entry)}' for name, entry in result.items())
    OUT.write_text("{\n" + lines + "\n}\n")


main()
