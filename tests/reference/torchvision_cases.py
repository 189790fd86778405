"""What transformers makes of the other parts' cases with its torchvision image processors, which it takes by default; the other parts
have the Pillow ones.

Every family, embedded and tiny checkpoints, asked the questions that stand in their cases already: the pixels' hash, the twenty
highest first-token logits, the greedy tokens. And the settings of `pillow_cases.py` once more. A CPU with AVX2 or newer is needed:
without, torchvision resizes in floats and rounds otherwise.
"""

import json
from pathlib import Path

import torch
import torchvision
import transformers
from transformers import AutoImageProcessor, CLIPImageProcessor, LlavaImageProcessor
from transformers.image_utils import load_image

import cases as llava_cases
import pillow_cases
import qwen_cases
import tiny_llava_med
from cases import Case, sha256, write_json

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
# Cases by the folder that they are in, with the checkpoint that they are of.
LLAVA = {
    "tiny-llava": HERE / "tiny-llava/checkpoint",
    "tiny-llava-published": HERE / "tiny-llava-published/checkpoint",
    "tiny-llava-next-vicuna": HERE / "tiny-llava-next-vicuna/checkpoint",
    "tiny-llava-next-mistral": HERE / "tiny-llava-next-mistral/checkpoint",
    "steady-llava": ROOT / "models/steady-llava",
    "steady-llava-next": ROOT / "models/steady-llava-next",
}
EMBEDDED_QWEN = ["steady-qwen2-vl", "steady-qwen2.5-vl"]
TINY_QWEN = [("tiny-qwen2-vl", "resaved"), ("tiny-qwen2-vl", "published"), ("tiny-qwen2_5-vl", "resaved"), ("tiny-qwen2_5-vl", "published")]


def rows_of(file: Path) -> list[dict]:
    return json.loads(file.read_text())["cases"]


def kept(checkpoint: Path, folder: str, rows: list[dict]) -> list[dict]:
    """Of each row what the image processor has a part in."""
    fields = ["id", "pixels", "output_ids", "least_margin", "top"]
    where = str(checkpoint.relative_to(ROOT))
    for row in rows:
        row["pixels"] = row["pixels"] and {name: row["pixels"][name] for name in ("shape", "sha256")}
    return [
        {"checkpoint": where, "folder": folder, "images": row.get("images") or [row["image"]], "prompt": row["prompt"]}
        | {name: row[name] for name in fields}
        for row in rows
    ]


def llava(folder: str, checkpoint: Path) -> list[dict]:
    model, processor = llava_cases.reference(checkpoint)
    processor.image_processor = AutoImageProcessor.from_pretrained(checkpoint)
    assert processor.image_processor.backend == "torchvision", checkpoint
    ask = lambda row: llava_cases.run(model, processor, Case(row["id"], row["image"], prompt=row["prompt"]), HERE / folder / "images")[0]
    return kept(checkpoint, folder, [ask(row) for row in rows_of(HERE / folder / "cases.json")])


def med() -> list[dict]:
    folder, checkpoint = "tiny-llava-med", HERE / "tiny-llava-med/checkpoint"
    images = AutoImageProcessor.from_pretrained(HERE / folder / tiny_llava_med.TOWER.split("/")[-1])
    assert images.backend == "torchvision"
    ask = tiny_llava_med.asking(HERE / folder, images)
    return kept(checkpoint, folder, [ask(Case(row["id"], row["image"], prompt=row["prompt"]))[0] for row in rows_of(HERE / folder / "cases.json")])


def qwen(folder: str, checkpoint: Path, file: Path) -> list[dict]:
    model, processor = qwen_cases.reference(checkpoint)
    processor.image_processor = AutoImageProcessor.from_pretrained(checkpoint)
    assert processor.image_processor.backend == "torchvision", checkpoint
    rows = []
    for case in rows_of(file):
        images = case.get("images", [case.get("image")])
        if not images:
            continue
        row, tensors = qwen_cases.run(model, processor, qwen_cases.QwenCase(case["id"], images, prompt=case["prompt"]), HERE / folder / "images")
        best = tensors["logits"].topk(llava_cases.TOP)
        row["top"] = [{"id": i, "logit": round(v, 5)} for i, v in zip(best.indices.tolist(), best.values.tolist(), strict=True)]
        rows.append(row)
    return kept(checkpoint, folder, rows)


def settings() -> list[dict]:
    """`pillow_cases.py`'s settings and pictures."""
    processors = {name: CLIPImageProcessor(**values) for name, values in pillow_cases.SETTINGS.items()}
    processors |= {name: LlavaImageProcessor(**values) for name, values in pillow_cases.LLAVA_SETTINGS.items()}
    rows = []
    for name, processor in processors.items():
        for path in sorted((HERE / "pillow/processor").iterdir()):
            pixels = torch.stack(list(processor(load_image(str(path)))["pixel_values"]))
            rows.append({"settings": name, "config": processor.to_dict(), "image": path.name, "shape": list(pixels.shape), "sha256": sha256(pixels)})
    return rows


def make(folder: Path) -> None:
    assert torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512")
    folder.mkdir(exist_ok=True)
    rows = [row for name, checkpoint in LLAVA.items() for row in llava(name, checkpoint)] + med()
    for name in EMBEDDED_QWEN:
        rows += qwen(name, ROOT / "models" / name, HERE / name / "cases.json")
    for name, checkpoint in TINY_QWEN:
        rows += qwen(name, HERE / name / checkpoint, HERE / name / f"{checkpoint}.json")
    for row in rows:
        row["top"] = [[best["id"], best["logit"]] for best in row["top"]]
    versions = {module.__name__: module.__version__ for module in (torch, torchvision, transformers)}
    write_json(folder / "answers.json", {"versions": versions, "new_tokens": llava_cases.NEW_TOKENS, "cases": rows}, rows="cases")
    write_json(folder / "processor.json", {"cases": settings()}, rows="cases")
    print(f"torchvision: {len(rows)} cases, least margin {min(row['least_margin'] for row in rows)}")
