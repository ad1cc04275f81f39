#!/usr/bin/env bash
# Makes test/golden/lm-eval.json: what lm-evaluation-harness finds with its own backend (transformers on PyTorch, float32)
# on SmolLM2-135M, per document. Once, in a virtual environment with `pip install torch transformers 'lm-eval[hf]==0.4.13'`:
#
#     golden.sh PYTHON-FOLDER MODEL ROWS WORK [TASK...]
#
# The folder of the environment, the model (scripts/fetch-smollm2.mjs prints its folder), shared/data/eval, and a folder
# where tasks and samples are left: what is there already is kept, so that it goes on where it was stopped. Takes about
# half an hour on two quiet cores.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
python=$1 model=$2 rows=$3 work=$4
shift 4
export HF_HUB_OFFLINE=1 HF_HOME="$work/hf" TOKENIZERS_PARALLELISM=false
[ -d "$work/tasks" ] || "$python/bin/python" "$here/tasks.py" "$rows" "$work/tasks"
mmlu=$(cd "$work/tasks" && ls mmlu_*.yaml | sed 's/\.yaml//' | paste -sd,)
for task in "${@:-lambada_openai arc_easy piqa winogrande hellaswag boolq openbookqa mmlu gsm8k}"; do
  for name in $task; do
    [ -d "$work/out/$name" ] && continue
    tasks=$name size=8
    [ "$name" = mmlu ] && tasks=$mmlu
    [ "$name" = gsm8k ] && size=1
    date -u "+%H:%M:%S $name"
    "$python/bin/lm_eval" run --model hf --model_args "pretrained=$model,dtype=float32" --device cpu --batch_size $size \
      --include_path "$work/tasks" --tasks "$tasks" --log_samples --output_path "$work/unfinished/$name" \
      --use_cache "$work/$name"
    mkdir -p "$work/out"
    mv "$work/unfinished/$name" "$work/out/$name"
  done
done
date -u "+%H:%M:%S done"
python3 "$here/samples.py" "$work/out" > "$here/../../golden/lm-eval.json"
