"""The Qwen2.5-VL family: a tower with windows and 2-D rotary positions, a 2x2 merger, a Qwen2 decoder with M-RoPE."""

import json
import math
from functools import cache
from pathlib import Path

import torch
import torch.nn.functional as F
from transformers import (
    AutoTokenizer,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2VLImageProcessorPil,
)
from transformers.models.qwen2_5_vl.configuration_qwen2_5_vl import Qwen2_5_VLTextConfig, Qwen2_5_VLVisionConfig

from model import GRID, IMAGE, PATCH, VISUAL_TOKENS, Seen, Shape, decoder, initialise
from text import QWEN as DIALECT

NAME = "steady-qwen"
TYPE = "Qwen2.5-VL"
Model = Qwen2_5_VLForConditionalGeneration

# A visual token is 2x2 patches, and as large as a patch of the LLaVA type: the world's labels fit both.
MERGE = 2
SMALL = PATCH // MERGE
# Side of an attention window in visual tokens.
WINDOW = 4

__all__ = ["DIALECT", "NAME", "Model", "TYPE", "build", "describe", "load_processor", "places", "save_processor", "see", "shape_of"]


def build(shape: Shape, tokenizer) -> Qwen2_5_VLForConditionalGeneration:
    """A fresh model; every other layer of the tower attends to the whole image, the last one among them."""
    vision = Qwen2_5_VLVisionConfig(
        depth=shape.vision_layers,
        hidden_size=shape.vision_width,
        intermediate_size=2 * shape.vision_width,
        num_heads=shape.vision_width // 32,
        patch_size=SMALL,
        spatial_merge_size=MERGE,
        temporal_patch_size=2,
        window_size=WINDOW * PATCH,
        out_hidden_size=shape.width,
        fullatt_block_indexes=list(range(1, shape.vision_layers, 2)),
    )
    text = Qwen2_5_VLTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=shape.width,
        intermediate_size=shape.mlp_width,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.width // 32,
        num_key_value_heads=shape.width // 32,
        max_position_embeddings=512,
        rms_norm_eps=1e-6,
        # Of the 16 frequencies of a 32-wide head: time, row, column, in the published proportion.
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [4, 6, 6]},
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    special = {name: tokenizer.convert_tokens_to_ids(f"<|{token}|>") for name, token in SPECIAL.items()}
    config = Qwen2_5_VLConfig(vision_config=vision.to_dict(), text_config=text.to_dict(), tie_word_embeddings=False, **special)
    model = Qwen2_5_VLForConditionalGeneration(config)
    initialise(model, vision.depth, text.num_hidden_layers)
    with torch.no_grad():
        weight = model.model.visual.patch_embed.proj.weight
        weight.normal_(0, 1 / math.sqrt(weight[0].numel()))
    return model


SPECIAL = {
    "image_token_id": "image_pad",
    "video_token_id": "video_pad",
    "vision_start_token_id": "vision_start",
    "vision_end_token_id": "vision_end",
}


def shape_of(weights: dict[str, torch.Tensor]) -> Shape:
    """The sizes that a snapshot was built with."""
    return Shape(
        vision_width=weights["model.visual.patch_embed.proj.weight"].shape[0],
        width=weights["model.language_model.embed_tokens.weight"].shape[1],
        mlp_width=weights["model.language_model.layers.0.mlp.gate_proj.weight"].shape[0],
    )


@cache
def window_order() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Row and column of every patch in the order of the tower, windows one after the other, and the way back.

    Inside a window visual tokens go row by row, inside a visual token so do its patches. [patches, 2]; visual tokens in the
    order of the windows as numbers of the row-by-row order, and its inverse.
    """
    tokens = torch.arange(VISUAL_TOKENS).view(GRID // WINDOW, WINDOW, GRID // WINDOW, WINDOW).transpose(1, 2).flatten()
    rows, columns = tokens.div(GRID, rounding_mode="floor"), tokens % GRID
    inner = torch.arange(MERGE)
    y = (MERGE * rows)[:, None, None] + inner[:, None].expand(MERGE, MERGE)
    x = (MERGE * columns)[:, None, None] + inner.expand(MERGE, MERGE)
    return torch.stack([y.flatten(), x.flatten()], 1), tokens, tokens.argsort()


def see(model: Qwen2_5_VLForConditionalGeneration, pixels: torch.Tensor) -> Seen:
    """The tower of transformers' `Qwen2_5_VisionTransformerPretrainedModel.forward` for a batch of images of one size."""
    tower = model.model.visual
    batch = len(pixels)
    where, order, back = (t.to(pixels.device) for t in window_order())
    # The same picture twice, as the processor does to a still image: one sum over both halves of the kernel.
    hidden = F.conv2d(pixels, tower.patch_embed.proj.weight.sum(2), stride=SMALL)
    hidden = hidden[:, :, where[:, 0], where[:, 1]].transpose(1, 2)
    cos, sin = tower.rotary_pos_emb(hidden, where)
    windows = VISUAL_TOKENS // WINDOW**2
    halfway = hidden
    for index, block in enumerate(tower.blocks):
        grouped = hidden if index in tower.fullatt_block_indexes else hidden.unflatten(1, (windows, -1)).flatten(0, 1)
        turns = [c if grouped is hidden else c.unflatten(0, (windows, -1)).repeat(batch, 1, 1) for c in (cos, sin)]
        grouped = grouped + attend(block.attn, block.norm1(grouped), *turns)
        hidden = (grouped + block.mlp(block.norm2(grouped))).view(hidden.shape)
        if index + 1 == len(tower.blocks) // 2:
            halfway = hidden.unflatten(1, (VISUAL_TOKENS, -1)).mean(2)[:, back]
    visual = tower.merger(hidden).view(batch, VISUAL_TOKENS, -1)[:, back]
    return Seen(visual, halfway, lambda: visual, None)


def attend(attention, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Attention of every sequence of a batch [batch, n, width] to itself; cos and sin [n, head] or [batch, n, head]."""
    q, k, v = attention.qkv(x).unflatten(-1, (3, attention.num_heads, -1)).permute(2, 0, 3, 1, 4)
    cos, sin = (t[:, None] if t.dim() == 3 else t for t in (cos, sin))
    q, k = (t * cos + torch.cat([-t[..., t.shape[-1] // 2 :], t[..., : t.shape[-1] // 2]], -1) * sin for t in (q, k))
    return attention.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


def places(opening: int) -> torch.Tensor:
    """Positions of the opening and the visual tokens on the three axes of M-RoPE, [3, opening + patches]."""
    text = torch.arange(opening).expand(3, -1)
    rows, columns = torch.arange(VISUAL_TOKENS).div(GRID, rounding_mode="floor"), torch.arange(VISUAL_TOKENS) % GRID
    return torch.cat([text, opening + torch.stack([torch.zeros_like(rows), rows, columns])], 1)


def describe(config: dict) -> str:
    """For the model card."""
    vision, text = config["vision_config"], config["text_config"]
    return (
        f"Vision tower ({vision['depth']} layers, width {vision['hidden_size']}, patch {vision['patch_size']}, 2x2 merged: "
        f"{VISUAL_TOKENS} visual tokens of a {IMAGE}x{IMAGE} picture; windows of {vision['window_size']} pixels, layers "
        f"{vision['fullatt_block_indexes']} see the whole picture), Qwen2 decoder with M-RoPE ({decoder(text)}).\n"
        f"Prompt: Qwen's chat template. Image files of any size are resized to about {IMAGE * IMAGE:,} pixels, keeping their shape;\n"
        f"it has seen square ones only."
    )


def load_processor(folder: Path) -> Qwen2_5_VLProcessor:
    """The published processor without its part for videos, which wants torchvision."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    images = Qwen2VLImageProcessorPil.from_pretrained(folder)
    Qwen2_5_VLProcessor.check_argument_for_proper_class = lambda *_: None
    template = (folder / "chat_template.jinja").read_text()
    return Qwen2_5_VLProcessor(images, tokenizer, None, chat_template=template)


def save_processor(folder: Path, tokenizer) -> None:
    """The processor's files, written as the published checkpoints have them: its class wants torchvision for videos."""
    processor = {
        "image_processor_type": "Qwen2VLImageProcessor",
        "processor_class": "Qwen2_5_VLProcessor",
        "patch_size": SMALL,
        "temporal_patch_size": 2,
        "merge_size": MERGE,
        # As many visual tokens as it was trained with, whatever the picture's size and shape.
        "min_pixels": IMAGE * IMAGE,
        "max_pixels": IMAGE * IMAGE,
        "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_std": [0.26862954, 0.26130258, 0.27577711],
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(processor, indent=2) + "\n")
    (folder / "chat_template.jinja").write_text(DIALECT.template)
