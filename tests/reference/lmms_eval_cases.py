"""Prompts and scores of published benchmarks, for `crates/bench/tests/question_files/official.rs`.

    pip install pyarrow pillow numpy pandas pyyaml loguru tqdm && pip download --no-deps lmms-eval==0.7.3 && unzip lmms_eval-*.whl -d DIR
    python tests/reference/lmms_eval_cases.py DIR

calls lmms-eval's own functions: `doc_to_text` with the default arguments of the task file, and `process_results` (GQA and AI2D have none and are scored
by the registered metric `exact_match`, AI2D behind its filter; DocVQA by `anls`; MMBench's and MMMU's are in their aggregation). It writes `crates/bench/tests/reference/lmms_eval.json` and, beside it, a parquet file
for each benchmark with the columns that its data set publishes. Questions, answers and pictures are made up here.
"""

import ast
import copy
import importlib
import io
import json
import random
import re
import string
import sys
import types
import zipfile
from pathlib import Path

import numpy
import pandas
import pyarrow
import pyarrow.parquet
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "crates/bench/tests/reference"
WHEEL = Path(sys.argv[1]).resolve()
SHORT = "\nAnswer the question using a single word or phrase."
UNANSWERABLE = "\nWhen the provided information is insufficient, respond with 'Unanswerable'." + SHORT
LETTER = "\nAnswer with the option's letter from the given choices directly."


def stub(name, **attributes):
    module = types.ModuleType(name)
    module.__dict__.update(attributes)
    sys.modules[name] = module


def of_lmms_eval():
    """The task modules without the rest of the package, which needs a hundred others."""
    for name in ["lmms_eval", "lmms_eval.tasks", "lmms_eval.filters", "lmms_eval.api"]:
        package = types.ModuleType(name)
        package.__path__ = [str(WHEEL / name.replace(".", "/"))]
        sys.modules[name] = package
    stub("datasets", Dataset=object, load_dataset=None)
    stub("huggingface_hub", snapshot_download=None)
    stub("lmms_eval.api.instance", Instance=object)
    # what would ask a judge
    stub("requests")
    stub("lmms_eval.verifiers", VerificationPipeline=object)
    stub("lmms_eval.verifiers.openai", OpenAIVerifier=object)
    names = ["pope", "mme", "gqa", "textvqa", "vqav2", "vizwiz_vqa", "ok_vqa", "scienceqa", "ai2d", "chartqa", "seedbench", "slake", "docvqa", "mmstar", "realworldqa", "mmmu"]
    tasks = {name: importlib.import_module(f"lmms_eval.tasks.{name}.utils") for name in names}
    tasks["mmbench"] = importlib.import_module("lmms_eval.tasks.mmbench.en_utils")
    tree = ast.parse((WHEEL / "lmms_eval/api/metrics.py").read_text())
    names = ["exact_match_hf_evaluate", "anls", "levenshtein_distance"]
    wanted = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name in names]
    scope = {"np": numpy, "re": re, "string": string, "register_metric": lambda **_: lambda function: function}
    exec(compile(ast.Module(wanted, []), "metrics.py", "exec"), scope)
    return tasks, scope["exact_match_hf_evaluate"], scope["anls"]


def picture(n):
    file = io.BytesIO()
    Image.new("RGB", (8 + n, 8), (40 * n % 256, 90, 160)).save(file, "PNG")
    return {"bytes": file.getvalue(), "path": None}


YES_NO = ["yes", "no", "Yes", "NO", " yes ", "yes.", "No.", "yes, there is", "no there is not", "Yes, I can see a cat.", "y", "n", "Y.", "N", "k", "", " ", "maybe",
          "not", "nope", "I see no cat", "The answer is yes", "a no", "ayes", "noyes", "yes no", "ja", "yeah", "\nyes\n", "YES!", "“yes”", "n.o", "y e s", "ye", ". yes"]
VQA_GOLD = [["blue"] * 10, ["blue"] * 3 + ["red"] * 7, ["blue"] + ["navy"] * 9, ["blue", "blue"] + ["x"] * 8, ["two", "2", "2.", "two", "2", "1", "3", "2 dogs", "a 2", "the two"],
            ["don't", "dont", "do not", "don't know"] * 2 + ["dont", "no"], ["U.S.A.", "usa", "USA", "u.s.a"] * 2 + ["us", "america"],
            ["1,000", "1000", "1000", "1,000 dogs", "thousand", "1000.0", "3.5", "3.5", "3,5", "1000"], ["unanswerable"] * 6 + ["unsuitable"] * 4,
            ["it's a dog's", "its a dogs", "dog's", "dog", "dog", "dog's", "the dog", "a dog", "Dog", "DOG"]]
VQA_REPLIES = ["blue", "Blue.", "a blue", "BLUE!", "navy", "two", "2", "dont", "don't", "u.s.a.", "USA", "1,000", "1000", "3.5", "unanswerable", "Unanswerable.", "dog's",
               "the dog", "", "two-way", "x", "blue, red", "blue?", "blue\n", "\tblue", "(blue)", "blue/red", "it's", "none", "zero", "." * 40, "10,000,000 dogs", "a", "the"]
LETTERS = ["A", "B", "b", "A.", "B. blue", "b. blue", "(B)", "B)", " B", "B ", "\nB", "Answer: B", "B.", "A) red", "blue", "Z", "", "AB", "b.", "É.", "B.blue", " B. blue", "B,",
           "The answer is B.", "C. green", "B\nbecause", "\"B\"", "B:", "-B-", "B B", "a"]
CHART_GOLD = ["12", "0", "12%", "0.5", "Yes", "2015", "-4", "1e3", "12.0%", "0%", "Red, Blue", "1,000", "nan", "inf", "٣"]
CHART_REPLIES = ["12", "12.5", "12.6", "12.61", "11.4", "11.39", "0", "0.0", "12%", "0.12", "0.125", "yes", "Yes", " yes", "YES.", "2015", "2016", "1910", "-4", "4", "1000", "1_000",
                 "1,000", "nan", "inf", "", "%", "12%%", " 12 ", "1e3", "red, blue", "about 12", "+12", ".5", "5.", "Infinity", "1__0", "_1", "٣"]
SLAKE_GOLD = ["Yes", "No", "X-Ray", "Left Lung, Right", "MRI (T2)", "没有"]
SLAKE_REPLIES = ["yes", "Yes.", "yeah", "true", "no", "Nope!", "false", "x-ray", "X ray", "xray", "x-ray image", "left lung, right", "Left lung right", "left lung (upper), right", "mri",
                 "MRI (T1)", "mri (t2", "mri t2)", "MRI（T2）", "是的", "没有。", "不是", "", "()", "yes (probably)", "yes, no", "no no", "  No  ", "left-lung/right", "((mri)) ", "MRI ) ("]
EXACT_GOLD = ["yes", "Left", "black", "t-shirt", "No."]
EXACT = ["yes", "Yes.", "yes ", "no", "left", "LEFT!", "the left", "black", "Black,", "t-shirt", "tshirt", "T shirt", "", "bl.ack", "“black”", "yes, sir", "no.", "'no'", "No", " yes", "left left"]
OPTIONS = ["red", "dark red", "The blue one", "a (B) b", "None of the above"]
LETTERED = LETTERS + ["(A)", "the answer is (C).", "The correct answer is D", "I choose option B because A is wrong", "A is wrong, B is wrong, so C", "(A) or (B)", "(B) or (A)", "B. or A.", "A: red, B: dark red",
                      "A dog", "A dog is here now", "A dog is here now.", "An apple", "BAD", "CAB", "I think it is dark red", "I think that it is surely red, not blue", "it is the blue one, I would say", "DARK RED", "E", "E.", "(E)",
                      "none of the above", "None of the above is what I would choose here", "A B", "A B C D and so on it goes", "A. B. C.", "C ", "(D).", ":B", ":C).", "D,", "'C'", "\"D\"", "**B**", "B\n\nBecause A is red", "¿B?", "Å", "B1", "1B", "xB", "Bx",
                      "답은 B", "答案是C", "选D", "The answer is: b", "the answer is Beautiful", "My choice is between A and C", "option a", "!B!", "?", ".", "a (B) b", "FINAL: C.", "A, B, C or D", "It must be E because of that"]
OPEN_GOLD = ["42", "cat", "B", "3.5", "1,000", "-7", "0.333", "New York", "x = 2", "", "1e3", "50%", "['a', 'b']"]
OPEN_REPLIES = ["42", "The answer is 42.", "42.0", "42.004", "42.006", "It is a cat", "cat", "Cats", "so the result is cat.", "B", "It is B", "b.", "a b c", "3.5", "3.50 m", "three", "1,000", "1000", "1,000,0001", "it is 1,000 dollars", "-7", "= -7", "minus 7",
                "0.33", "0.3333", "1/3", ".333", "new york", "It could be New York City", "x = 2", "the equation is x=2", "2", "First it is 1\nThen it is 2\nThus x = 3", "so is so", "is ", "is :", "", ".", "1e3", "1.0e+3 N", "5e", "3.14159e5x", "v1.2.3", "a-1,000b", "12,34", "50%", "50 %", "50",
                "['a', 'b']", "a", "final answer 7, result -7", "therefore 1_000", "nan", "inf", "is 0.5. It is 3.5", "Is it 42? So what", "42\n", "7e-1,000", "3 . 5", "²"]
ANLS_GOLD = [["Paris"], ["12 March 2020", "March 12, 2020"], ["  University   of California "], ["", "x"], ["ß"], ["$1,234.56"], [""]]
ANLS_REPLIES = ["Paris", "paris", " Paris ", "Pariss", "Pa", "Paris.", "London", "12 march 2020", "12  March   2020", "march 12 2020", "university of california", "University of Californi", "UCLA", "", " ", "x", "xx", "SS", "ß", "$1,234.56", "1234.56", "$1,234.5", "\nParis\n", "París", "parís",
                "The answer is Paris", "P A R I S", "Parisian", "12/03/2020", "2020", "  ", "University\tof\tCalifornia"]
REAL_GOLD = ["A", "c", "0", "Downhill", "Yes.", "2 cars"]
REAL_REPLIES = LETTERED + ["0", "0.", "zero", "downhill", "Downhill.", " DOWNHILL ", "yes", "Yes.", "Yes..", "2 cars", "2 Cars.", "two cars", ".", "0..", "it is downhill"]


def mm_bench(task, gold, reply):
    """One question that stands there once, by the whole of `eval_sub_data` without a judge."""
    row = {"index": 1, "answer": gold, "prediction": reply.strip(), **dict(zip("ABCD", OPTIONS))}
    return float(task.mmbench_evaluator.eval_sub_data(pandas.DataFrame([row]), {1: gold}, static_only=True))


def mmmu(task, gold, reply, options):
    """One question; the letter that is drawn where none is found is never the right one."""
    random.choice = lambda letters: "drawn"
    doc = {"id": "validation_Art_1", "answer": gold, "question_type": "multiple-choice" if options else "open", "options": str(options)}
    return task.evaluate_mmmu([task.mmmu_process_results(doc, [reply])["mmmu_acc"]])[1]["acc"]


def main():
    tasks, exact_match, anls = of_lmms_eval()
    exact = lambda gold, reply: float(exact_match([reply], [gold], ignore_case=True, ignore_punctuation=True)["exact_match"])
    vqa_doc = lambda gold: {"question_id": 1, "answers": list(gold)}
    options = ["red", "blue", "green"]

    def ai2d(gold, reply):
        kept = object.__new__(tasks["ai2d"].MultiChoiceRegexFilter).apply([[reply]], [{}])[0]
        return exact(gold, kept)

    def vqav2(gold, reply):
        answers = [{"answer": answer, "answer_confidence": "yes", "answer_id": i} for i, answer in enumerate(gold)]
        return float(tasks["vqav2"].vqav2_process_results({"question_id": 1, "answers": answers}, [reply])["exact_match"])

    scorers = {
        "pope": [([gold], reply, tasks["pope"].pope_process_results({"answer": gold, "question_id": 1}, [reply])["pope_accuracy"]["score"]) for gold in ["yes", "no"] for reply in YES_NO],
        "mme": [([gold], reply, tasks["mme"].mme_process_results({"answer": gold, "question_id": 1, "category": "OCR"}, [reply])["mme_perception_score"]["score"]) for gold in ["yes", "no"] for reply in YES_NO],
        "exact_match": [([gold], reply, exact(gold, reply)) for gold in EXACT_GOLD for reply in EXACT],
        "vqa": [(gold, reply, float(tasks["textvqa"].textvqa_process_results(vqa_doc(gold), [reply])["exact_match"])) for gold in VQA_GOLD for reply in VQA_REPLIES],
        "vqa_v2": [(gold, reply, vqav2(gold, reply)) for gold in VQA_GOLD for reply in VQA_REPLIES],
        "science_qa": [(["ABC"[index]], reply, tasks["scienceqa"].sqa_process_results({"choices": options, "answer": index}, [reply])["exact_match"]) for index in (0, 1) for reply in LETTERS],
        "ai2d": [(["ABC"[index]], reply, ai2d("ABC"[index], reply)) for index in (0, 1) for reply in LETTERS],
        "chart_qa": [([gold], reply, tasks["chartqa"].chartqa_process_results({"answer": gold, "type": "human_test"}, [reply])["relaxed_overall"]) for gold in CHART_GOLD for reply in CHART_REPLIES],
    }
    seed = lambda gold, reply: tasks["seedbench"].seed_process_result({"answer": gold, "data_type": "image", "question_id": 1}, [reply])["seed_image"]
    scorers["seed"] = [([gold], reply, float(seed(gold, reply)["pred"].lower().strip() == gold.lower().strip())) for gold in ("A", "B") for reply in LETTERS]
    slake = lambda gold, reply: tasks["slake"].slake_process_results({"answer": gold}, [reply])["slake_accuracy"]["is_correct"]
    scorers["slake"] = [([gold], reply, float(slake(gold, reply))) for gold in SLAKE_GOLD for reply in SLAKE_REPLIES]
    scorers["anls"] = [(gold, reply, float(anls(gold, [reply])["anls"])) for gold in ANLS_GOLD for reply in ANLS_REPLIES]
    scorers["mm_star"] = [([gold], reply, tasks["mmstar"].mmstar_process_results({"answer": gold, "category": "c", "l2_category": "l", "index": 1}, [reply])["average"]["score"]) for gold in ("A", "B", "D") for reply in LETTERED]
    scorers["real_world_qa"] = [([gold], reply, tasks["realworldqa"].realworldqa_process_results({"answer": gold}, [reply])["exact_match"]) for gold in REAL_GOLD for reply in REAL_REPLIES]
    scorers["mm_bench"] = [([gold], reply, mm_bench(tasks["mmbench"], gold, reply), OPTIONS[:4]) for gold in "ABD" for reply in LETTERED]
    scorers["mmmu"] = [([gold], reply, mmmu(tasks["mmmu"], gold, reply, OPTIONS), OPTIONS) for gold in "ABCE" for reply in LETTERED]
    scorers["mmmu_open"] = [([gold], reply, mmmu(tasks["mmmu"], gold, reply, None)) for gold in OPEN_GOLD for reply in OPEN_REPLIES]
    # VizWiz and OK-VQA have copies of TextVQA's function.
    for name in ["vizwiz_vqa", "ok_vqa"]:
        process = getattr(tasks[name], f"{name}_process_results")
        for gold, reply, score in scorers["vqa"]:
            assert float(process(vqa_doc(gold), [reply])["exact_match"]) == score

    short = {"pre_prompt": "", "post_prompt": SHORT}
    unanswerable = {"pre_prompt": "", "post_prompt": UNANSWERABLE}
    answers = [["blue"] * 10, ["unanswerable"] * 4 + ["red", "a red one"] * 3]
    docs = {
        "pope": [{"id": str(n), "question_id": str(n + 1), "question": question, "answer": answer, "image_source": "COCO_1", "category": category, "image": picture(n // 2)}
                 for n, (question, answer, category) in enumerate([("Is there a cat in the image?", "yes", "random"), (" Is there a dog in the image? ", "no", "popular"), ("Is there a tie?", "no", "adversarial")])],
        "mme": [{"question_id": f"OCR/{n // 2:04}.png", "question": question, "answer": answer, "category": "OCR", "image": picture(n // 2)}
                for n, (question, answer) in enumerate([("Is the word in the logo \"angie's\"? Please answer yes or no.", "Yes"), ("Is the word in the logo \"angle's\"? Please answer yes or no.", "No"), ("Is it? Please answer yes or no. ", "Yes"), ("No?", "No")])],
        "gqa": [{"id": f"20{n}", "imageId": f"n{n % 2}", "question": question, "answer": answer, "fullAnswer": "", "isBalanced": True} for n, (question, answer) in enumerate([("Is it overcast?", "no"), ("Who is wearing the dress?", "woman"), ("Which color?", "black")])],
        "textvqa": [{"image_id": f"i{n}", "question_id": 34602 + n, "question": question, "image_width": 8, "answers": given, "ocr_tokens": ["A"], "image": picture(n)} for n, (question, given) in enumerate(zip(["what is THE brand of this camera?", "ÉTÉ? What"], answers))],
        "vqav2": [{"question_type": "what", "multiple_choice_answer": given[0], "answers": [{"answer": answer, "answer_confidence": "yes", "answer_id": i + 1} for i, answer in enumerate(given)], "image_id": n, "answer_type": kind, "question_id": 100 + n, "question": question, "image": picture(n)}
                  for n, (question, given, kind) in enumerate(zip(["What COLOR is it?", "Where?"], answers, ["other", "number"]))],
        "vizwiz": [{"question_id": f"VizWiz_val_{n:08}.jpg", "question": question, "answers": given, "category": kind, "image": picture(n)} for n, (question, given, kind) in enumerate(zip(["Ok. There IS another picture I hope it is a better one.", "what's this?"], answers, ["other", "unanswerable"]))],
        "ok-vqa": [{"question_id": str(29 + n), "question": question, "answers": given, "question_type": "one", "answer_type": "other", "image": picture(n)} for n, (question, given) in enumerate(zip(["What sport can you use this for?", "Name THE type?"], answers))],
        "scienceqa-img": [{"question": question, "choices": options[: 2 + n], "answer": n, "hint": hint, "task": "closed choice", "subject": subject, "image": picture(n)}
                          for n, (question, hint, subject) in enumerate([("Which of these?", "", "natural science"), ("What is it?", "Look at the\npicture.", "language science")])],
        "ai2d": [{"question": question, "options": options + ["none of the above"], "answer": str(n), "image": picture(n)} for n, question in enumerate(["which of these define dairy item", "What is B?"])],
        "chartqa": [{"type": kind, "question": question, "answer": answer, "image": picture(n)} for n, (kind, question, answer) in enumerate([("human_test", "How many food item is shown?", "14"), ("augmented_test", "What is the share?", "12.5%")])],
    }
    docs["seed-bench"] = [{"answer": answer, "choice_a": "One", "choice_b": "Two", "choice_c": "Three", "choice_d": "Four", "data_id": f"1_{n}", "data_type": kind, "question": question, "question_id": f"{n}",
                           "question_type_id": 1 + n, "image": [picture(n)] * frames} for n, (question, answer, kind, frames) in enumerate([("How many towels are there?", "A", "image", 1), ("What is it? ", "D", "image", 1), ("What happens?", "B", "video", 2)])]
    docs["mmbench-en"] = [{"index": index, "question": question, "hint": hint, "answer": answer, **dict(zip("ABCD", given)), "category": "color", "source": "x", "L2-category": "l", "comment": "nan", "split": "dev", "image": picture(n)}
                          for n, (index, question, hint, answer, given) in enumerate([(1, "What is it?", "nan", "B", ["red", "blue", "nan", "nan"]), (1000001, "Which of these?\n", "Look at\nthe picture.", "D", ["1", "2", "3", "4"])])]
    docs["mmstar"] = [{"index": n, "question": question, "image": picture(n), "answer": answer, "category": "math", "l2_category": "geometry", "meta_info": {"source": "x", "split": "val", "image_path": "x.jpg"}}
                      for n, (question, answer) in enumerate([("Which one?\nOptions: A: a, B: b, C: c, D: d ", "A"), ("Is it? Please answer yes or no. Options: A: yes, B: no", "B")])]
    docs["realworldqa"] = [{"image": picture(n), "question": question, "answer": answer, "image_path": "x.webp"} for n, (question, answer) in enumerate(
        [("In which direction?\n\nA. Left\nB. Right\nPlease answer directly with only the letter of the correct option and nothing else.", "B"), (" How many? Please answer directly with a single word or number.", "2")])]
    docs["docvqa"] = [{"questionId": str(49153 + n), "question": question, "question_types": ["handwritten"], "image": picture(n), "docId": 14465 + n, "ucsf_document_id": "x", "ucsf_document_page_no": "4", "answers": given, "data_split": "val"}
                      for n, (question, given) in enumerate([("What is the ‘actual’ value per 1000?", ["0.28"]), ("Which Company? ", ["ITC Limited", "itc limited"])])]
    docs["mmmu"] = [{"id": f"validation_{subject}_{n + 1}", "question": question, "options": given, "explanation": "", **{f"image_{i}": picture(n) if i <= count else None for i in range(1, 8)}, "img_type": "['Diagrams']", "answer": answer, "topic_difficulty": "Easy", "question_type": kind, "subfield": "x"}
                    for n, (subject, question, given, count, answer, kind) in enumerate([("Basic_Medical_Science", "<image 1> What is it?", "['It\\'s red', \"a 'blue' one\", '$\\\\frac{1}{2}$', \"<image 1>\"]", 1, "C", "multiple-choice"),
                                                                                      ("Art", "How many are in <image 1>?", "[]", 1, "42", "open"), ("Art", "Which of <image 1> and <image 2>?", "['x', 'y']", 2, "A", "multiple-choice")])]
    for name in ["vqa-rad", "path-vqa"]:
        docs[name] = [{"image": picture(n), "question": question, "answer": answer} for n, (question, answer) in enumerate([("is there a fracture?", "yes"), (" which organ is it?", "left lung")])]
    to_text = {
        "pope": ("data/test", lambda doc: tasks["pope"].pope_doc_to_text(doc, short)),
        "mme": ("data/test", lambda doc: tasks["mme"].mme_doc_to_text(doc, short)),
        "gqa": ("testdev_balanced_instructions/testdev", lambda doc: tasks["gqa"].gqa_doc_to_text(doc, short)),
        "textvqa": ("data/validation", lambda doc: tasks["textvqa"].textvqa_doc_to_text(doc, {**short, "ocr": False})),
        "vqav2": ("data/validation", lambda doc: tasks["vqav2"].vqav2_doc_to_text(doc, short)),
        "vizwiz": ("data/val", lambda doc: tasks["vizwiz_vqa"].vizwiz_vqa_doc_to_text(doc, unanswerable)),
        "ok-vqa": ("data/val2014", lambda doc: tasks["ok_vqa"].ok_vqa_doc_to_text(doc, unanswerable)),
        "scienceqa-img": ("ScienceQA-IMG/test", lambda doc: tasks["scienceqa"].sqa_doc_to_text(doc, {"format": "default", "pre_prompt": "", "post_prompt": LETTER})),
        "ai2d": ("data/test", lambda doc: tasks["ai2d"].ai2d_doc_to_text(doc, {"prompt_format": "mcq", "pre_prompt": "", "post_prompt": LETTER})),
        "chartqa": ("data/test", lambda doc: tasks["chartqa"].chartqa_doc_to_text(doc, {"pre_prompt": "", "post_prompt": "\nAnswer the question with a single word."})),
    }
    to_text["seed-bench"] = ("data/test", tasks["seedbench"].seed_doc_to_text)
    to_text["mmbench-en"] = ("en/dev", lambda doc: tasks["mmbench"].mmbench_doc_to_text(doc, {"pre_prompt": "", "post_prompt": LETTER}))
    to_text["mmstar"] = ("mmstar", lambda doc: tasks["mmstar"].mmstar_doc_to_text(doc, {"pre_prompt": "", "post_prompt": LETTER.rstrip(".")}))
    to_text["realworldqa"] = ("data/test", lambda doc: tasks["realworldqa"].realworldqa_doc_to_text(doc, {"pre_prompt": "", "post_prompt": ""}))
    to_text["docvqa"] = ("DocVQA/validation", lambda doc: tasks["docvqa"].docvqa_doc_to_text(doc, short))
    to_text["mmmu"] = ("data/validation", lambda doc: tasks["mmmu"].mmmu_doc_to_text(doc, {"prompt_type": "format", "multiple_choice_prompt": LETTER.strip(), "open_ended_prompt": SHORT.strip()}))
    # lmms-eval has none of its own for these two: the prompt of SLAKE
    to_text["vqa-rad"] = to_text["path-vqa"] = ("data/test", lambda doc: tasks["slake"].slake_doc_to_text(doc, short))
    target = {
        "scienceqa-img": tasks["scienceqa"].sqa_doc_to_target,
        "ai2d": lambda doc: tasks["ai2d"].ai2d_doc_to_target(doc, "mcq"),
        "textvqa": lambda doc: doc["answers"],
        "vizwiz": lambda doc: doc["answers"],
        "ok-vqa": lambda doc: doc["answers"],
        "docvqa": lambda doc: doc["answers"],
        "vqav2": lambda doc: [answer["answer"] for answer in doc["answers"]],
    }
    prompts = {}
    for name, rows in docs.items():
        place, text = to_text[name]
        file = OUT / "published" / name / (f"{place}-00000-of-00001.parquet" if "/" in place else f"{place}.parquet")
        file.parent.mkdir(parents=True, exist_ok=True)
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), file, compression="snappy", row_group_size=2)
        # neither videos nor several pictures are asked about
        rows = [row for row in rows if row.get("data_type") != "video" and not row.get("image_2")]
        prompts[name] = [{"prompt": text(copy.deepcopy(row)), "target": target.get(name, lambda doc: doc["answer"])(copy.deepcopy(row))} for row in rows]
    slake = [{"img_id": n, "img_name": f"xmlab{n % 2}/source.jpg", "question": question, "answer": answer, "q_lang": language, "location": "Lung", "modality": "CT", "answer_type": kind, "base_type": "vqa", "content_type": "Organ", "triple": ["vhead", "_", "_"], "qid": 11934 + n}
             for n, (question, answer, language, kind) in enumerate([("What modality is used? ", "CT", "en", "OPEN"), ("Is the lung healthy?", "No", "en", "CLOSED"), ("肺健康吗？", "不健康", "zh", "CLOSED")])]
    place = OUT / "published/slake"
    place.mkdir(parents=True, exist_ok=True)
    (place / "test.json").write_text(json.dumps(slake, ensure_ascii=False, indent=1))
    with zipfile.ZipFile(place / "imgs.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for n in range(2):
            archive.writestr(zipfile.ZipInfo(f"imgs/xmlab{n}/source.jpg"), picture(n)["bytes"])
            archive.writestr(zipfile.ZipInfo(f"__MACOSX/imgs/xmlab{n}/._source.jpg"), b"")
    prompts["slake"] = [{"prompt": tasks["slake"].slake_doc_to_text(row, short), "target": row["answer"]} for row in slake if row["q_lang"] == "en"]
    images = OUT / "published/gqa/testdev_balanced_images/testdev-00000-of-00001.parquet"
    images.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([{"id": f"n{n}", "image": picture(n)} for n in range(2)]), images)
    case = lambda gold, reply, score, options=None: {"gold": gold, "reply": reply, "score": score, **({"options": options} if options else {})}
    cases = {name: [case(*one) for one in found] for name, found in scorers.items()}
    versions = {"lmms-eval": "0.7.3", "pyarrow": pyarrow.__version__, "pandas": pandas.__version__, "python": sys.version.split()[0]}
    with open(OUT / "lmms_eval.json", "w") as out:
        json.dump({"versions": versions, "prompts": prompts, "scorers": cases}, out, indent=None, ensure_ascii=False, separators=(",", ":"))
        out.write("\n")
    print({name: len(found) for name, found in cases.items()})


main()
