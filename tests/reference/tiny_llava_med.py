"""A random-weight LLaVA-Med v1.5 in the LLaVA repository's layout: bf16, the decoder's fields and names at the top, `mm_projector`, the
CLIP tower (whole, with its text side) in a second folder, no image token, no chat template.

What is expected of it is computed by transformers' LLaVA with the same weights. Inputs are made as the repository's evaluation makes
them: the picture in the middle of a square of the mean colour, then CLIP's processor; the text before and behind the placeholder
encoded apart, without a second beginning of sequence.
"""

import shutil
from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import save_file
from transformers import (
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    CLIPTextConfig,
    GenerationConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    MistralConfig,
    PreTrainedTokenizerFast,
)
from transformers.image_utils import load_image

from cases import Case, answer, write_cases, write_json
from tiny_llava import fill, make_tokenizer
from tiny_llava_next import IMAGE, QUESTIONS, make_images, tower

TOWER = "steady/clip-tiny-patch8-24"
PLACEHOLDER = "<image>"


def make_model(vocab: int) -> LlavaForConditionalGeneration:
    """One row more than the vocabulary: transformers' LLaVA needs an id for the placeholder. Its logit is always 0."""
    text = MistralConfig(
        vocab_size=vocab + 1,
        hidden_size=32,
        intermediate_size=56,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        rms_norm_eps=1e-5,
        rope_parameters={"rope_type": "default", "rope_theta": 1e6},
        sliding_window=None,
    )
    config = LlavaConfig(vision_config=tower("quick_gelu"), text_config=text, image_token_index=vocab, image_seq_length=9)
    model = LlavaForConditionalGeneration(config)
    fill(model, 33)
    model.lm_head.weight.data[vocab:] = 0.0
    model.generation_config = GenerationConfig(bos_token_id=1, eos_token_id=2, pad_token_id=3, do_sample=False)
    # What the files hold is what is computed with: the tower as f16, the rest as bf16.
    for name, parameter in model.named_parameters():
        stored = torch.float16 if "vision_tower" in name else torch.bfloat16
        parameter.data = parameter.data.to(stored).float()
    return model.eval()


def save_checkpoint(model: LlavaForConditionalGeneration, vocab: int, folder: Path) -> None:
    tensors = {}
    for name, tensor in model.state_dict().items():
        tensor = tensor.to(torch.bfloat16).contiguous()
        if name == "lm_head.weight":
            tensors[name] = tensor[:vocab].clone()
        elif name.startswith("model.language_model."):
            tensor = tensor[:vocab].clone() if "embed_tokens" in name else tensor
            tensors[name.replace("model.language_model.", "model.")] = tensor
        elif name.startswith("model.multi_modal_projector."):
            layer = "0" if "linear_1" in name else "2"
            tensors[f"model.mm_projector.{layer}.{name.rsplit('.')[-1]}"] = tensor
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    # The fields of microsoft/llava-med-v1.5-mistral-7b.
    write_json(
        folder / "config.json",
        {
            "architectures": ["LlavaMistralForCausalLM"],
            "attention_dropout": 0.0,
            "bos_token_id": 1,
            "eos_token_id": 2,
            "freeze_mm_mlp_adapter": False,
            "hidden_act": "silu",
            "hidden_size": 32,
            "image_aspect_ratio": "pad",
            "initializer_range": 0.02,
            "intermediate_size": 56,
            "max_position_embeddings": 512,
            "mm_hidden_size": 24,
            "mm_projector_type": "mlp2x_gelu",
            "mm_use_im_patch_token": False,
            "mm_use_im_start_end": False,
            "mm_vision_select_feature": "patch",
            "mm_vision_select_layer": -2,
            "mm_vision_tower": TOWER,
            "model_type": "llava_mistral",
            "num_attention_heads": 4,
            "num_hidden_layers": 2,
            "num_key_value_heads": 2,
            "rms_norm_eps": 1e-05,
            "rope_theta": 1000000.0,
            "sliding_window": None,
            "tie_word_embeddings": False,
            "tokenizer_model_max_length": 512,
            "torch_dtype": "bfloat16",
            "transformers_version": "4.36.2",
            "tune_mm_mlp_adapter": False,
            "unfreeze_mm_vision_tower": True,
            "use_cache": True,
            "use_mm_proj": True,
            "vocab_size": vocab,
        },
    )
    write_json(folder / "generation_config.json", {"_from_model_config": True, "bos_token_id": 1, "eos_token_id": 2, "transformers_version": "4.36.2"})


def save_tower(model: LlavaForConditionalGeneration, folder: Path) -> None:
    """A whole CLIP, as openai publishes it; its text side and projections are of no use here and must be left alone."""
    text = CLIPTextConfig(vocab_size=20, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1, max_position_embeddings=4)
    torch.manual_seed(34)
    clip = CLIPModel(CLIPConfig(text_config=text.to_dict(), vision_config=tower("quick_gelu").to_dict(), projection_dim=16))
    clip.vision_model.load_state_dict(model.model.vision_tower.state_dict())
    clip.to(torch.float16).save_pretrained(folder)
    CLIPImageProcessorPil(size={"shortest_edge": IMAGE}, crop_size={"height": IMAGE, "width": IMAGE}).save_pretrained(folder)


def ids_around(prompt: str, tokenizer: PreTrainedTokenizerFast, image_ids: list[int]) -> list[int]:
    before, behind = (tokenizer(text).input_ids for text in prompt.split(PLACEHOLDER))
    return before + image_ids + behind[1:]


def on_square(picture: Image.Image, colour: tuple[int, ...]) -> Image.Image:
    side = max(picture.size)
    canvas = Image.new("RGB", (side, side), colour)
    canvas.paste(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
    return canvas


def asking(folder: Path, images):
    """What answers a case, with pictures made into pixels by `images`."""
    tokenizer = make_tokenizer(image_token=False)
    vocab = len(tokenizer)
    model = make_model(vocab)
    colour = tuple(int(mean * 255) for mean in images.image_mean)

    def ask(case: Case):
        prompt = case.prompt or f"[INST] {PLACEHOLDER}\n{case.question} [/INST]"
        picture = on_square(load_image(str(folder / "images" / case.image)), colour)
        ids = torch.tensor([ids_around(prompt, tokenizer, [vocab] * 9)])
        inputs = {
            "input_ids": ids,
            "attention_mask": torch.ones_like(ids),
            "pixel_values": images(picture, return_tensors="pt")["pixel_values"],
        }
        row, logits, pixels = answer(model, tokenizer, case, prompt, inputs)
        row["top"] = [top for top in row["top"] if top["id"] < vocab]
        return row, logits[:vocab], pixels

    return ask


def make(folder: Path) -> None:
    checkpoint, clip = folder / "checkpoint", folder / TOWER.split("/")[-1]
    for old in (checkpoint, clip):
        shutil.rmtree(old, ignore_errors=True)
        old.mkdir(parents=True)
    tokenizer = make_tokenizer(image_token=False)
    vocab = len(tokenizer)
    model = make_model(vocab)
    save_checkpoint(model, vocab, checkpoint)
    save_tower(model, clip)
    tokenizer.save_pretrained(checkpoint)
    make_images(folder / "images")
    ask = asking(folder, CLIPImageProcessorPil.from_pretrained(clip))
    cases = [
        case
        for name, question in QUESTIONS.items()
        for case in (
            Case(f"{name}-question", f"{name}.png", question=question),
            Case(f"{name}-between", f"{name}.png", prompt=f"look at this: {PLACEHOLDER} {question} Größe ½"),
            Case(f"{name}-first", f"{name}.png", prompt=f"{PLACEHOLDER}one word:"),
        )
    ]
    write_cases(folder, checkpoint, cases, {"wide-first", "tiny-first"}, ask)
