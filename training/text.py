"""The tokenizer and the prompt: made from the world's own texts."""

import json
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

@dataclass(frozen=True)
class Dialect:
    """How a family writes a prompt. What comes before the image is `opening`, what follows it `prompt(question)`."""

    special: tuple[str, ...]
    begin: str | None  # added before every text by the tokenizer
    end: str
    pad: str
    image: str
    opening: str
    turn: str  # what follows the image, with {question}
    space: str  # before an answer
    template: str

    def prompt(self, question: str) -> str:
        """What follows the image in the prompt."""
        return self.turn.format(question=question)

    def reply(self, answer: str) -> str:
        """What the model is to say, without the end token."""
        return f"{self.space}{answer}"


LLAVA = Dialect(
    special=("<unk>", "<s>", "</s>", "<pad>", "<image>"),
    begin="<s>",
    end="</s>",
    pad="<pad>",
    image="<image>",
    opening="USER: ",
    turn="\n{question} ASSISTANT:",
    space=" ",
    template="""\
{%- for message in messages -%}
{{ 'USER: ' if message['role'] == 'user' else 'ASSISTANT: ' }}
{%- if message['content'] is string -%}
{{ message['content'] }}
{%- else -%}
{%- for part in message['content'] if part['type'] == 'image' -%}
{{ '<image>\\n' }}
{%- endfor -%}
{%- for part in message['content'] if part['type'] == 'text' -%}
{{ part['text'] }}
{%- endfor -%}
{%- endif -%}
{{ ' ' if message['role'] == 'user' else eos_token }}
{%- endfor -%}
{{ 'ASSISTANT:' if add_generation_prompt else '' }}""",
)

SYSTEM = "You are a helpful assistant."

QWEN = Dialect(
    special=(
        "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>",
    ),  # fmt: skip
    begin=None,
    end="<|im_end|>",
    pad="<|endoftext|>",
    image="<|image_pad|>",
    opening=f"<|im_start|>system\n{SYSTEM}<|im_end|>\n<|im_start|>user\n<|vision_start|>",
    turn="<|vision_end|>{question}<|im_end|>\n<|im_start|>assistant\n",
    space="",
    template=f"""\
{{%- if messages[0]['role'] != 'system' -%}}
{{{{ '<|im_start|>system\\n{SYSTEM}<|im_end|>\\n' }}}}
{{%- endif -%}}
{{%- for message in messages -%}}
{{{{ '<|im_start|>' + message['role'] + '\\n' }}}}
{{%- if message['content'] is string -%}}
{{{{ message['content'] }}}}
{{%- else -%}}
{{%- for part in message['content'] -%}}
{{{{ '<|vision_start|><|image_pad|><|vision_end|>' if part['type'] == 'image' else part['text'] }}}}
{{%- endfor -%}}
{{%- endif -%}}
{{{{ '<|im_end|>\\n' }}}}
{{%- endfor -%}}
{{{{ '<|im_start|>assistant\\n' if add_generation_prompt else '' }}}}""",
)


def train_tokenizer(texts: list[str], dialect: Dialect) -> PreTrainedTokenizerFast:
    """Byte-level BPE that has every word of `texts` as one token; digits stay single, other text falls back to bytes."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    # Merges end when every word is whole, long before this size.
    trainer = trainers.BpeTrainer(
        vocab_size=4096,
        min_frequency=2,
        special_tokens=list(dialect.special),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    if dialect.begin:
        begin = (dialect.begin, tokenizer.token_to_id(dialect.begin))
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{dialect.begin} $A", pair=f"{dialect.begin} $A $B", special_tokens=[begin]
        )
    named = {"bos_token": dialect.begin, "unk_token": "<unk>" if "<unk>" in dialect.special else None}
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=dialect.end,
        pad_token=dialect.pad,
        additional_special_tokens=[t for t in dialect.special if t not in (*named.values(), dialect.end, dialect.pad)],
        model_max_length=512,
        padding_side="left",
        clean_up_tokenization_spaces=False,
        **{name: token for name, token in named.items() if token},
    )


def load_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    return AutoTokenizer.from_pretrained(folder)


def save_tokenizer(tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save_pretrained(folder)
    # Where the tokenizer was loaded from is no property of it.
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text())
    kept = {key: value for key, value in config.items() if key not in ("is_local", "local_files_only")}
    path.write_text(json.dumps(kept, indent=2, sort_keys=True) + "\n")
