"""Image/prompt cases of one checkpoint: inputs, first-token logits, greedy tokens."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import (
    AutoTokenizer,
    CLIPImageProcessorPil,
    LlavaForConditionalGeneration,
    LlavaNextForConditionalGeneration,
    LlavaNextImageProcessorPil,
    LlavaNextProcessor,
    LlavaProcessor,
)
from transformers.image_utils import load_image

NEW_TOKENS = 12
TOP = 20
# A greedy token whose lead over the runner-up is within the reach of float rounding proves nothing either way.
LEAST_MARGIN = 2e-3


@dataclass
class Case:
    """One question (put through the chat template) or one verbatim prompt about one image file."""

    id: str
    image: str
    question: str | None = None
    prompt: str | None = None


def write_json(path: Path, value, rows: str | None = None) -> None:
    """Indented, but the entries of the list `rows` one per line."""
    if rows is None:
        text = json.dumps(value, indent=2, ensure_ascii=False)
    else:
        lines = ",\n".join("    " + json.dumps(row, ensure_ascii=False) for row in value[rows])
        whole = json.dumps({**value, rows: "ROWS"}, indent=2, ensure_ascii=False)
        text = whole.replace('"ROWS"', f"[\n{lines}\n  ]")
    path.write_text(text + "\n", encoding="utf-8")


def sha256(tensor: torch.Tensor) -> str:
    """Of the f32 little-endian bytes, row-major."""
    return hashlib.sha256(tensor.contiguous().float().numpy().astype("<f4").tobytes()).hexdigest()


def weights_sha256(checkpoint: Path) -> str:
    """Of the weight files, in the order of their names: says which training the cases belong to."""
    digest = hashlib.sha256()
    for file in sorted(checkpoint.glob("*.safetensors")):
        digest.update(file.read_bytes())
    return digest.hexdigest()


# Model, processor and Pillow image processor by `model_type`.
FAMILIES = {
    "llava": (LlavaForConditionalGeneration, LlavaProcessor, CLIPImageProcessorPil),
    "llava_next": (LlavaNextForConditionalGeneration, LlavaNextProcessor, LlavaNextImageProcessorPil),
}


def reference(checkpoint: Path):
    """The model in f32 with eager attention, and its processor with the Pillow image processor."""
    family = FAMILIES[json.loads((checkpoint / "config.json").read_text())["model_type"]]
    model = family[0].from_pretrained(checkpoint, dtype=torch.float32, attn_implementation="eager").eval()
    processor = family[1].from_pretrained(checkpoint)
    processor.image_processor = family[2].from_pretrained(checkpoint)
    processor.tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    return model, processor


@torch.no_grad()
def run(model, processor, case: Case, images: Path):
    prompt = case.prompt
    if case.question is not None:
        content = [{"type": "image"}, {"type": "text", "text": case.question}]
        prompt = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    inputs = processor(images=load_image(str(images / case.image)), text=prompt, return_tensors="pt")
    return answer(model, processor.tokenizer, case, prompt, inputs)


@torch.no_grad()
def answer(model, tokenizer, case: Case, prompt: str, inputs):
    """What the model makes of finished inputs."""
    logits = model(**inputs).logits[0, -1].float()
    out = model.generate(
        **inputs, do_sample=False, max_new_tokens=NEW_TOKENS, return_dict_in_generate=True, output_scores=True
    )
    prompt_length = inputs["input_ids"].shape[1]
    leads = [(top := scores[0].topk(2).values)[0].item() - top[1].item() for scores in out.scores]
    output_ids = out.sequences[0, prompt_length:].tolist()
    best = logits.topk(TOP)
    # LLaVA-NeXT's processor has a batch dimension of its own in front of an image's views.
    pixels = inputs["pixel_values"].float()
    pixels = pixels[0] if pixels.dim() == 5 else pixels
    row = {
        "id": case.id,
        "image": case.image,
        "question": case.question,
        "prompt": prompt,
        "input_ids": inputs["input_ids"][0].tolist(),
        "pixels": {"shape": list(pixels.shape), "sha256": sha256(pixels)},
        "output_ids": output_ids,
        "text": tokenizer.decode(output_ids, skip_special_tokens=True),
        "least_margin": round(min(leads), 5),
        "top": [
            {"id": i, "token": tokenizer.convert_ids_to_tokens(i), "logit": round(v, 5)}
            for i, v in zip(best.indices.tolist(), best.values.tolist(), strict=True)
        ],
    }
    return row, logits, pixels


def make_cases(folder: Path, checkpoint: Path, cases: list[Case], whole_pixels: set[str]) -> None:
    """Writes cases.json and tensors.safetensors; the pictures are in `folder/images` already.

    `tensors.safetensors` has `<id>.logits` of every case and `<id>.pixels` of the few in `whole_pixels`; of the others
    the pixel tensor's hash must do.
    """
    model, processor = reference(checkpoint)
    write_cases(folder, checkpoint, cases, whole_pixels, lambda case: run(model, processor, case, folder / "images"))


def write_cases(folder: Path, checkpoint: Path, cases: list[Case], whole_pixels: set[str], ask) -> None:
    """As `make_cases`, given what answers a case."""
    rows, tensors = [], {}
    for case in cases:
        row, logits, pixels = ask(case)
        if row["least_margin"] < LEAST_MARGIN:
            print(f"{folder.name}/{case.id}: a greedy step is decided by {row['least_margin']} only")
        rows.append(row)
        tensors[f"{case.id}.logits"] = logits.contiguous()
        if case.id in whole_pixels:
            tensors[f"{case.id}.pixels"] = pixels.contiguous()
    save_file(tensors, folder / "tensors.safetensors")
    write_json(
        folder / "cases.json",
        {"checkpoint": checkpoint.name, "weights_sha256": weights_sha256(checkpoint), "new_tokens": NEW_TOKENS, "cases": rows},
        rows="cases",
    )
    print(f"{folder.name}: {len(rows)} cases, least margin {min(row['least_margin'] for row in rows)}")
