"""A LLaVA-1.5 of 0.7 billion parameters with random weights, a picture and six questions, for timing: what it answers means nothing.

    python tests/peers/checkpoint.py FOLDER

CLIP's large tower at 336 pixels (576 visual tokens) and a decoder with the widths of Qwen2-0.5B, in f32. Tokenizer and template are those of steady-llava, with
unused rows in the vocabulary up to 32,000. An answer has four tokens unless somebody asks for more.
"""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

ROOT = Path(__file__).resolve().parents[2]
BASE = ROOT / "models" / "steady-llava"
SIDE, PATCH, VOCABULARY = 336, 14, 32_000
QUESTIONS = ["What is it?", "Is it red?", "How many are there?", "What is left of it?", "Which shape is the largest?", "Is there a cross?"]


def fill(model: torch.nn.Module) -> None:
    """Weights under which states neither vanish nor explode."""
    torch.manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() >= 2:
                parameter.normal_(0, 0.5 if "embed" in name else 0.7 / parameter[0].numel() ** 0.5)


def write(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for file in ("chat_template.jinja", "tokenizer.json", "tokenizer_config.json", "preprocessor_config.json", "processor_config.json"):
        shutil.copy(BASE / file, folder / file)
    base = json.loads((BASE / "config.json").read_text())
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(
            hidden_size=1024, intermediate_size=4096, num_hidden_layers=24, num_attention_heads=16, image_size=SIDE, patch_size=PATCH
        ),
        text_config=LlamaConfig(
            vocab_size=VOCABULARY, hidden_size=896, intermediate_size=4864, num_hidden_layers=24, num_attention_heads=14, num_key_value_heads=2,
            head_dim=64, max_position_embeddings=2048, bos_token_id=1, eos_token_id=2, pad_token_id=3, tie_word_embeddings=False,
        ),
        image_token_index=base["image_token_index"], image_seq_length=(SIDE // PATCH) ** 2, vision_feature_layer=-2,
        vision_feature_select_strategy="default", projector_hidden_act="gelu", tie_word_embeddings=False,
        bos_token_id=1, eos_token_id=2, pad_token_id=3,
    )
    model = LlavaForConditionalGeneration(config)
    fill(model)
    model.save_pretrained(folder)
    for file in ("preprocessor_config.json", "processor_config.json"):
        settings = json.loads((folder / file).read_text())
        images = settings.get("image_processor", settings)
        images["crop_size"], images["size"] = {"height": SIDE, "width": SIDE}, {"shortest_edge": SIDE}
        if "patch_size" in settings:
            settings["patch_size"] = PATCH
        (folder / file).write_text(json.dumps(settings, indent=1))
    generation = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 3, "do_sample": False, "max_new_tokens": 4}
    (folder / "generation_config.json").write_text(json.dumps(generation, indent=1))
    pixels = np.random.default_rng(0).integers(0, 255, (SIDE, SIDE, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / "picture.png")
    rows = [f"picture.png,{question},yes" for question in QUESTIONS]
    (folder / "questions.csv").write_text("\n".join(["image,question,answer", *rows]) + "\n")
    print(f"{sum(parameter.numel() for parameter in model.parameters()) / 1e9:.2f} billion parameters")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
