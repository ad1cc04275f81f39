#!/usr/bin/env bash
# Makes test/golden/lm-eval.json: what lm-evaluation-harness finds with its own backend (transformers on PyTorch, float32)
# on SmolLM2-135M, per document. Once, in a virtual environment with `pip install torch transformers 'lm-eval[hf]==0.4.13'`:
#
#     golden.sh PYTHON-FOLDER MODEL ROWS
#
# The folder of the environment, the model (scripts/fetch-smollm2.mjs prints its folder), shared/data/eval/llm-foundry.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export HF_HUB_OFFLINE=1 HF_HOME="$work/hf"
"$1/bin/python" "$here/tasks.py" "$3" "$work/tasks"
"$1/bin/lm_eval" run --model hf --model_args "pretrained=$2,dtype=float32" --device cpu --batch_size 8 --limit 100 \
  --include_path "$work/tasks" --tasks lambada_local,arc_easy_local --log_samples --output_path "$work/out"
"$1/bin/python" "$here/samples.py" "$work/out" > "$here/../../golden/lm-eval.json"
