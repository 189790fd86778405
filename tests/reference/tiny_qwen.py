"""Random-weight checkpoints of the Qwen2-VL and Qwen2.5-VL types, two of each, some 300 kB each.

`resaved` is what transformers 5 makes: f32 in shards, names of the module tree, nested configuration, untied head, a
small patch. `published` is as the originals were published: one bf16 file with `visual.*` and `model.*`, a flat
configuration that leaves out much, `preprocessor_config.json` and a template in `chat_template.json`, a tied head, the
true patch of 14 pixels, and the repetition penalty of the small Qwen2-VL.
"""

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    GenerationConfig,
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen2VLImageProcessorPil,
)

from cases import write_json
from pictures import save, scene
from qwen_cases import QwenCase, make_qwen_cases

# Of the resaved and the published checkpoint; chosen so that no greedy step is decided by rounding.
SEEDS = {"qwen2_vl": (21, 30), "qwen2_5_vl": (25, 30)}
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
TEMPLATE = """\
{% set pictures = namespace(value=0) %}{% for message in messages %}\
{% if loop.first and message['role'] != 'system' %}<|im_start|>system
Look closely.<|im_end|>
{% endif %}<|im_start|>{{ message['role'] }}
{% if message['content'] is string %}{{ message['content'] }}<|im_end|>
{% else %}{% for part in message['content'] %}{% if part['type'] == 'image' or 'image' in part %}\
{% set pictures.value = pictures.value + 1 %}{% if add_vision_id %}Picture {{ pictures.value }}: {% endif %}\
<|vision_start|><|image_pad|><|vision_end|>{% elif 'text' in part %}{{ part['text'] }}{% endif %}{% endfor %}<|im_end|>
{% endif %}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""
TEXTS = ["system user assistant Look closely. what is in the picture? which colour, red green blue or yellow", "how many shapes are there?"]
SIZES = {
    # With a factor of 28, 70 / 28 = 2.5 and 490 / 28 = 17.5: half to even, not up.
    "wide": (490, 70),
    "tall": (66, 210),
    "tiny": (9, 5),
    "large": (640, 480),
}
WIDTH, HEADS = 48, 3


def make_tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level byte pairs after a split by regular expression, without BOS, as Qwen2's."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    trainer = trainers.BpeTrainer(
        vocab_size=285, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        clean_up_tokenization_spaces=False,
    )


def randomize(model, seed: int, embedding: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in sorted(model.named_parameters()):
        noise = torch.randn(parameter.shape, generator=generator)
        if "norm" in name or "ln_q" in name:
            # Norms must matter, too: their weights are around 1, their biases around 0.
            parameter.data = 0.1 * noise + (1.0 if name.endswith("weight") else 0.0)
        elif name.endswith("bias"):
            parameter.data = 0.2 * noise
        elif "embed_tokens" in name:
            parameter.data = embedding * noise
        else:
            fan_in = parameter[0].numel()
            parameter.data = noise * (2.0 if "lm_head" in name else 1.2) / fan_in**0.5


def ids(tokenizer) -> dict:
    return {
        "image_token_id": tokenizer.convert_tokens_to_ids("<|image_pad|>"),
        "video_token_id": tokenizer.convert_tokens_to_ids("<|video_pad|>"),
        "vision_start_token_id": tokenizer.convert_tokens_to_ids("<|vision_start|>"),
        "vision_end_token_id": tokenizer.convert_tokens_to_ids("<|vision_end|>"),
    }


def text_sizes(tokenizer) -> dict:
    return {
        "vocab_size": (len(tokenizer) + 7) // 8 * 8,
        "hidden_size": WIDTH,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": HEADS,
        "num_key_value_heads": 1,
        "max_position_embeddings": 512,
        "rms_norm_eps": 1e-6,
        "bos_token_id": tokenizer.convert_tokens_to_ids("<|endoftext|>"),
        "eos_token_id": tokenizer.convert_tokens_to_ids("<|im_end|>"),
    }


class Family:
    """What differs between the two."""

    def __init__(self, model_type: str):
        self.model_type = model_type
        self.newer = model_type == "qwen2_5_vl"
        self.config = Qwen2_5_VLConfig if self.newer else Qwen2VLConfig
        self.model = Qwen2_5_VLForConditionalGeneration if self.newer else Qwen2VLForConditionalGeneration
        self.seeds = SEEDS[model_type]

    def vision(self, patch: int, depth: int) -> dict:
        sizes = {"depth": depth, "num_heads": 2, "patch_size": patch}
        if not self.newer:
            return {**sizes, "embed_dim": 24, "hidden_size": WIDTH, "mlp_ratio": 2}
        # Windows of 3x3 or 4x4 visual tokens; the middle block looks at everything.
        window = 36 if patch == 6 else 112
        return {
            **sizes,
            "hidden_size": 24,
            "intermediate_size": 28,
            "out_hidden_size": WIDTH,
            "window_size": window,
            "fullatt_block_indexes": [1],
            "tokens_per_second": 2,
        }


def make_resaved(family: Family, folder: Path, tokenizer) -> None:
    config = family.config(
        text_config={
            **text_sizes(tokenizer),
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 3, 3]},
        },
        vision_config=family.vision(patch=6, depth=3),
        tie_word_embeddings=False,
        **ids(tokenizer),
    )
    model = family.model(config)
    randomize(model, family.seeds[0], embedding=0.7)
    model.generation_config = GenerationConfig(
        pad_token_id=tokenizer.pad_token_id, eos_token_id=[tokenizer.eos_token_id], do_sample=False
    )
    # The default would write the published names.
    model.save_pretrained(folder, max_shard_size="120KB", save_original_format=False)
    tokenizer.save_pretrained(folder)
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    images = Qwen2VLImageProcessorPil(patch_size=6, size={"shortest_edge": 12 * 12 * 4, "longest_edge": 12 * 12 * 60})
    write_json(folder / "processor_config.json", {"image_processor": json.loads(images.to_json_string()), "processor_class": "Qwen2VLProcessor"})


def make_published(family: Family, folder: Path, tokenizer) -> None:
    text = {**text_sizes(tokenizer), "tie_word_embeddings": True}
    # The widths are those of the file's classes; only rotary settings keep the spelling of their time.
    vision = family.vision(patch=14, depth=2)
    build = {**text, "rope_scaling": {"type": "mrope", "mrope_section": [2, 3, 3]}, "rope_theta": 1000000.0}
    flat = {
        "architectures": [family.model.__name__],
        "attention_dropout": 0.0,
        **ids(tokenizer),
        "hidden_act": "silu",
        "initializer_range": 0.02,
        "max_window_layers": 2,
        "model_type": family.model_type,
        "sliding_window": 512,
        "torch_dtype": "bfloat16",
        "transformers_version": "4.41.2",
        "use_cache": True,
        "use_sliding_window": False,
        "vision_config": {**vision, "in_chans": 3, "spatial_patch_size": 14, "model_type": family.model_type},
        **build,
    }
    folder.mkdir(parents=True)
    write_json(folder / "config.json", flat)
    model = family.model(family.config.from_pretrained(folder))
    # Small, because it is the head as well: a loud token would do nothing but repeat itself.
    randomize(model, family.seeds[1], embedding=0.2)
    tensors = {}
    for name, tensor in model.state_dict().items():
        if name == "lm_head.weight":
            continue
        name = name.replace("model.visual.", "visual.").replace("model.language_model.", "model.")
        tensors[name] = tensor.to(torch.bfloat16).contiguous()
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    tokenizer.save_pretrained(folder)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    settings["chat_template"] = TEMPLATE
    settings["tokenizer_class"] = "PreTrainedTokenizerFast"
    write_json(folder / "tokenizer_config.json", settings)
    write_json(folder / "chat_template.json", {"chat_template": TEMPLATE})
    write_json(
        folder / "preprocessor_config.json",
        {
            "min_pixels": 3136,
            "max_pixels": 28 * 28 * 48,
            "patch_size": 14,
            "temporal_patch_size": 2,
            "merge_size": 2,
            "image_mean": [0.48145466, 0.4578275, 0.40821073],
            "image_std": [0.26862954, 0.26130258, 0.27577711],
            "image_processor_type": "Qwen2VLImageProcessor",
            "processor_class": "Qwen2VLProcessor",
        },
    )
    write_json(
        folder / "generation_config.json",
        {
            "bos_token_id": tokenizer.pad_token_id,
            "pad_token_id": tokenizer.pad_token_id,
            "do_sample": True,
            "eos_token_id": [tokenizer.eos_token_id, tokenizer.pad_token_id],
            "repetition_penalty": 1.05,
            "temperature": 0.01,
            "top_k": 1,
            "top_p": 0.001,
            "transformers_version": "4.37.0",
        },
    )


def make_images(folder: Path) -> None:
    for seed, (name, (width, height)) in enumerate(SIZES.items()):
        # Noise does not compress; the large one is scaled up from a small drawing.
        picture = scene(width, height, 40 + seed) if width * height < 50_000 else scene(width // 4, height // 4, 40 + seed).resize((width, height))
        save(picture, folder / f"{name}.png")


def talk(*parts: str | None) -> list:
    """A user turn; `None` is a picture."""
    content = [{"type": "image"} if part is None else {"type": "text", "text": part} for part in parts]
    return [{"role": "user", "content": content}]


def cases() -> list[QwenCase]:
    mark = "<|vision_start|><|image_pad|><|vision_end|>"
    found = []
    for name in SIZES:
        picture = [f"{name}.png"]
        found += [
            QwenCase(f"{name}-question", picture, question="which colour is the circle?"),
            QwenCase(f"{name}-verbatim", picture, prompt=f"{mark}how many? \n\n(1) one  (2) two: Größe ½ 三角"),
            QwenCase(f"{name}-after-text", picture, messages=talk("Here is a picture:", None)),
        ]
    return [
        *found,
        QwenCase("text-only", messages=talk("what is a picture?")),
        QwenCase("text-verbatim", prompt="how many shapes"),
        QwenCase("two-images", ["wide.png", "tall.png"], messages=talk(None, None, "which is taller?")),
        QwenCase("two-images-apart", ["tiny.png", "large.png"], messages=talk("the first", None, "and the second", None, "differ in?")),
    ]


def make(folder: Path, model_type: str) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    family, tokenizer = Family(model_type), make_tokenizer()
    make_images(folder / "images")
    make_resaved(family, folder / "resaved", tokenizer)
    make_published(family, folder / "published", tokenizer)
    for name in ["resaved", "published"]:
        make_qwen_cases(folder, name, cases())


def make_qwen2_vl(folder: Path) -> None:
    make(folder, "qwen2_vl")


def make_qwen2_5_vl(folder: Path) -> None:
    make(folder, "qwen2_5_vl")
