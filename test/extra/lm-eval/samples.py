"""What `--log_samples` wrote, of lm-evaluation-harness or `postnas eval`, without any text of the data sets: by task and
document, of each request its hash, log-likelihood and whether it is greedy; of written answers the hash and the answer
that each filter takes.

    python samples.py FOLDER > FILE
"""

import hashlib
import json
import re
import sys
from pathlib import Path


def hashed(arguments: dict) -> str:
    # Where a space between context and continuation belongs is a convention of either side.
    text = arguments["arg_0"] + (arguments["arg_1"] if isinstance(arguments["arg_1"], str) else "")
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def document(rows: list[dict]) -> list | dict:
    requests = [hashed(request) for request in rows[0]["arguments"].values()]
    if rows[0]["filter"] != "none":
        return {"prompt": requests[0]} | {row["filter"]: row["filtered_resps"][0] for row in rows}
    # Floats of float32 need no more than nine digits.
    return [
        [request, float(f"{float(response[0][0]):.9g}"), str(response[0][1]) == "True"]
        for request, response in zip(requests, rows[0]["resps"], strict=True)
    ]


tasks = {}
for path in sorted(Path(sys.argv[1]).rglob("samples_*.jsonl")):
    name = re.match(r"samples_(.+?)(_\d{4}-\S*)?\.jsonl", path.name).group(1)
    documents: dict[int, list[dict]] = {}
    for line in path.open():
        row = json.loads(line)
        documents.setdefault(row["doc_id"], []).append(row)
    tasks[name] = [document(documents[i]) for i in sorted(documents)]
print("{")
for i, (name, rows) in enumerate(sorted(tasks.items())):
    end = "" if i == len(tasks) - 1 else ","
    print(f"{json.dumps(name)}:{json.dumps(rows, separators=(',', ':'))}{end}")
print("}")
