"""lm-evaluation-harness' HF backend as a contender: first it tells the requests that its tasks make, then it answers them as
often as it is asked. One line of JSON each way.

    python harness.py MODEL TASKS-FOLDER BATCH THREADS NAME[,NAME...] [NAME[,NAME...]...]

Each argument after the threads is a set: one task, or several that are measured together.
"""

import json
import sys
import time
from importlib.metadata import version

import torch
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager

model, folder, batch, threads, *sets = sys.argv[1:]
answers = sys.stdout
sys.stdout = sys.stderr
torch.set_num_threads(int(threads))
manager = TaskManager(include_path=folder)


def requests(names: str) -> list[Instance]:
    found = []
    for name in names.split(","):
        task = manager.load([name])["tasks"][name]
        task.build_all_requests()
        found += task.instances
    return found


def tell(value: object) -> None:
    print(json.dumps(value), file=answers, flush=True)


asked = [requests(names) for names in sets]
lm = HFLM(pretrained=model, dtype="float32", device="cpu", batch_size=int(batch))
versions = {name: version(name) for name in ("lm-eval", "transformers", "torch")}
tell({"versions": versions, "sets": [[[r.doc_id, *r.args] for r in own] for own in asked]})
# Of each task so many documents.
documents = int(sys.stdin.readline())
asked = [[r for r in own if r.doc_id < documents] for own in asked]
tell({})
for line in sys.stdin:
    start, used = time.perf_counter(), time.process_time()
    found = lm.loglikelihood(asked[int(line)], disable_tqdm=True)
    seconds, processor = time.perf_counter() - start, time.process_time() - used
    tell({"seconds": seconds, "processorSeconds": processor, "logProbs": [logprob for logprob, _ in found]})
