"""What lm-evaluation-harness 0.4.13 asks and computes, of a few made-up rows of each public set, as golden values.

    pip install lm-eval==0.4.13 "datasets<5"
    python test/golden/make_lm_eval_prompts.py > test/golden/lm-eval-prompts.json
    python test/golden/make_lm_eval_prompts.py test/golden/lm-eval-parquet

Rows have the fields of the Hub's files. No file is loaded: datasets.load_dataset gives the rows.
"""
import io
import json
import random
import sys
from contextlib import redirect_stdout
from unittest import mock

import datasets

FACTS = [
    ("The sky at noon is", ["blue", "green", "striped", "on fire"], 0),
    ("Ice is made of", ["sand", "water", "glass beads", "air"], 1),
    ("  Which of these can fly?  ", ["A stone", "a house", "A sparrow", "the sea"], 2),
    ("Cats\nchase", ["mice", "mountains", "numbers", "naïve 🐁 toys"], 3),
    ("Bread is baked from", ["flour", "milk", "coal", "paper"], 0),
    ("The moon goes round", ["the sun", "the earth", "Mars", "a tree"], 1),
]
ROWS = {
    "EleutherAI/lambada_openai": [
        {"text": t}
        for t in [
            "She looked for her keys all day, and at night she found the keys",
            'He said: "Never again." \n\nBut he did it  again',
            "One two",
            "Nobody knew who had won until the judge named Harlin",
        ]
    ],
    "Rowan/hellaswag": [
        {"activity_label": "Pole vault", "ctx_a": "A man runs with a pole.", "ctx_b": "he THEN",
         "endings": ["jumps over the bar.", "eats the pole.", "[substeps] sits down.", "sleeps."], "label": "0"},
        {"activity_label": "How to boil an egg", "ctx_a": "[header] How to boil an egg [title] Take a pot. [step] Fill it  with water.",
         "ctx_b": "", "endings": ["Heat it [title] Wait.", "Drop it.", " Sing.", "Leave  it."], "label": "2"},
        {"activity_label": "Ironing", "ctx_a": "A shirt lies there", "ctx_b": "élan is needed",
         "endings": ["a", "b", "c", "d"], "label": "3"},
        {"activity_label": "Ironing", "ctx_a": "A shirt lies there", "ctx_b": "élan is needed",
         "endings": ["a", "b", "c", "d"], "label": "3"},
        {"activity_label": "Swimming", "ctx_a": "She swims.", "ctx_b": "the water",
         "endings": ["is wet.", "is dry.", "burns.", "sings."], "label": "1"},
    ],
    "baber/piqa": [
        {"goal": "dresser", "sol1": "replace drawer with bobby pin", "sol2": "finish, woodgrain with  bobby pin", "label": 1},
        {"goal": "Open a jar\nwithout force", "sol1": "Warm the lid.", "sol2": "Freeze it's glass.", "label": 0},
        {"goal": "Dry shoes", "sol1": 'Stuff "paper" into them', "sol2": "Leave them in the rain", "label": 0},
        {"goal": "Sharpen a pencil", "sol1": "Use soap", "sol2": "Use a knife", "label": 1},
    ],
    "allenai/ai2_arc": [
        {"question": q, "choices": {"text": c, "label": list("ABCD") if i % 2 else list("1234")},
         "answerKey": ("ABCD" if i % 2 else "1234")[g]}
        for i, (q, c, g) in enumerate(FACTS)
    ],
    "allenai/winogrande": [
        {"sentence": "Sarah was a better surgeon than Maria so _ always got the easier cases.", "option1": "Sarah", "option2": "Maria", "answer": "2"},
        {"sentence": "The trophy did not fit because the _  was too large.", "option1": "trophy", "option2": "suitcase", "answer": "1"},
        {"sentence": "_ is where it began.", "option1": "Here", "option2": "There", "answer": "1"},
        {"sentence": "Ann asked Eve, and _ answered", "option1": "Ann", "option2": "Eve", "answer": "2"},
    ],
    "aps/super_glue": [
        {"passage": "Ethanol -- It takes energy to make ethanol.", "question": "does ethanol take energy", "label": 1},
        {"passage": "Water\nQuestion: what is it? boils.", "question": "is water dry", "label": 0},
        {"passage": "Sand is dry.", "question": "is sand dry", "label": 1},
        {"passage": "Stones sink.", "question": "do stones swim", "label": 0},
    ],
    "allenai/openbookqa": [
        {"question_stem": q, "choices": {"text": c, "label": list("ABCD")}, "answerKey": "ABCD"[g] if g else " A"}
        for q, c, g in FACTS
    ],
    "cais/mmlu": [{"question": q, "choices": c, "answer": g, "subject": "x"} for q, c, g in FACTS],
    "openai/gsm8k": [
        {"question": "Ann has 3 apples and buys 4.  How many?", "answer": "3 + 4 = <<3+4=7>>7\n#### 7"},
        {"question": "A robe takes 2 bolts and half that.", "answer": "2/2=<<2/2=1>>1\n#### 3"},
        {"question": "He earns $1,000 a day.", "answer": "1000\n#### 1,000"},
        {"question": "None is left?", "answer": "0\n#### 0"},
        {"question": "How cold?", "answer": "-4\n#### -4"},
        {"question": "Half?", "answer": "0.5\n#### 0.5"},
    ],
    "EleutherAI/wikitext_document_level": [
        {"page": " = A title = \n \n The river , which is 1 @,@ 000 km long , is 3 @.@ 5 m deep ; it 's well @-@ known . \n"
                 " = = Name = = \n \n Its name ( \" the wide one \" ) is old : N years [ old ] { or } ' so ' . The cats ' tails , 5 ° C ! Why ? \n"},
        {"page": "One   more / ' 5/ page ."},
    ],
}
TASKS = ["lambada_openai", "hellaswag", "piqa", "arc_easy", "arc_challenge", "winogrande", "boolq", "openbookqa",
         "mmlu_anatomy", "mmlu_high_school_us_history", "gsm8k", "wikitext"]
DRAWS = [(10, 3), (22, 4), (21, 5), (7473, 5), (100, 6), (100, 22), (300, 25), (5, 5), (1, 1), (9, 0)]
WRITTEN = [
    " 3 + 4 = 7\n#### 7", "The answer is 7.", "It is $1,000. So $1,000.", "#### 1,000", " none", "-4 degrees, that is -4.", "#### -4.",
    "1. 2. 3.", "#### 0.50", "so 0,5 or 0.5", "#### $7", "x=7\n#### 8\n#### 7", "....", "7 -", "#### 7.",
]


def main():
    from lm_eval.api.metrics import exact_match_fn, mean_stderr, pooled_sample_stderr
    from lm_eval.tasks import TaskManager
    from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

    def load_dataset(path, name=None, **_):
        rows = datasets.Dataset.from_list(ROWS[path])
        return datasets.DatasetDict({split: rows for split in ["train", "validation", "test", "dev"]})

    manager = TaskManager()
    out = {"rows": ROWS, "tasks": {}}
    for name in TASKS:
        for shots in [None] if name == "wikitext" else [0, 2]:
            for seed in [1234] if shots != 2 else [1234, 5]:
                with mock.patch.object(datasets, "load_dataset", load_dataset):
                    task = one(manager.load([name]), name)
                task.set_config(key="num_fewshot", value=shots or 0)
                task.set_fewshot_seed(seed=seed)
                task.build_all_requests(limit=None, rank=0, world_size=1)
                by_doc = {}
                for instance in task.instances:
                    by_doc.setdefault(instance.doc_id, []).append(list(instance.args))
                documents = [by_doc[i] for i in sorted(by_doc)]
                entry = {"shots": shots or 0, "seed": seed, "requests": documents, "repo": task.config.dataset_path}
                entry["results"] = [results(task, doc, len(documents[i])) for i, doc in enumerate(task.eval_docs)] if name != "gsm8k" else None
                out["tasks"].setdefault(name, []).append(entry)
                if name == "gsm8k":
                    out["until"] = documents[0][0][1]
    task_filters = {f.name: f for f in gsm8k(manager)._filters}
    out["written"] = []
    for text in WRITTEN:
        case = {"text": text}
        for key, pattern in task_filters.items():
            answer = text
            for part in pattern.filters:
                answer = list(part().apply([[answer]] if isinstance(answer, str) else answer, [{}]))
            answer = answer[0] if isinstance(answer, list) else answer
            case[key] = answer
        out["written"].append(case)
    kwargs = gsm8k(manager)._metric_fn_kwargs["exact_match"]
    out["matches"] = [
        {"answer": a, "target": t, "right": float(exact_match_fn(references=[t], predictions=[a], **kwargs)["exact_match"])}
        for a in ["7", "7.", "1,000", "$1000", "-4", "0.50", "[invalid]", "#### 7"]
        for t in [r["answer"] for r in ROWS["openai/gsm8k"]]
    ]
    out["windows"] = [
        {"tokens": n, "longest": longest,
         "windows": [list(map(list, make_disjoint_window(w))) for w in get_rolling_token_windows(list(range(1, n + 1)), 0, longest, 1)]}
        for n, longest in [(1, 4), (4, 4), (5, 4), (8, 4), (11, 4), (3, 1)]
    ]
    out["samples"] = [
        {"seed": seed, "draws": [{"of": n, "count": k, "drawn": generator.sample(range(n), k)} for n, k in DRAWS]}
        for seed in [0, 1234, 2**32, 2**53 - 1]
        for generator in [random.Random(seed)]
    ]
    out["pooled"] = [
        {"stderrs": s, "sizes": n, "stderr": float(pooled_sample_stderr(s, n))} for s, n in [([0.1, 0.02], [5, 300]), ([0.5, 0.4, 0.3], [2, 3, 4])]
    ]
    out["stderr"] = [{"values": v, "stderr": mean_stderr(v)} for v in [[0, 1, 1, 0, 1], [0.5, 2.5]]]
    return out


def one(loaded, name):
    return loaded["tasks"][name]


def gsm8k(manager):
    def load_dataset(path, name=None, **_):
        rows = datasets.Dataset.from_list(ROWS[path])
        return datasets.DatasetDict({"train": rows, "test": rows})

    with mock.patch.object(datasets, "load_dataset", load_dataset):
        return one(manager.load(["gsm8k"]), "gsm8k")


def results(task, doc, count):
    """Of made-up log-likelihoods, the first choice the most probable by itself and the last one for its length."""
    if task.OUTPUT_TYPE == "loglikelihood_rolling":
        return {k: list(v) for k, v in task.process_results(doc, (-100.0,)).items()}
    values = [(-4.0 - i, i == 0) for i in range(count)]
    return task.process_results(doc, values)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        # As the Hub keeps them, for the test of its files.
        for path in ["allenai/ai2_arc", "baber/piqa", "openai/gsm8k", "cais/mmlu"]:
            name = path.split("/")[1].replace("ai2_", "")
            datasets.Dataset.from_list(ROWS[path]).to_parquet(f"{sys.argv[1]}/{name}.parquet")
        sys.exit()
    with redirect_stdout(io.StringIO()):
        found = main()
    json.dump(found, sys.stdout, ensure_ascii=False, separators=(",", ":"))
    print()
