"""A random-weight LLaVA-1.5 in the files that llava-hf published: one f16 file with the names of transformers 4, a config that says of the
decoder only what differs from the classes' defaults."""

from pathlib import Path

import torch
from transformers import (
    CLIPImageProcessorPil,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
)

import published
import tiny_llava_next
from cases import write_json
from tiny_llava import fill, make_tokenizer
from tiny_llava_next import IMAGE, PATCH, PUBLISHED_TOWER, VICUNA, tower

SEED = 44


def make_checkpoint(folder: Path) -> None:
    tokenizer = make_tokenizer()
    image_token = tokenizer.convert_tokens_to_ids("<image>")
    text = LlamaConfig(
        vocab_size=(len(tokenizer) + 63) // 64 * 64,
        hidden_size=48,
        intermediate_size=56,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=4096,
        rms_norm_eps=1e-5,
    )
    config = LlavaConfig(
        vision_config=tower("quick_gelu"),
        text_config=text,
        image_token_index=image_token,
        projector_hidden_act="gelu",
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
        tie_word_embeddings=False,
    )
    model = LlavaForConditionalGeneration(config)
    fill(model, SEED)
    model.to(torch.float16).save_pretrained(folder)
    published.name_tower(folder)
    processor = LlavaProcessor(
        image_processor=CLIPImageProcessorPil(size={"shortest_edge": IMAGE}, crop_size={"height": IMAGE, "width": IMAGE}),
        tokenizer=tokenizer,
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=VICUNA,
    )
    processor.save_pretrained(folder)
    # As llava-hf/llava-1.5-7b-hf; sizes that are class defaults there are not here, so they are said.
    write_json(
        folder / "config.json",
        {
            "architectures": ["LlavaForConditionalGeneration"],
            "ignore_index": -100,
            "image_token_index": image_token,
            "model_type": "llava",
            "pad_token_id": 3,
            "projector_hidden_act": "gelu",
            "text_config": {
                "_name_or_path": "lmsys/vicuna-7b-v1.5",
                "architectures": ["LlamaForCausalLM"],
                "hidden_size": 48,
                "intermediate_size": 56,
                "max_position_embeddings": 4096,
                "model_type": "llama",
                "num_attention_heads": 4,
                "num_hidden_layers": 2,
                "rms_norm_eps": 1e-05,
                "torch_dtype": "float16",
                "vocab_size": text.vocab_size,
            },
            "tie_word_embeddings": False,
            "torch_dtype": "float16",
            "transformers_version": "4.36.0.dev0",
            "vision_config": PUBLISHED_TOWER,
            "vision_feature_layer": -2,
            "vision_feature_select_strategy": "default",
            "vocab_size": text.vocab_size,
        },
    )
    published.write_processor(folder, processor, "CLIPImageProcessor", {}, "4.36.0.dev0")


def make(folder: Path) -> None:
    tiny_llava_next.make(folder, make_checkpoint)
