"""Writes the tasks as lm-evaluation-harness reads them: LAMBADA and ARC-easy over local rows, as the hub's tasks of
these names ask them.

    python tasks.py ROWS FOLDER
"""

import sys
from pathlib import Path

rows, folder = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
folder.mkdir(parents=True, exist_ok=True)


def write(name: str, file: str, body: str) -> None:
    (folder / f"{name}.yaml").write_text(
        f"task: {name}\ndataset_path: json\ndataset_kwargs:\n  data_files:\n    test: {rows / file}\n"
        f"test_split: test\n{body}"
    )


write(
    "lambada_local",
    "lambada_openai.jsonl",
    """output_type: loglikelihood
doc_to_text: "{{context}}"
doc_to_target: "{{' ' + continuation}}"
metric_list:
  - {metric: acc, aggregation: mean, higher_is_better: true}
""",
)
write(
    "arc_easy_local",
    "arc_easy.jsonl",
    """output_type: multiple_choice
doc_to_text: "{{query}}\\nAnswer:"
doc_to_target: gold
doc_to_choice: "{{choices}}"
metric_list:
  - {metric: acc, aggregation: mean, higher_is_better: true}
""",
)
