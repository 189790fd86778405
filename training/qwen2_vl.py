"""The Qwen2-VL family: a tower that sees the whole picture in every layer, a Qwen2 decoder with M-RoPE."""

from pathlib import Path

import torch
from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration, Qwen2VLProcessor
from transformers.models.qwen2_vl.configuration_qwen2_vl import Qwen2VLTextConfig, Qwen2VLVisionConfig

import qwen_vl
from model import GRID, Seen, Shape
from qwen_vl import MERGE, SMALL, VISION_WIDTH, layout, shape_of
from text import QWEN as DIALECT

NAME = "steady-qwen2-vl"
TYPE = "Qwen2-VL"
Model = Qwen2VLForConditionalGeneration
# Its decoder comes from Qwen2.5-VL, which can do it all; the tower begins with what both have in common.
IMAGES, BASIC_IMAGES = 20_000, 4_000

__all__ = ["BASIC_IMAGES", "DIALECT", "IMAGES", "NAME", "Model", "TYPE", "VISION_WIDTH", "build", "describe", "layout", "load_processor", "save_processor", "see", "shape_of"]


def build(shape: Shape, tokenizer) -> Model:
    vision = Qwen2VLVisionConfig(
        depth=shape.vision_layers,
        embed_dim=shape.vision_width,
        hidden_size=shape.width,
        mlp_ratio=3,
        num_heads=shape.vision_width // 32,
        patch_size=SMALL,
        spatial_merge_size=MERGE,
        temporal_patch_size=2,
    )
    return qwen_vl.assemble(Model, Qwen2VLConfig, Qwen2VLTextConfig, vision, shape, tokenizer)


def see(model: Model, pixels: torch.Tensor) -> Seen:
    return qwen_vl.see(model, pixels, GRID, list(range(len(model.model.visual.blocks))))


def describe(config: dict) -> str:
    return qwen_vl.describe(config, config["vision_config"]["embed_dim"], "every layer sees the whole picture")


def load_processor(folder: Path) -> Qwen2VLProcessor:
    return qwen_vl.load_processor(folder, Qwen2VLProcessor)


def save_processor(folder: Path, tokenizer) -> None:
    qwen_vl.save_processor(folder, DIALECT.template, Qwen2VLProcessor)
