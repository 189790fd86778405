"""What the Qwen2-VL and Qwen2.5-VL families share: 2-D rotary towers over patches that are merged in fours, M-RoPE."""

import json
import math
from functools import cache
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn
from transformers import AutoTokenizer, Qwen2VLImageProcessorPil

from model import GRID, IMAGE, PATCH, VISUAL_TOKENS, Layout, Seen, Shape, decoder, decoder_sizes, initialise, rows_and_columns

# A visual token is 2x2 patches, and as large as a patch of the LLaVA type: the world's labels fit both.
MERGE = 2
SMALL = PATCH // MERGE
# Four small patches are merged into a visual token, so it carries more than a CLIP patch of this width does.
VISION_WIDTH = 96
# Seen in small patches, signs and arrows are told as soon as shapes are: what an answer is made of is there early.
IMAGES, BASIC_IMAGES = 56_000, 24_000


def assemble(model, config, text, vision, shape: Shape, tokenizer):
    """A fresh model of class `model` around the tower that `vision` configures; `config` and `text` are the classes of its settings."""
    text = text(
        **decoder_sizes(shape, tokenizer),
        rms_norm_eps=1e-6,
        # Of the 16 frequencies of a 32-wide head: time, row, column, in the published proportion. Nothing else tells where on
        # the picture a visual token is, so columns, which get the slowest, must turn visibly over a grid of twelve: at the
        # published base of a million they would hardly move. At 20 all of them turn so much that a head finds nothing
        # wherever it is: existence stayed at 75 % over 40,000 images, and came to 80 within 6,000 at 100.
        rope_parameters={"rope_type": "default", "rope_theta": 100.0, "mrope_section": [4, 6, 6]},
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    special = {name: tokenizer.convert_tokens_to_ids(f"<|{token}|>") for name, token in SPECIAL.items()}
    config = config(vision_config=vision.to_dict(), text_config=text.to_dict(), tie_word_embeddings=False, **special)
    model = model(config)
    initialise(model, vision.depth, text.num_hidden_layers)
    with torch.no_grad():
        weight = model.model.visual.patch_embed.proj.weight
        weight.normal_(0, 1 / math.sqrt(weight[0].numel()))
    return model


# What marks an image in a prompt.
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
def window_order(side: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Row and column of every patch in the order of the tower, windows of `side` visual tokens one after the other.

    Inside a window visual tokens go row by row, inside a visual token so do its patches. [patches, 2]; and where in that order
    the visual tokens are, row by row.
    """
    windows = GRID // side
    tokens = torch.arange(VISUAL_TOKENS).view(windows, side, windows, side).transpose(1, 2).flatten()
    rows, columns = (each[tokens] for each in rows_and_columns())
    inner = torch.arange(MERGE)
    y = (MERGE * rows)[:, None, None] + inner[:, None].expand(MERGE, MERGE)
    x = (MERGE * columns)[:, None, None] + inner.expand(MERGE, MERGE)
    return torch.stack([y.flatten(), x.flatten()], 1), tokens.argsort()


def see(model: nn.Module, pixels: torch.Tensor, side: int, whole: list[int]) -> Seen:
    """The forward of transformers' towers for a batch of images of one size.

    Layers attend inside windows of `side` visual tokens, those of `whole` to the whole image.
    """
    tower = model.model.visual
    batch = len(pixels)
    where, back = (t.to(pixels.device) for t in window_order(side))
    # The same picture twice, as the processor does to a still image: one sum over both halves of the kernel.
    hidden = F.conv2d(pixels, tower.patch_embed.proj.weight.sum(2), stride=SMALL)
    hidden = hidden[:, :, where[:, 0], where[:, 1]].transpose(1, 2)
    cos, sin = tower.rotary_pos_emb(hidden, where)
    windows = VISUAL_TOKENS // side**2
    halfway = hidden
    for index, block in enumerate(tower.blocks):
        grouped = hidden if index in whole else hidden.unflatten(1, (windows, -1)).flatten(0, 1)
        turns = [c if grouped is hidden else c.unflatten(0, (windows, -1)).repeat(batch, 1, 1) for c in (cos, sin)]
        grouped = grouped + attend(block.attn, block.norm1(grouped), *turns)
        hidden = (grouped + block.mlp(block.norm2(grouped))).view(hidden.shape)
        if index + 1 == len(tower.blocks) // 2:
            halfway = hidden.unflatten(1, (VISUAL_TOKENS, -1)).mean(2)[:, back]
    visual = tower.merger(hidden.contiguous()).view(batch, VISUAL_TOKENS, -1)[:, back]
    return Seen(visual, halfway, lambda: visual, None)


def attend(attention, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Attention of every sequence of a batch [batch, n, width] to itself; cos and sin [n, head] or [batch, n, head]."""
    q, k, v = attention.qkv(x).unflatten(-1, (3, attention.num_heads, -1)).permute(2, 0, 3, 1, 4)
    cos, sin = (t[:, None] if t.dim() == 3 else t for t in (cos, sin))
    q, k = (t * cos + torch.cat([-t[..., t.shape[-1] // 2 :], t[..., : t.shape[-1] // 2]], -1) * sin for t in (q, k))
    return attention.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


def layout(opening: int) -> Layout:
    """Text moves on all three axes of M-RoPE, a picture stands still in time: its tokens are rows and columns."""
    text = torch.arange(opening).expand(3, -1)
    rows, columns = rows_and_columns()
    visual = opening + torch.stack([torch.zeros_like(rows), rows, columns])
    return Layout(torch.cat([text, visual], 1), opening + torch.arange(VISUAL_TOKENS))


def describe(config: dict, width: int, windows: str) -> str:
    """For the model card."""
    vision, text = config["vision_config"], config["text_config"]
    return (
        f"Vision tower ({vision['depth']} layers, width {width}, patch {vision['patch_size']}, 2x2 merged: {VISUAL_TOKENS} "
        f"visual tokens of a {IMAGE}x{IMAGE} picture; {windows}), Qwen2 decoder with M-RoPE ({decoder(text)}).\n"
        f"Prompt: Qwen's chat template. Image files of any size are resized to about {IMAGE * IMAGE:,} pixels, keeping their shape;\n"
        f"it has seen square ones only."
    )


def load_processor(folder: Path, kind):
    """The published processor of class `kind` without its part for videos, which wants torchvision."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    images = Qwen2VLImageProcessorPil.from_pretrained(folder)
    kind.check_argument_for_proper_class = lambda *_: None
    template = (folder / "chat_template.jinja").read_text()
    return kind(images, tokenizer, None, chat_template=template)


def save_processor(folder: Path, template: str, kind) -> None:
    """The processor's files, written as the published checkpoints have them: its class wants torchvision for videos."""
    processor = {
        "image_processor_type": "Qwen2VLImageProcessor",
        "processor_class": kind.__name__,
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
    (folder / "chat_template.jinja").write_text(template)
