"""The LLaVA-NeXT family: LLaVA-1.5 that gets a picture as a whole and once more in tiles, with a newline after each row of them."""

from pathlib import Path

import torch
from transformers import LlavaNextConfig, LlavaNextForConditionalGeneration, LlavaNextImageProcessorPil, LlavaNextProcessor

import llava
from llava import DIALECT, VISION_WIDTH, shape_of
from model import GRID, IMAGE, VISUAL_TOKENS, Layout, Seen, Shape, rows_and_columns

NAME = "steady-llava-next"
TYPE = "LLaVA-NeXT"
Model = LlavaNextForConditionalGeneration
# Its weights come from LLaVA-1.5, which can do it all.
IMAGES, BASIC_IMAGES = 12_000, 0
# One tile for a square, two for wide and tall pictures, (height, width).
PINPOINTS = [[IMAGE, IMAGE], [IMAGE, 2 * IMAGE], [2 * IMAGE, IMAGE]]
# The whole, then the one tile of a square with its newlines.
TOKENS = VISUAL_TOKENS + GRID * (GRID + 1)

__all__ = ["BASIC_IMAGES", "DIALECT", "IMAGES", "NAME", "Model", "TYPE", "VISION_WIDTH", "build", "describe", "layout", "load_processor", "save_processor", "see", "shape_of"]


def build(shape: Shape, tokenizer) -> Model:
    """A fresh model, but for its newline a fresh LLaVA-1.5."""
    base = llava.build(shape, tokenizer)
    settings = {name: value for name, value in base.config.to_dict().items() if name not in ("model_type", "architectures")}
    model = Model(LlavaNextConfig(**{**settings, "image_grid_pinpoints": PINPOINTS, "image_seq_length": TOKENS}))
    model.load_state_dict(base.state_dict(), strict=False)
    return model


def see(model: Model, pixels: torch.Tensor) -> Seen:
    """A square is its own only tile, so the tower sees it once for both."""
    seen = llava.see(model, pixels)

    def visual() -> torch.Tensor:
        whole = seen.visual()
        rows = whole.unflatten(1, (GRID, GRID))
        newlines = model.model.image_newline.expand(len(whole), GRID, 1, -1)
        return torch.cat([whole, torch.cat([rows, newlines], 2).flatten(1, 2)], 1)

    return Seen(seen.features, seen.halfway, visual, seen.summary)


def layout(opening: int) -> Layout:
    """One position after the other; patches are read off the tile."""
    rows, columns = rows_and_columns()
    return Layout(torch.arange(opening + TOKENS)[None], opening + VISUAL_TOKENS + rows * (GRID + 1) + columns)


def describe(config: dict) -> str:
    """For the model card."""
    return (
        f"{llava.describe(config)} Wide and tall ones become two tiles beside\n"
        f"the whole, which it has never seen: its pictures were square, one tile and {TOKENS} visual tokens."
    )


def load_processor(folder: Path) -> LlavaNextProcessor:
    return LlavaNextProcessor.from_pretrained(folder)


def save_processor(folder: Path, tokenizer) -> None:
    llava.save_processor_of(LlavaNextProcessor, LlavaNextImageProcessorPil, folder, tokenizer, image_grid_pinpoints=PINPOINTS)
