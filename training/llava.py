"""The LLaVA-1.5 family: CLIP tower, two-layer projector, Llama decoder. transformers' own classes at a small size."""

import math
from pathlib import Path

import torch
from transformers import (
    CLIPImageProcessor,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
)

from model import GRID, IMAGE, PATCH, VISUAL_TOKENS, Layout, Seen, Shape, decoder, decoder_sizes, initialise
from text import LLAVA as DIALECT

NAME = "steady-llava"
TYPE = "LLaVA-1.5"
Model = LlavaForConditionalGeneration
VISION_WIDTH = 128
IMAGES, BASIC_IMAGES = 120_000, 56_000

__all__ = ["BASIC_IMAGES", "DIALECT", "IMAGES", "NAME", "Model", "TYPE", "VISION_WIDTH", "build", "describe", "layout", "load_processor", "save_processor", "see", "shape_of"]


def build(shape: Shape, tokenizer) -> LlavaForConditionalGeneration:
    """A fresh model with 2-D sinusoids as first positions."""
    ids = dict(
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
    )
    vision = CLIPVisionConfig(
        hidden_size=shape.vision_width,
        intermediate_size=4 * shape.vision_width,
        # LLaVA reads the last but one.
        num_hidden_layers=shape.vision_layers + 1,
        num_attention_heads=shape.vision_width // 32,
        image_size=IMAGE,
        patch_size=PATCH,
        projection_dim=shape.vision_width,
        hidden_act="quick_gelu",
    )
    text = LlamaConfig(
        **decoder_sizes(shape, tokenizer),
        head_dim=32,
        rms_norm_eps=1e-5,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
        tie_word_embeddings=False,
        **ids,
    )
    config = LlavaConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=tokenizer.convert_tokens_to_ids(DIALECT.image),
        image_seq_length=VISUAL_TOKENS,
        projector_hidden_act="gelu",
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
        tie_word_embeddings=False,
        **ids,
    )
    model = LlavaForConditionalGeneration(config)
    initialise(model, vision.num_hidden_layers, text.num_hidden_layers)
    with torch.no_grad():
        embeddings = model.model.vision_tower.embeddings
        embeddings.patch_embedding.weight.normal_(0, 1 / math.sqrt(3 * PATCH * PATCH))
        embeddings.class_embedding.normal_(0, 0.5)
        embeddings.position_embedding.weight[0].zero_()
        embeddings.position_embedding.weight[1:] = 0.5 * sinusoids(shape.vision_width)
    return model


def shape_of(weights: dict[str, torch.Tensor]) -> Shape:
    """The sizes that a snapshot was built with."""
    return Shape(
        vision_width=weights["model.vision_tower.embeddings.class_embedding"].shape[0],
        width=weights["model.language_model.embed_tokens.weight"].shape[1],
        mlp_width=weights["model.language_model.layers.0.mlp.gate_proj.weight"].shape[0],
    )


def sinusoids(width: int) -> torch.Tensor:
    """Row and column of every patch as sines and cosines, [patches, width] (as in ViT and MAE)."""
    frequencies = 1 / 100 ** (torch.arange(width // 4) / (width // 4))
    angles = torch.arange(GRID)[:, None] * frequencies
    line = torch.cat([angles.sin(), angles.cos()], 1)
    rows = line[:, None].expand(GRID, GRID, -1)
    columns = line[None].expand(GRID, GRID, -1)
    return torch.cat([rows, columns], 2).reshape(VISUAL_TOKENS, width)


def see(model: LlavaForConditionalGeneration, pixels: torch.Tensor) -> Seen:
    """`hidden_states[-2]` of the tower, through the projector."""
    tower = model.model.vision_tower
    layers = tower.encoder.layers[:-1]
    hidden = halfway = tower.pre_layrnorm(tower.embeddings(pixels))
    for index, layer in enumerate(layers):
        hidden = layer(hidden, attention_mask=None)
        if index + 1 == len(layers) // 2:
            halfway = hidden

    def summary() -> torch.Tensor:
        return tower.post_layernorm(tower.encoder.layers[-1](hidden, attention_mask=None)[:, 0])

    features = hidden[:, 1:]
    return Seen(features, halfway[:, 1:], lambda: model.model.multi_modal_projector(features), summary)


def layout(opening: int) -> Layout:
    """One position after the other."""
    return Layout(torch.arange(opening + VISUAL_TOKENS)[None], opening + torch.arange(VISUAL_TOKENS))


def describe(config: dict) -> str:
    """For the model card."""
    vision, text = config["vision_config"], config["text_config"]
    size = f"{vision['image_size']}x{vision['image_size']}"
    return (
        f"CLIP vision tower ({vision['num_hidden_layers']} layers, width {vision['hidden_size']}, {size} pixels, patch "
        f"{vision['patch_size']}: {config['image_seq_length']} visual tokens, feature layer {config['vision_feature_layer']}), "
        f"two-layer projector, Llama decoder ({decoder(text)}).\n"
        f"Prompt: `USER: <image>\\n{{question}} ASSISTANT:`. Image files of any size are resized and cropped to {size}."
    )


def load_processor(folder: Path) -> LlavaProcessor:
    return LlavaProcessor.from_pretrained(folder)


def save_processor(folder: Path, tokenizer) -> None:
    save_processor_of(LlavaProcessor, CLIPImageProcessor, folder, tokenizer)


def save_processor_of(kind, image_kind, folder: Path, tokenizer, **settings) -> None:
    """The processor of class `kind`, whose images are prepared by one of class `image_kind`."""
    images = image_kind(
        size={"shortest_edge": IMAGE}, crop_size={"height": IMAGE, "width": IMAGE}, do_convert_rgb=True, **settings
    )
    processor = kind(
        image_processor=images,
        tokenizer=tokenizer,
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=DIALECT.template,
    )
    processor.save_pretrained(folder)
    # Readers that look for the image processor's own file find it too.
    images.save_pretrained(folder)
