"""Log-likelihoods per document out of what `lm_eval --log_samples` wrote: {task: [[[logprob, greedy], ...], ...]}.

    python samples.py FOLDER
"""

import json
import re
import sys
from pathlib import Path

tasks = {}
for path in sorted(Path(sys.argv[1]).rglob("samples_*.jsonl")):
    name = re.match(r"samples_(.+?)_\d{4}-", path.name).group(1)
    rows = sorted((json.loads(line) for line in path.open()), key=lambda row: row["doc_id"])
    # A request has one answer; floats of float32 need no more than nine digits.
    tasks[name] = [[[float(f"{float(r[0][0]):.9g}"), str(r[0][1]) == "True"] for r in row["resps"]] for row in rows]
json.dump(tasks, sys.stdout, separators=(",", ":"))
print()
