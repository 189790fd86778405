"""The Qwen2.5-VL family: a tower with windows, RMS norms and SwiGLU, a Qwen2 decoder with M-RoPE."""

from pathlib import Path

import torch
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration, Qwen2_5_VLProcessor
from transformers.models.qwen2_5_vl.configuration_qwen2_5_vl import Qwen2_5_VLTextConfig, Qwen2_5_VLVisionConfig

import qwen_vl
from model import PATCH, Seen, Shape
from qwen_vl import BASIC_IMAGES, IMAGES, MERGE, SMALL, VISION_WIDTH, layout, shape_of
from text import QWEN as DIALECT

NAME = "steady-qwen2.5-vl"
TYPE = "Qwen2.5-VL"
Model = Qwen2_5_VLForConditionalGeneration
# Side of an attention window in visual tokens.
WINDOW = 4

__all__ = ["BASIC_IMAGES", "DIALECT", "IMAGES", "NAME", "Model", "TYPE", "VISION_WIDTH", "build", "describe", "layout", "load_processor", "save_processor", "see", "shape_of"]


def build(shape: Shape, tokenizer) -> Model:
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
    return qwen_vl.assemble(Model, Qwen2_5_VLConfig, Qwen2_5_VLTextConfig, vision, shape, tokenizer)


def see(model: Model, pixels: torch.Tensor) -> Seen:
    return qwen_vl.see(model, pixels, WINDOW, model.model.visual.fullatt_block_indexes)


def describe(config: dict) -> str:
    vision = config["vision_config"]
    windows = f"windows of {vision['window_size']} pixels, layers {vision['fullatt_block_indexes']} see the whole picture"
    return qwen_vl.describe(config, vision["hidden_size"], windows)


def load_processor(folder: Path) -> Qwen2_5_VLProcessor:
    return qwen_vl.load_processor(folder, Qwen2_5_VLProcessor)


def save_processor(folder: Path, tokenizer) -> None:
    qwen_vl.save_processor(folder, DIALECT.template, Qwen2_5_VLProcessor)
