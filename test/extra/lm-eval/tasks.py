"""Writes lm-evaluation-harness's own tasks over local rows: the rows in the shape that they have on the Hub, and for
each task a file that includes the harness's and changes where the rows come from, so that its templates make the prompts.

    python tasks.py ROWS FOLDER [DOCUMENTS]

ROWS is shared/data/eval. So many documents are taken of each task, 200 unless told, of MMLU a fiftieth of each
subject, of GSM8K a quarter and at most 50. GSM8K's four shots are drawn from the rows behind these, as its training rows are not there.
"""

import csv
import json
import os
import sys
from pathlib import Path

import lm_eval.tasks

rows, folder = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
documents = int(sys.argv[3]) if len(sys.argv) > 3 else 200
harness = Path(lm_eval.tasks.__file__).parent
foundry = rows / "llm-foundry"
LETTERS = "ABCDEFGH"


def lines(path: Path) -> list[dict]:
    with path.open() as file:
        return [json.loads(line) for line in file]


def write(task: str, yaml: str, splits: dict[str, list[dict]], more: str = "") -> None:
    (folder / "rows").mkdir(parents=True, exist_ok=True)
    files = ""
    for split, taken in splits.items():
        path = folder / "rows" / f"{task}.jsonl" if split == "test" else folder / "rows" / f"{task}_{split}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in taken))
        files += f"    {split}: {path}\n"
    (folder / f"{task}.yaml").write_text(
        f"include: {harness / yaml}\ntask: {task}\ndataset_path: json\ndataset_name: null\n"
        f"dataset_kwargs:\n  data_files:\n{files}test_split: test\nvalidation_split: null\n"
        + (more or "training_split: null\n")
    )


def choices(row: dict) -> dict:
    return {"text": row["choices"], "label": list(LETTERS[: len(row["choices"])])}


def lambada(row: dict) -> dict:
    return {"text": f"{row['context']} {row['continuation']}"}


def arc(row: dict) -> dict:
    question = row["query"].removeprefix("Question: ")
    return {"question": question, "choices": choices(row), "answerKey": LETTERS[row["gold"]]}


def piqa(row: dict) -> dict:
    goal = row["query"].removeprefix("Question: ").removesuffix("\n")
    return {"goal": goal, "sol1": row["choices"][0], "sol2": row["choices"][1], "label": row["gold"]}


def winogrande(row: dict) -> dict:
    first, second = row["context_options"]
    start = os.path.commonprefix([first, second])
    start = start[: start.rfind(" ") + 1]
    return {
        "sentence": f"{start}_ {row['continuation']}",
        "option1": first[len(start) :],
        "option2": second[len(start) :],
        "answer": str(row["gold"] + 1),
    }


def boolq(row: dict) -> dict:
    passage, question = row["query"].removeprefix("Passage: ").rsplit("\nQuestion: ", 1)
    return {"passage": passage, "question": question.removesuffix("?"), "label": row["gold"]}


def openbookqa(row: dict) -> dict:
    return {"question_stem": row["query"], "choices": choices(row), "answerKey": LETTERS[row["gold"]]}


def mmlu(path: Path) -> list[dict]:
    with path.open(newline="") as file:
        return [
            {
                "question": row["question"],
                "choices": [row[f"choice{i}"] for i in range(4)],
                "answer": int(row["answer"]),
            }
            for row in csv.DictReader(file)
        ]


SETS = {
    "lambada_openai": ("lambada/lambada_openai.yaml", foundry / "lambada_openai.jsonl", lambada),
    "arc_easy": ("arc/arc_easy.yaml", foundry / "arc_easy.jsonl", arc),
    "piqa": ("piqa/piqa.yaml", foundry / "piqa.jsonl", piqa),
    "winogrande": ("winogrande/default.yaml", foundry / "winogrande.jsonl", winogrande),
    "hellaswag": ("hellaswag/hellaswag.yaml", rows / "hellaswag" / "hellaswag.jsonl", dict),
    "boolq": ("super_glue/boolq/default.yaml", foundry / "boolq.jsonl", boolq),
    "openbookqa": ("openbookqa/openbookqa.yaml", foundry / "openbook_qa.jsonl", openbookqa),
}
for task, (yaml, path, shape) in SETS.items():
    write(task, yaml, {"test": [shape(row) for row in lines(path)[:documents]]})
for path in sorted((rows / "mmlu" / "test").glob("*_test.csv")):
    subject = path.name.removesuffix("_test.csv")
    dev = mmlu(rows / "mmlu" / "dev" / f"{subject}_dev.csv")
    write(f"mmlu_{subject}", f"mmlu/default/mmlu_{subject}.yaml", {"test": mmlu(path)[: -(-documents // 50)], "dev": dev})
gsm8k = lines(rows / "gsm8k" / "test.jsonl")
write("gsm8k", "gsm8k/gsm8k.yaml", {"test": gsm8k[:50][: documents // 4], "train": gsm8k[50:]}, "num_fewshot: 4\n")
