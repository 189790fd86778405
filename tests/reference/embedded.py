"""The embedded checkpoints, asked about their own world and about pictures that they were never meant for."""

import json
import os
import shlex
import shutil
import struct
import subprocess
from pathlib import Path

import torch
import transformers
from PIL import Image

import cases as llava_cases
import qwen_cases
from cases import NEW_TOKENS, Case, answer, run, weights_sha256, write_cases, write_json
from pictures import save, scene, with_alpha

ROOT = Path(__file__).resolve().parents[2]
# How a model and its processor are read, and what stands before and after a question in a verbatim prompt.
CHECKPOINTS = {
    "steady-llava": (llava_cases.reference, "USER: <image>\n", " ASSISTANT:"),
    "steady-llava-next": (llava_cases.reference, "USER: <image>\n", " ASSISTANT:"),
    "steady-qwen2-vl": (qwen_cases.reference, "<|vision_start|><|image_pad|><|vision_end|>", "\n"),
    "steady-qwen2.5-vl": (qwen_cases.reference, "<|vision_start|><|image_pad|><|vision_end|>", "\n"),
}
# Any command that prints the world's stream; the built binary saves the compilation.
WORLD = os.environ.get("STEADY_WORLD", "cargo run --quiet --release -p steady-bench --bin steady-world --")
SCENES = 10
# Questions of each family of the pinned suite; there are ten families.
SUITE = 12


def world(*arguments: str) -> list[tuple[Image.Image, list[dict]]]:
    """Pictures with their questions, as `steady-world` streams them."""
    stream = subprocess.run([*shlex.split(WORLD), *arguments], cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout
    header, _, data = stream.partition(b"\n")
    header = json.loads(header)
    side, cells = header["image_size"], header["grid"] ** 2
    skipped = cells * len(header["planes"]) + len(header["image_labels"])
    scenes, at = [], 0
    while at < len(data):
        (length,) = struct.unpack_from("<I", data, at)
        at += 4
        facts = json.loads(data[at : at + length])
        at += length
        image = Image.frombytes("RGB", (side, side), data[at : at + side * side * 3])
        at += side * side * 3 + skipped
        scenes.append((image, facts["questions"]))
    return scenes


@torch.no_grad()
def answer_suite(folder: Path, checkpoint: Path, model, processor) -> None:
    """Writes suite.json: what transformers answers to the first questions of the pinned suite."""
    rows = []
    for image, questions in world("suite", "--per-family", str(SUITE)):
        for question in questions:
            content = [{"type": "image"}, {"type": "text", "text": question["text"]}]
            prompt = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
            inputs = processor(images=image, text=prompt, return_tensors="pt")
            row, _, _ = answer(model, processor.tokenizer, Case(question["id"], ""), prompt, inputs)
            kept = {name: row[name] for name in ["id", "output_ids", "text", "least_margin"]}
            rows.append({**kept, "question": question["text"], "right": row["text"].strip() in question["gold"]})
    write_json(
        folder / "suite.json",
        {
            "checkpoint": checkpoint.name,
            "weights_sha256": weights_sha256(checkpoint),
            "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
            "per_family": SUITE,
            "new_tokens": NEW_TOKENS,
            "answers": rows,
        },
        rows="answers",
    )
    right = sum(row["right"] for row in rows)
    print(f"{folder.name}: {len(rows)} suite answers, {right} right, least margin {min(row['least_margin'] for row in rows)}")


def make(folder: Path) -> None:
    """The cases of the embedded checkpoint that is called as `folder` is."""
    checkpoint = ROOT / "models" / folder.name
    read, before, after = CHECKPOINTS[folder.name]
    model, processor = read(checkpoint)
    images = folder / "images"
    shutil.rmtree(images, ignore_errors=True)
    cases = []
    scenes = world("stream", "--split", "test", "--start", "0", "--count", str(SCENES), "--questions", "2")
    for number, (image, questions) in enumerate(scenes):
        save(image, images / f"world-{number}.png")
        cases.append(Case(f"world-{number}", f"world-{number}.png", question=questions[0]["text"]))
    picture, questions = scenes[0]
    question = questions[-1]["text"]
    save(picture.resize((307, 203)), images / "wide.png")
    save(picture.resize((61, 250)), images / "tall.png")
    save(scene(5, 3, 1), images / "tiny.png")
    save(picture.convert("L"), images / "grey.png")
    save(picture.quantize(16), images / "palette.png")
    save(with_alpha(picture.resize((100, 120))), images / "alpha.png")
    for name in ["wide", "tall", "tiny", "grey", "palette", "alpha"]:
        cases.append(Case(name, f"{name}.png", question=question))
    cases += [
        Case("verbatim", "world-1.png", prompt=f"{before}What is in the picture? Answer with one word.{after}"),
        Case("unicode", "world-2.png", question="Größe? 三角形 🟥 ½"),
    ]
    write_cases(folder, checkpoint, cases, {"world-0", "tiny"}, lambda case: run(model, processor, case, images))
    answer_suite(folder, checkpoint, model, processor)
