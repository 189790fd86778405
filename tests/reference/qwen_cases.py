"""Cases of a checkpoint of the Qwen2-VL families: any number of images in a prompt, positions in three dimensions."""

from dataclasses import dataclass, field
from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForImageTextToText, AutoTokenizer, Qwen2VLImageProcessorPil, Qwen2VLProcessor

from cases import LEAST_MARGIN, NEW_TOKENS, sha256, weights_sha256, write_json

# Pixel tensors are stored as a hash and these few values, evenly spread.
SAMPLES = 8


@dataclass
class QwenCase:
    """A question (put through the chat template), a conversation, or a verbatim prompt, about image files in their order."""

    id: str
    images: list[str] = field(default_factory=list)
    question: str | None = None
    messages: list | None = None
    prompt: str | None = None


def reference(checkpoint: Path):
    """The model in f32 with eager attention, and its processor with the Pillow image processor."""
    model = AutoModelForImageTextToText.from_pretrained(checkpoint, dtype=torch.float32, attn_implementation="eager").eval()
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    images = Qwen2VLImageProcessorPil.from_pretrained(checkpoint)
    # Videos would need torchvision.
    Qwen2VLProcessor.check_argument_for_proper_class = lambda *_: None
    processor = Qwen2VLProcessor(image_processor=images, tokenizer=tokenizer, video_processor=None, chat_template=template(checkpoint, tokenizer))
    return model, processor


def template(checkpoint: Path, tokenizer) -> str:
    file = checkpoint / "chat_template.jinja"
    return file.read_text() if file.exists() else tokenizer.chat_template


def kept_of(model, inputs, positions):
    """Every third visual token stays, with its positions: indices among the visual tokens, and the logits."""
    ids = inputs["input_ids"][0]
    visual = (ids == model.config.image_token_id).nonzero().flatten()
    indices = list(range(0, len(visual), 3))
    stays = torch.ones(len(ids), dtype=torch.bool)
    stays[visual] = False
    stays[visual[indices]] = True
    features = model.model.get_image_features(inputs["pixel_values"], inputs["image_grid_thw"]).pooler_output
    embeds = model.get_input_embeddings()(inputs["input_ids"])
    embeds[0, visual] = torch.cat(list(features), dim=0)
    where = torch.tensor(positions)[:, None, :]
    hidden = model.model.language_model(inputs_embeds=embeds[:, stays], position_ids=where[:, :, stays]).last_hidden_state
    return indices, model.lm_head(hidden)[0, -1].float()


def rope_index(model, inputs):
    """Three rows of positions, and the position after the prompt."""
    length = inputs["input_ids"].shape[1]
    if "image_grid_thw" not in inputs:
        return [list(range(length))] * 3, length
    positions, delta = model.model.get_rope_index(
        inputs["input_ids"], mm_token_type_ids=inputs["mm_token_type_ids"], image_grid_thw=inputs["image_grid_thw"]
    )
    return positions[:, 0].tolist(), length + int(delta)


@torch.no_grad()
def run(model, processor, case: QwenCase, images: Path):
    prompt, messages = case.prompt, case.messages
    if case.question is not None:
        messages = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": case.question}]}]
    if messages is not None:
        prompt = processor.apply_chat_template(messages, add_generation_prompt=True)
    pictures = [Image.open(images / name).convert("RGB") for name in case.images] or None
    inputs = processor(images=pictures, text=[prompt], return_tensors="pt")
    logits = model(**inputs).logits[0, -1].float()
    out = model.generate(**inputs, do_sample=False, max_new_tokens=NEW_TOKENS, return_dict_in_generate=True, output_scores=True)
    leads = [(top := scores[0].topk(2).values)[0].item() - top[1].item() for scores in out.scores]
    ids = inputs["input_ids"][0].tolist()
    output_ids = out.sequences[0, len(ids) :].tolist()
    positions, next_position = rope_index(model, inputs)
    pixels = inputs.get("pixel_values")
    kept, kept_logits = kept_of(model, inputs, positions) if case.question and len(case.images) == 1 else (None, None)
    row = {
        "id": case.id,
        "images": case.images,
        "question": case.question,
        "messages": case.messages,
        "prompt": prompt,
        "input_ids": ids,
        "grids": inputs["image_grid_thw"].tolist() if pixels is not None else [],
        "positions": positions,
        "next_position": next_position,
        "pixels": None if pixels is None else described(pixels),
        "kept": kept,
        "output_ids": output_ids,
        "text": processor.tokenizer.decode(output_ids, skip_special_tokens=True),
        "least_margin": round(min(leads), 5),
    }
    return row, {"logits": logits} if kept is None else {"logits": logits, "kept": kept_logits}


def described(pixels: torch.Tensor):
    flat = pixels.float().flatten()
    at = torch.linspace(0, len(flat) - 1, SAMPLES).long().tolist()
    return {"shape": list(pixels.shape), "sha256": sha256(pixels), "samples": [[i, flat[i].item()] for i in at]}


def make_qwen_cases(folder: Path, name: str, cases: list[QwenCase]) -> None:
    """Writes `NAME.json` and `NAME.safetensors` (`<case>.logits`, and `<case>.kept` with fewer visual tokens) of the checkpoint `folder/NAME`."""
    checkpoint = folder / name
    model, processor = reference(checkpoint)
    rows, tensors = [], {}
    for case in cases:
        row, logits_of = run(model, processor, case, folder / "images")
        if row["least_margin"] < LEAST_MARGIN:
            print(f"{folder.name}/{name}/{case.id}: a greedy step is decided by {row['least_margin']} only")
        rows.append(row)
        tensors |= {f"{case.id}.{name}": logits.contiguous() for name, logits in logits_of.items()}
    save_file(tensors, folder / f"{name}.safetensors")
    facts = {
        "checkpoint": name,
        "architecture": AutoConfig.from_pretrained(checkpoint).model_type,
        "weights_sha256": weights_sha256(checkpoint),
        "new_tokens": NEW_TOKENS,
        "cases": rows,
    }
    write_json(folder / f"{name}.json", facts, rows="cases")
    print(f"{folder.name}/{name}: {len(rows)} cases, least margin {min(row['least_margin'] for row in rows)}")
