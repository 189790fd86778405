"""Two random-weight LLaVA-NeXT: one with Vicuna's decoder, saved in shards as transformers 5 names things now; one with
Mistral's (sliding window, few key/value heads, wide heads), its files as published by earlier versions: f16, sparse configs, one file
per processor.
"""

import shutil
from pathlib import Path

import torch
from transformers import (
    CLIPVisionConfig,
    GenerationConfig,
    LlamaConfig,
    LlavaNextConfig,
    LlavaNextForConditionalGeneration,
    LlavaNextImageProcessorPil,
    LlavaNextProcessor,
    MistralConfig,
)

import published
from cases import Case, make_cases, write_json
from pictures import save, scene
from tiny_llava import fill, make_tokenizer

IMAGE, PATCH = 24, 8
PINPOINTS = [[24, 48], [48, 24], [48, 48], [72, 24], [24, 72]]
SIZES = {"wide": (121, 37), "tall": (19, 90), "tiny": (3, 2), "large": (200, 170)}
VICUNA = (
    "{{ 'A curious user asks about pictures. ' }}{% for message in messages %}{{ message['role'].upper() + ': ' }}"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}{{ '<image>\\n' }}{% else %}{{ part['text'] + ' ' }}{% endif %}"
    "{% endfor %}{% endfor %}{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)
MISTRAL = (
    "{% for message in messages %}{% if message['role'] == 'user' %}{{ '[INST] ' }}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}{{ '<image>\\n' }}{% else %}{{ part['text'] }}{% endif %}{% endfor %}{{ ' [/INST]' }}"
    "{% else %}{{ ' ' + message['content'] + eos_token }}{% endif %}{% endfor %}"
)


def tower(act: str) -> CLIPVisionConfig:
    return CLIPVisionConfig(
        hidden_size=24,
        intermediate_size=40,
        num_hidden_layers=3,
        num_attention_heads=3,
        image_size=IMAGE,
        patch_size=PATCH,
        projection_dim=16,
        hidden_act=act,
    )


# `tower` as a published config says it, but for the activation.
PUBLISHED_TOWER = {
    "hidden_size": 24,
    "image_size": IMAGE,
    "intermediate_size": 40,
    "model_type": "clip_vision_model",
    "num_attention_heads": 3,
    "num_hidden_layers": 3,
    "patch_size": PATCH,
    "projection_dim": 16,
    "vocab_size": 32000,
}


def make_model(text, act: str, seed: int, image_token: int) -> LlavaNextForConditionalGeneration:
    config = LlavaNextConfig(
        vision_config=tower(act),
        text_config=text,
        image_token_index=image_token,
        image_grid_pinpoints=PINPOINTS,
        image_seq_length=(IMAGE // PATCH) ** 2,
    )
    model = LlavaNextForConditionalGeneration(config)
    fill(model, seed)
    model.generation_config = GenerationConfig(bos_token_id=1, eos_token_id=2, pad_token_id=3, do_sample=False)
    return model


def make_processor(tokenizer, template: str) -> LlavaNextProcessor:
    images = LlavaNextImageProcessorPil(
        size={"shortest_edge": IMAGE}, crop_size={"height": IMAGE, "width": IMAGE}, image_grid_pinpoints=PINPOINTS
    )
    return LlavaNextProcessor(
        image_processor=images,
        tokenizer=tokenizer,
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=template,
    )


def vicuna_checkpoint(folder: Path) -> None:
    tokenizer = make_tokenizer()
    text = LlamaConfig(
        vocab_size=(len(tokenizer) + 7) // 8 * 8,
        hidden_size=32,
        intermediate_size=56,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=512,
        rms_norm_eps=1e-5,
        bos_token_id=1,
        eos_token_id=2,
    )
    model = make_model(text, "quick_gelu", 38, tokenizer.convert_tokens_to_ids("<image>"))
    model.save_pretrained(folder, max_shard_size="90KB", save_original_format=False)
    make_processor(tokenizer, VICUNA).save_pretrained(folder)


def mistral_checkpoint(folder: Path) -> None:
    tokenizer = make_tokenizer()
    image_token = tokenizer.convert_tokens_to_ids("<image>")
    text = MistralConfig(
        vocab_size=(len(tokenizer) + 7) // 8 * 8,
        hidden_size=40,
        intermediate_size=56,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=12,
        # Shorter than most prompts here, so that it shows.
        sliding_window=40,
        max_position_embeddings=512,
        rms_norm_eps=1e-5,
        rope_parameters={"rope_type": "default", "rope_theta": 1e6},
    )
    model = make_model(text, "gelu", 36, image_token).to(torch.float16)
    model.save_pretrained(folder)
    published.name_tower(folder)
    processor = make_processor(tokenizer, MISTRAL)
    processor.save_pretrained(folder)
    # As llava-hf published v1.6-mistral: what equals a class default is left out.
    write_json(
        folder / "config.json",
        {
            "architectures": ["LlavaNextForConditionalGeneration"],
            "ignore_index": -100,
            "image_grid_pinpoints": PINPOINTS,
            "image_token_index": image_token,
            "model_type": "llava_next",
            "projector_hidden_act": "gelu",
            "text_config": {
                "_name_or_path": "mistralai/Mistral-7B-Instruct-v0.2",
                "architectures": ["MistralForCausalLM"],
                "head_dim": 12,
                "hidden_size": 40,
                "intermediate_size": 56,
                "max_position_embeddings": 512,
                "model_type": "mistral",
                "num_attention_heads": 4,
                "num_hidden_layers": 3,
                "num_key_value_heads": 2,
                "rms_norm_eps": 1e-05,
                "rope_theta": 1000000.0,
                "sliding_window": 40,
                "torch_dtype": "float16",
                "vocab_size": text.vocab_size,
            },
            "torch_dtype": "float16",
            "transformers_version": "4.39.0.dev0",
            "use_image_newline_parameter": True,
            "vision_config": {"hidden_act": "gelu", **PUBLISHED_TOWER},
            "vision_feature_layer": -2,
            "vision_feature_select_strategy": "default",
            "vocab_size": text.vocab_size,
        },
    )
    tiles = {"aspect_ratio_setting": "anyres", "do_pad": True, "image_grid_pinpoints": PINPOINTS}
    published.write_processor(folder, processor, "LlavaNextImageProcessor", tiles, "4.39.0.dev0")


def make_images(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    for seed, (name, (width, height)) in enumerate(SIZES.items()):
        save(scene(width, height, 40 + seed), folder / f"{name}.png")


QUESTIONS = {
    "wide": "what colour is the circle left of the square?",
    "tall": "is there a cross in the picture?",
    "tiny": "read the word on the sign",
    "large": "how many triangles are above the line?",
}


def cases() -> list[Case]:
    """Three prompts about each picture: a question, an image between words, an image before everything."""
    return [
        case
        for name, question in QUESTIONS.items()
        for case in (
            Case(f"{name}-question", f"{name}.png", question=question),
            Case(f"{name}-between", f"{name}.png", prompt=f"look at this: <image> {question} Größe ½"),
            Case(f"{name}-first", f"{name}.png", prompt="<image>one word:"),
        )
    ]


def make(folder: Path, make_checkpoint) -> None:
    """A checkpoint of this module or of another, and its cases."""
    checkpoint = folder / "checkpoint"
    shutil.rmtree(checkpoint, ignore_errors=True)
    make_checkpoint(checkpoint)
    make_images(folder / "images")
    make_cases(folder, checkpoint, cases(), whole_pixels={"wide-first", "tiny-first"})


def make_vicuna(folder: Path) -> None:
    make(folder, vicuna_checkpoint)


def make_mistral(folder: Path) -> None:
    make(folder, mistral_checkpoint)
