"""Logs of evaluation tools, for `crates/logs/tests/tools.rs`: the real tools run on questions and answers of ours, so that what they write is theirs.

    python tests/reference/log_cases.py lm-eval       # lm-eval 0.4.13
    python tests/reference/log_cases.py lmms-eval     # lmms-eval 0.6.1 and, in another environment, 0.7.3
    python tests/reference/log_cases.py inspect       # inspect-ai 0.3.285
    python tests/reference/log_cases.py shapes        # what cannot be run here, in its published shape
    python tests/reference/log_cases.py expected      # DR, NDR, PDR of every pair, counted from the answers below alone

Both releases of lmms-eval want `OPENAI_API_KEY` set to anything and filelock 3.20; the wheel of 0.6.1 lacks `tasks/mmmu/_default_template_yaml`, in which
`metadata: {version: 0.0, interleaved_format: false}` is enough. Nothing is fetched (`HF_HUB_OFFLINE=1`).

writes into `tests/reference/logs`. The model is a table of answers: three versions of it, `a` the original, `b` and `c` later ones.

Published shapes, and where they were read: VLMEvalKit e8e78f0 (`vlmeval/inference.py`, `vlmeval/dataset/image_mcq.py`: a sheet without the image column,
`prediction` behind the rest; `_result` files with `hit` and `log`), NeMo Evaluator 0.3.0 (`engine/eval_loop.py`, `engine/artifacts.py`), OpenVINO
who-what-benchmark (`text_evaluator.py`, `visualtext_evaluator.py`: `DataFrame.to_csv`), LLaVA (`llava/eval/model_vqa_loader.py`).
"""

import json
import re
import shutil
import sys
from pathlib import Path

OUT = Path(__file__).resolve().parent / "logs"
VERSIONS = ("a", "b", "c")

# id, image, question, gold, and the answers of the three versions
YES_NO = [
    ("cat", "Is there a cat in the image?", "yes", "Yes", "Yes.", "No"),
    ("cat", "Is there a dog in the image?", "no", "No", "No", "No"),
    ("street", "Is there a bus in the image?", "yes", "yes", "no", "yes"),
    ("street", "Is there a tree in the image?", "no", "Yes, there is.", "No, there is not.", "Yes"),
    ("desk", "Is there a lamp in the image?", "yes", "Yes", "Yes", "Yes"),
    ("desk", "Is there a cup in the image?", "no", "No", "Maybe", "I cannot say"),
    ("beach", "Is there a boat in the image?", "yes", "No", "No", "Yes"),
    ("beach", "Is there a ball in the image?", "no", "no", "no", "no"),
]
# question, options, gold, answers; no options: an open question
EXAM = [
    ("Which shape has three sides?", ["circle", "triangle", "square", "star"], "B", "B", "B", "(B)"),
    ("Which is the largest?", ["one", "two", "three", "four"], "D", "D", "C", "D"),
    ("Which is a colour?", ["red", "tall", "loud", "cold"], "A", "B", "A", "A"),
    ("Which comes first?", ["Tuesday", "Monday", "Friday", "Sunday"], "B", "I am not sure.", "It depends.", "I am not sure."),
    ("How many legs has a spider?", None, "8", "8", "8", "The answer is 8."),
    ("How many days has a week?", None, "7", "The answer is 7.", "6", "7"),
    ("What colour is snow?", None, "white", "white", "White", "grey"),
    ("What do bees make?", None, "honey", "wax", "pollen", "honey"),
]
# question, gold, answers: a number is to stand behind "####"
SUMS = [
    ("What is 2 + 3?", "5", "2 + 3 = 5. #### 5", "2 and 3 make 5. #### 5", "#### 6"),
    ("What is 4 + 4?", "8", "#### 8", "#### 9", "#### 8"),
    ("What is 10 - 7?", "3", "It is 3.", "That would be 3.", "#### 3"),
    ("What is 6 * 7?", "42", "#### 41", "#### 42", "#### 40"),
    ("What is 9 / 3?", "3", "#### 3", "#### 3", "#### 3"),
    ("What is 5 + 6?", "11", "#### 11", "#### 11", "eleven"),
]
# question, options, index of the gold option, and the versions' log-likelihoods of the options
CHOICES = [
    ("The sky is", ["blue", "green", "loud"], 0, [-1.0, -2.5, -6.0], [-1.2, -2.4, -6.1], [-2.0, -1.5, -6.0]),
    ("Fire is", ["cold", "hot", "wet"], 1, [-4.0, -0.5, -3.0], [-3.9, -0.6, -3.1], [-4.0, -0.5, -3.0]),
    ("Grass is", ["red", "blue", "green"], 2, [-3.0, -1.0, -1.1], [-3.0, -1.1, -1.0], [-0.9, -1.0, -1.1]),
    ("Ice is", ["warm", "cold", "dry"], 1, [-2.0, -1.9, -3.0], [-1.9, -2.0, -3.0], [-2.0, -1.9, -3.0]),
]


def write_json_lines(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def lm_eval(work):
    from lm_eval import simple_evaluate
    from lm_eval.api.model import LM
    from lm_eval.loggers import EvaluationTracker
    from lm_eval.tasks import TaskManager

    tasks = work / "tasks"
    tasks.mkdir(parents=True)
    write_json_lines(tasks / "sums.jsonl", [{"question": q, "answer": gold} for q, gold, *_ in SUMS])
    write_json_lines(tasks / "choices.jsonl", [{"question": q, "options": o, "gold": g} for q, o, g, *_ in CHOICES])
    (tasks / "sums.yaml").write_text(f"""task: sums
dataset_path: json
dataset_kwargs: {{data_files: {{test: {tasks / 'sums.jsonl'}}}}}
test_split: test
output_type: generate_until
doc_to_text: "Question: {{{{question}}}}\\nAnswer:"
doc_to_target: "{{{{answer}}}}"
generation_kwargs: {{until: ["\\n"], do_sample: false, max_gen_toks: 32}}
metric_list:
  - {{metric: exact_match, aggregation: mean, higher_is_better: true}}
filter_list:
  - name: strict-match
    filter: [{{function: regex, regex_pattern: "#### (\\\\-?[0-9]+)"}}, {{function: take_first}}]
  - name: flexible-extract
    filter: [{{function: regex, group_select: -1, regex_pattern: "(-?[0-9]+)"}}, {{function: take_first}}]
metadata: {{version: 1.0}}
""")
    (tasks / "choices.yaml").write_text(f"""task: choices
dataset_path: json
dataset_kwargs: {{data_files: {{test: {tasks / 'choices.jsonl'}}}}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{question}}}}"
doc_to_choice: "{{{{options}}}}"
doc_to_target: "{{{{gold}}}}"
metric_list:
  - {{metric: acc, aggregation: mean, higher_is_better: true}}
  - {{metric: acc_norm, aggregation: mean, higher_is_better: true}}
metadata: {{version: 1.0}}
""")

    class Table(LM):
        def __init__(self, version):
            super().__init__()
            self.at = VERSIONS.index(version)

        def generate_until(self, requests):
            answers = {f"Question: {q}\nAnswer:": answers[self.at] for q, _, *answers in SUMS}
            return [answers[request.args[0]] for request in requests]

        def loglikelihood(self, requests):
            said = {(q, " " + o): likely[self.at][i] for q, options, _, *likely in CHOICES for i, o in enumerate(options)}
            values = [said[request.args] for request in requests]
            return [(value, value > -1.05) for value in values]

        def loglikelihood_rolling(self, requests):
            raise NotImplementedError

    for version in VERSIONS:
        out = work / version
        tracker = EvaluationTracker(output_path=str(out))
        tracker.general_config_tracker.log_experiment_args(model_source="table", model_args=f"version={version}", system_instruction=None, chat_template=None, fewshot_as_multiturn=False)
        found = simple_evaluate(Table(version), tasks=["sums", "choices"], task_manager=TaskManager(include_path=str(tasks), include_defaults=False), log_samples=True, bootstrap_iters=0)
        samples = found.pop("samples")
        tracker.save_results_aggregated(results=found, samples=samples)
        for task in found["configs"]:
            tracker.save_results_samples(task_name=task, samples=samples[task])
        target = OUT / "lm-eval" / version
        shutil.rmtree(target, ignore_errors=True)
        for file in sorted(out.rglob("*.json*")):
            stamp = "2026-01-0" + str(1 + VERSIONS.index(version)) + "T00-00-00.000000"
            name = file.name.split("_202")[0] + f"_{stamp}{file.suffix}"
            text = file.read_text().replace(str(tasks), "tasks")
            if file.suffix == ".json":
                found = json.loads(text)
                found["pretty_env_info"], found["git_hash"] = "", None
                text = json.dumps(found, indent=1)
            target.mkdir(parents=True, exist_ok=True)
            (target / name).write_text(text)


def lmms_eval(work):
    import datasets
    from importlib.metadata import version as version_of
    from lmms_eval import evaluator
    from lmms_eval.api.model import lmms
    from lmms_eval.loggers import EvaluationTracker
    from lmms_eval.tasks import TaskManager
    from PIL import Image

    release = version_of("lmms-eval")
    tasks = work / "tasks"
    tasks.mkdir(parents=True)
    grey = Image.new("RGB", (8, 8), (128, 128, 128))
    pope = [
        {"id": str(i), "question_id": str(i), "question": q, "answer": gold, "image_source": image, "image": grey, "category": "adversarial"}
        for i, (image, q, gold, *_) in enumerate(YES_NO)
    ]
    exam = []
    for i, (q, options, gold, *_) in enumerate(EXAM):
        kind = "multiple-choice" if options else "open"
        row = {"id": f"validation_Math_{i + 1}", "question": f"<image 1> {q}", "options": repr(options or []), "answer": gold, "question_type": kind}
        exam.append({**row, "image_1": grey})
    for name, rows in (("pope_ours", pope), ("mmmu_val_ours", exam)):
        (tasks / name).mkdir()
        datasets.Dataset.from_list(rows, features=None).cast_column("image" if name == "pope_ours" else "image_1", datasets.Image()).to_parquet(
            tasks / name / "test.parquet"
        )
    (tasks / "pope_utils.py").write_text("from lmms_eval.tasks.pope.utils import *\n")
    (tasks / "mmmu_utils.py").write_text("from lmms_eval.tasks.mmmu.utils import *\n")
    (tasks / "pope_ours.yaml").write_text(f"""task: pope_ours
dataset_path: parquet
dataset_kwargs: {{data_files: {{test: {tasks / 'pope_ours' / 'test.parquet'}}}}}
test_split: test
output_type: generate_until
doc_to_visual: !function pope_utils.pope_doc_to_visual
doc_to_text: !function pope_utils.pope_doc_to_text
doc_to_target: "answer"
generation_kwargs: {{max_new_tokens: 128, temperature: 0, do_sample: false}}
process_results: !function pope_utils.pope_process_results
metric_list:
  - metric: pope_accuracy
    aggregation: !function pope_utils.pope_aggregate_accuracy
    higher_is_better: true
lmms_eval_specific_kwargs:
  default: {{pre_prompt: "", post_prompt: "\\nAnswer the question using a single word or phrase."}}
metadata:
  - version: 0.0
""")
    (tasks / "mmmu_val_ours.yaml").write_text(f"""task: mmmu_val_ours
dataset_path: parquet
dataset_kwargs: {{data_files: {{test: {tasks / 'mmmu_val_ours' / 'test.parquet'}}}}}
test_split: test
output_type: generate_until
doc_to_visual: !function mmmu_utils.mmmu_doc_to_visual
doc_to_text: !function mmmu_utils.mmmu_doc_to_text
doc_to_target: "answer"
generation_kwargs: {{max_new_tokens: 128, temperature: 0, do_sample: false}}
process_results: !function mmmu_utils.mmmu_process_results
metric_list:
  - metric: mmmu_acc
    aggregation: !function mmmu_utils.mmmu_aggregate_results
    higher_is_better: true
lmms_eval_specific_kwargs:
  default:
    prompt_type: "format"
    multiple_choice_prompt: "Answer with the option's letter from the given choices directly."
    open_ended_prompt: "Answer the question using a single word or phrase."
metadata:
  - version: 0.0
""")

    class Table(lmms):
        is_simple = True

        def __init__(self, version):
            super().__init__()
            self.at = VERSIONS.index(version)

        def generate_until(self, requests):
            answers = {"pope_ours": [answers for *_, a, b, c in YES_NO for answers in [(a, b, c)]], "mmmu_val_ours": [answers[-3:] for answers in EXAM]}
            return [answers[request.args[4]][request.args[3]][self.at] for request in requests]

        def loglikelihood(self, requests):
            raise NotImplementedError

        def generate_until_multi_round(self, requests):
            raise NotImplementedError

    for version in VERSIONS:
        out = work / version
        tracker = EvaluationTracker(output_path=str(out))
        tracker.general_config_tracker.log_experiment_args(model_source="table", model_args=f"version={version}", system_instruction=None, chat_template=None, fewshot_as_multiturn=False)
        found = evaluator.simple_evaluate(
            Table(version),
            tasks=["pope_ours", "mmmu_val_ours"],
            task_manager=TaskManager(include_path=str(tasks), include_defaults=False),
            log_samples=True,
            bootstrap_iters=0,
            evaluation_tracker=tracker,
            datetime_str="20260101_000000",
            cli_args=__import__("argparse").Namespace(output_path=str(out), process_with_media=False, seed=[0, 1234, 1234, 1234]),
        )
        samples = found.pop("samples")
        tracker.save_results_aggregated(results=found, samples=samples, datetime_str="20260101_000000")
        for task in found["configs"]:
            tracker.save_results_samples(task_name=task, samples=samples[task])
        target = OUT / f"lmms-eval-{release}" / version
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        stamp = "2026010" + str(1 + VERSIONS.index(version)) + "_000000"
        for file in sorted(out.rglob("*.json*")):
            if file.name.endswith("_results.json"):
                found = json.loads(file.read_text().replace(str(tasks), "tasks").replace(str(out), "out"))
                found["git_hash"] = None
                (target / f"{stamp}_results.json").write_text(json.dumps(found, indent=1))
            elif "_samples_" in file.name:
                (target / (stamp + "_samples_" + file.name.split("_samples_")[1])).write_text(file.read_text())


def inspect(work):
    from inspect_ai import Task, eval as run
    from inspect_ai.dataset import Sample
    from inspect_ai.log import read_eval_log, write_eval_log
    from inspect_ai.model import ChatMessageUser, ModelOutput, get_model
    from inspect_ai.scorer import choice, match
    from inspect_ai.solver import generate, multiple_choice

    # tokens are counted by a vocabulary that is fetched; words will do
    import types
    import tiktoken

    tiktoken.get_encoding = lambda name: types.SimpleNamespace(encode=lambda text, **_: text.split())
    letters = "ABCD"
    for version in VERSIONS:
        at = VERSIONS.index(version)
        target = OUT / "inspect" / version
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        exam = [(q, options, gold, said) for q, options, gold, *said in EXAM if options]
        outputs = [ModelOutput.from_content("mockllm/model", f"ANSWER: {s[at]}" if s[at][0] in letters and len(s[at]) == 1 else s[at]) for *_, s in exam]
        task = Task(
            name="exam",
            dataset=[Sample(id=f"exam-{i}", input=q, choices=options, target=gold) for i, (q, options, gold, _) in enumerate(exam)],
            solver=multiple_choice(),
            scorer=choice(),
        )
        logs = run(task, model=get_model("mockllm/model", custom_outputs=outputs), log_dir=str(work / version), log_format="eval", max_samples=1, max_connections=1, temperature=0.0, display="none")
        write_eval_log(logs[0], str(target / "exam.eval"))
        if version == "a":
            write_eval_log(read_eval_log(str(target / "exam.eval")), str(target.parent / "a.json"), format="json")


def shapes(work):
    """Tools that do not run here: their files, written by the same calls."""
    import pandas

    exam = [(q, options, gold, said) for q, options, gold, *said in EXAM if options]
    for at, version in enumerate(VERSIONS):
        rows = [
            {"index": i, "question": q, **dict(zip("ABCD", options)), "answer": gold, "category": "exam", "prediction": said[at]}
            for i, (q, options, gold, said) in enumerate(exam)
        ]
        target = OUT / "vlmevalkit"
        target.mkdir(parents=True, exist_ok=True)
        if version == "c":
            pandas.DataFrame(rows).to_csv(target / "c_Exam.tsv", sep="\t", index=False)
        else:
            pandas.DataFrame(rows).to_excel(target / f"{version}_Exam.xlsx", index=False, engine="xlsxwriter")
        results = []
        for i, (q, gold, *said) in enumerate(SUMS):
            found = strict(said[at])
            results.append({
                "problem_idx": i, "repeat": 0, "reward": float(found == gold), "scorer_rewards": {}, "prompt": q, "model_response": said[at],
                "extracted_answer": found, "expected_answer": gold, "scoring_details": {"method": "regex"}, "metadata": {}, "tokens": 12, "latency_ms": 1.5,
            })
        write_json_lines(OUT / "nemo" / version / "results.jsonl", results)
        config = {"model": f"table-{version}", "temperature": 0.0, "max_tokens": 32, "benchmark": "sums", "repeats": 1}
        bundle = {
            "run_id": f"eval-2026010{at + 1}T000000Z-sums", "config_hash": "sha256:0", "sdk_version": "0.3.0", "timestamp": f"2026-01-0{at + 1}T00:00:00+00:00",
            "config": config, "benchmark": {"name": "sums", "samples": len(SUMS), "repeats": 1, "scores": {}}, "n_results": len(SUMS),
        }
        (OUT / "nemo" / version / f"{bundle['run_id']}.json").write_text(json.dumps(bundle, indent=2))
        (OUT / "who-what").mkdir(exist_ok=True)
        pandas.DataFrame({
            "prompts": [q for _, q, *_ in YES_NO], "answers": [said[at] for *_, a, b, c in YES_NO for said in [(a, b, c)]], "images": [f"{image}.png" for image, *_ in YES_NO],
        }).to_csv(OUT / "who-what" / f"{version}.csv")
        write_json_lines(OUT / "llava" / f"{version}.jsonl", [
            {"question_id": i, "prompt": q, "text": said[at], "answer_id": f"{version}{i}", "model_id": f"table-{version}", "metadata": {}}
            for i, (_, q, _, *said) in enumerate(YES_NO)
        ])
        (OUT / "table").mkdir(exist_ok=True)
        pandas.DataFrame({
            "id": range(len(YES_NO)), "image": [row[0] for row in YES_NO], "question": [row[1] for row in YES_NO], "gold": [row[2] for row in YES_NO],
            "prediction": [row[3 + at] for row in YES_NO],
        }).to_csv(OUT / "table" / f"{version}.csv", index=False)


def strict(said):
    found = re.search(r"#### (-?[0-9]+)", said)
    return found and found.group(1)


def flexible(said):
    found = re.findall(r"(-?[0-9]+)", said)
    return found[-1] if found else None


def yes_or_no(said):
    words = re.findall(r"[a-z]+", said.lower())
    return "yes" if "yes" in words and "no" not in words else "no" if "no" in words and "yes" not in words else None


def plain(said):
    return " ".join(word for word in re.findall(r"[a-z0-9]+", said.lower()) if word not in ("a", "an", "the"))


def letter(said):
    found = re.fullmatch(r"\(?([A-D])\)?", said)
    return found and found.group(1)


def expected(work):
    """Counts of every pair, from the answers alone: what is read in each reply, and whether that is the gold answer."""

    def answers(rows, gold_at, read, right=lambda read, gold: read == gold):
        # what cannot be read is the same only if it says the same
        columns = []
        for at in range(3):
            column = []
            for row in rows:
                said, gold = row[-3 + at], row[gold_at]
                found = read(said)
                column.append((("read", found) if found is not None else ("said", said.strip()), found is not None and right(found, gold)))
            columns.append(column)
        return columns

    exam = [row for row in EXAM if row[1]]
    opened = [row for row in EXAM if not row[1]]

    def open_answer(said):
        number = flexible(said)
        return number or plain(said)

    best = [(q, str(gold), *[str(likely.index(max(likely))) for likely in said]) for q, _, gold, *said in CHOICES]
    announced = lambda said: said if re.fullmatch("[A-D]", said) else None
    cases = {
        "yes_no": answers(YES_NO, 2, yes_or_no),
        "exam": answers(exam, 2, letter),
        "open": answers(opened, 2, open_answer),
        "announced": answers(exam, 2, announced),
        "strict": answers(SUMS, 1, strict),
        "flexible": answers(SUMS, 1, flexible),
        "choices": answers(best, 1, lambda said: said),
        "words": answers(YES_NO, 2, plain, lambda read, gold: False),
    }
    counted = {}
    for name, columns in cases.items():
        for before, after in ((0, 1), (0, 2), (1, 2)):
            pairs = list(zip(columns[before], columns[after]))
            changed = [(a, b) for a, b in pairs if a[0] != b[0]]
            counted[f"{name} {VERSIONS[before]}{VERSIONS[after]}"] = {
                "questions": len(pairs),
                "changed": len(changed),
                "broken": sum(a[1] and not b[1] for a, b in changed),
                "repaired": sum(b[1] and not a[1] for a, b in changed),
                "right_before": sum(a[1] for a, _ in pairs),
                "right_after": sum(b[1] for _, b in pairs),
            }
    OUT.mkdir(exist_ok=True)
    (OUT / "expected.json").write_text("{\n" + ",\n".join(f"{json.dumps(name)}: {json.dumps(value)}" for name, value in counted.items()) + "\n}\n")


def main():
    work = Path(sys.argv[2] if len(sys.argv) > 2 else "/tmp/steady-logs") / sys.argv[1]
    shutil.rmtree(work, ignore_errors=True)
    {"lm-eval": lm_eval, "lmms-eval": lmms_eval, "inspect": inspect, "shapes": shapes, "expected": expected}[sys.argv[1]](work)


if __name__ == "__main__":
    main()
