"""A random-weight LLaVA of some 400 kB that takes the paths the embedded checkpoint does not.

Sharded f32 files, fewer key/value heads than query heads, heads wider than `hidden_size / heads`, attention biases,
an untied head, two concatenated feature layers with the class token, llama3 rotary scaling, a repetition penalty, a
tokenizer with a byte fallback, a template with a system turn.
"""

import json
import shutil
from pathlib import Path

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, processors, trainers
from transformers import (
    CLIPImageProcessorPil,
    CLIPVisionConfig,
    GenerationConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)

from cases import Case, make_cases
from pictures import save, scene, with_alpha

SEED = 20
IMAGE, PATCH = 40, 8
SPECIAL = ["<unk>", "<s>", "</s>", "<pad>"]
TEMPLATE = """\
{%- if messages[0]['role'] == 'system' %}
    {{- messages[0]['content'] | trim }}
    {%- set messages = messages[1:] %}
{%- else %}
    {{- 'A curious user asks about pictures.' }}
{%- endif %}
{% for message in messages %}
    {%- if message['role'] not in ['user', 'assistant'] %}
        {{- raise_exception('Only user and assistant turns are known, got ' + message['role']) }}
    {%- endif %}
    {{- ' ' + message['role'].upper() + ': ' }}
    {%- if message['content'] is string %}
        {{- message['content'].strip() }}
    {%- else %}
        {%- for part in message['content'] %}
            {%- if part['type'] == 'image' %}{{ '<image>\\n' }}{% elif part['type'] == 'text' %}{{ part['text'] | trim }}{% endif %}
        {%- endfor %}
    {%- endif %}
    {%- if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{ ' ASSISTANT:' }}{% endif %}
"""
TEXTS = [
    "A curious user asks about pictures. USER: ASSISTANT:",
    "what colour is the circle left of the square? red, green, blue or yellow",
    "how many triangles are above the line? none, one, two, three",
    "is there a cross in the picture? yes or no",
    "read the word on the sign and answer with one word",
]


def make_tokenizer(image_token: bool = True) -> PreTrainedTokenizerFast:
    """Like Llama's: spaces become `▁`, one is put in front, unknown characters fall back to bytes."""
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    byte_tokens = [f"<0x{byte:02X}>" for byte in range(256)]
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=SPECIAL + byte_tokens, show_progress=False)
    tokenizer.train_from_iterator([text.replace(" ", "▁") for text in TEXTS], trainer)
    # Byte tokens belong to the vocabulary, but a text that spells one out is not to become one.
    state = tokenizer.to_str()
    tokenizer = without_added(state, set(byte_tokens))
    if image_token:
        tokenizer.add_special_tokens([AddedToken("<image>", special=True, normalized=False)])
    bos = tokenizer.token_to_id("<s>")
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", bos)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        pad_token="<pad>",
        extra_special_tokens={"image_token": "<image>"} if image_token else {},
        clean_up_tokenization_spaces=False,
    )


def without_added(state: str, tokens: set[str]) -> Tokenizer:
    parsed = json.loads(state)
    parsed["added_tokens"] = [token for token in parsed["added_tokens"] if token["content"] not in tokens]
    return Tokenizer.from_str(json.dumps(parsed))


def make_model(vocab: int, image_token: int) -> LlavaForConditionalGeneration:
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=3,
            num_attention_heads=4,
            image_size=IMAGE,
            patch_size=PATCH,
            hidden_act="gelu",
        ),
        text_config=LlamaConfig(
            vocab_size=vocab,
            hidden_size=40,
            intermediate_size=56,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=12,
            attention_bias=True,
            max_position_embeddings=256,
            rope_parameters={
                "rope_type": "llama3",
                "rope_theta": 500.0,
                "factor": 4.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 32,
            },
            bos_token_id=1,
            eos_token_id=2,
            tie_word_embeddings=False,
        ),
        image_token_index=image_token,
        vision_feature_layer=[-3, -1],
        vision_feature_select_strategy="full",
        projector_hidden_act="quick_gelu",
        image_seq_length=(IMAGE // PATCH) ** 2 + 1,
        tie_word_embeddings=False,
    )
    model = LlavaForConditionalGeneration(config)
    fill(model, SEED)
    model.generation_config = GenerationConfig(
        bos_token_id=1, eos_token_id=[2], pad_token_id=3, do_sample=False, repetition_penalty=1.15
    )
    return model


def fill(model: torch.nn.Module, seed: int) -> None:
    """Random weights under which everything matters and nothing explodes."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in sorted(model.named_parameters()):
        noise = torch.randn(parameter.shape, generator=generator)
        if "norm" in name:
            # Norms must matter, too: their weights are around 1, their biases around 0.
            parameter.data = 0.1 * noise + (1.0 if name.endswith("weight") else 0.0)
        elif name.endswith("bias"):
            parameter.data = 0.1 * noise
        elif "embed" in name:
            parameter.data = 0.5 * noise
        else:
            fan_in = parameter[0].numel()
            # A wide head spreads the logits, so that greedy choices are not decided by rounding.
            parameter.data = noise * (2.0 if "lm_head" in name else 1.0) / fan_in**0.5


def make_checkpoint(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    tokenizer = make_tokenizer()
    image_token = tokenizer.convert_tokens_to_ids("<image>")
    # A few rows more than tokens, as published checkpoints have.
    model = make_model(vocab=(len(tokenizer) + 15) // 8 * 8, image_token=image_token)
    model.save_pretrained(folder, max_shard_size="120KB")
    processor = LlavaProcessor(
        image_processor=CLIPImageProcessorPil(size={"shortest_edge": 44}, crop_size={"height": IMAGE, "width": IMAGE}),
        tokenizer=tokenizer,
        patch_size=PATCH,
        vision_feature_select_strategy="full",
        num_additional_image_tokens=1,
        chat_template=TEMPLATE,
    )
    processor.save_pretrained(folder)


def make_images(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    sizes = {
        "exact": (40, 40),
        "wide": (121, 37),
        "tall": (23, 150),
        "tiny": (3, 2),
        "pixel": (1, 1),
        "larger": (200, 160),
        "square": (97, 97),
    }
    for seed, (name, (width, height)) in enumerate(sizes.items()):
        save(scene(width, height, seed), folder / f"{name}.png")
    save(scene(64, 48, 10).convert("L"), folder / "grey.png")
    save(scene(64, 48, 11).quantize(16), folder / "palette.png")
    save(with_alpha(scene(50, 60, 12)), folder / "alpha.png")
    save(scene(48, 40, 13).convert("L").convert("LA"), folder / "grey-alpha.png")
    save(scene(48, 40, 14).convert("1"), folder / "bilevel.png")


CASES = [
    Case("exact", "exact.png", question="what colour is the circle left of the square?"),
    Case("wide", "wide.png", question="how many triangles are above the line?"),
    Case("tall", "tall.png", question="is there a cross in the picture?"),
    Case("tiny", "tiny.png", question="read the word"),
    Case("pixel", "pixel.png", question="yes or no?"),
    Case("larger", "larger.png", question="  answer with one word  "),
    Case("grey", "grey.png", question="is the red square left of the blue circle?"),
    Case("palette", "palette.png", question="how many?"),
    Case("alpha", "alpha.png", question="what is there?"),
    Case("grey-alpha", "grey-alpha.png", question="none, one, two or three"),
    Case("bilevel", "bilevel.png", question="which word is on the sign?"),
    Case("verbatim", "square.png", prompt="USER: <image>\nis it red? ASSISTANT:"),
    Case("image-first", "square.png", prompt="<image>one word:"),
    Case("image-last", "larger.png", prompt="look at this picture <image>"),
    Case("specials-written", "wide.png", prompt="picture <image> and </s> then <unk> yes"),
    Case("unicode", "exact.png", question="Größe? 三角形 🟥 naïve ½"),
    Case("spaces", "tall.png", prompt="USER:   <image>  two  spaces\n\nand\ttabs ASSISTANT:"),
]


def make(folder: Path) -> None:
    checkpoint = folder / "checkpoint"
    make_checkpoint(checkpoint)
    make_images(folder / "images")
    make_cases(folder, checkpoint, CASES, whole_pixels={"wide", "tiny"})
