"""Checkpoint folders as people publish them, and what transformers makes of each.

A variant is a tiny checkpoint and a list of edits, which the Rust test applies to a copy of its own. Beside it stands what transformers
decodes by, the ids of one prompt, and the first tokens of the answer; or the kind of error with which it refuses the folder.
"""

import json
import shutil
import tempfile
import warnings
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import AutoImageProcessor, AutoTokenizer

import cases
import qwen_cases
from cases import write_json

HERE = Path(__file__).resolve().parent
LLAVA = ("tiny-llava/checkpoint", "tiny-llava/images/tiny.png", "USER: <image>\nwhat is it? ASSISTANT:")
QWEN = (
    "tiny-qwen2-vl/published",
    "tiny-qwen2-vl/images/large.png",
    "<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>what is it?<|im_end|>\n<|im_start|>assistant\n",
)
NEW_TOKENS = 12
BOM = "\ufeff"

# Edits: ["set", file, pointer, value], ["delete", file, pointer], ["remove", file], ["write", file, text], ["prefix", file, text],
# ["token-outside", token, file]: takes a token out of tokenizer.json into `file`; ["tensor", name, what]: drops or scales
# it, or ["tensor-copy", from, to, factor]; ["tensor-zeros", name, shape, shard or null].
VARIANTS = {
    "as it is": (LLAVA, []),
    "Qwen2-VL as it is": (QWEN, []),
    "Qwen2-VL, no generation_config.json": (QWEN, [["remove", "generation_config.json"]]),
    "Qwen2-VL, no generation_config.json, another root eos": (
        QWEN,
        [["remove", "generation_config.json"], ["set", "config.json", "/eos_token_id", 122]],
    ),
    "no generation_config.json": (LLAVA, [["remove", "generation_config.json"]]),
    "root eos, no generation_config.json": (
        LLAVA,
        [["remove", "generation_config.json"], ["set", "config.json", "/eos_token_id", 178]],
    ),
    "root eos as a list, text eos another": (
        LLAVA,
        [
            ["remove", "generation_config.json"],
            ["set", "config.json", "/eos_token_id", [352, 57]],
            ["set", "config.json", "/text_config/eos_token_id", 127],
        ],
    ),
    "text eos alone": (LLAVA, [["remove", "generation_config.json"], ["set", "config.json", "/text_config/eos_token_id", [236]]]),
    "root eos null, text eos": (
        LLAVA,
        [
            ["remove", "generation_config.json"],
            ["set", "config.json", "/eos_token_id", None],
            ["set", "config.json", "/text_config/eos_token_id", 236],
        ],
    ),
    "no eos anywhere": (LLAVA, [["remove", "generation_config.json"], ["delete", "config.json", "/text_config/eos_token_id"]]),
    "root repetition penalty and limit": (
        LLAVA,
        [
            ["remove", "generation_config.json"],
            ["set", "config.json", "/repetition_penalty", 1.3],
            ["set", "config.json", "/max_new_tokens", 5],
            ["set", "config.json", "/pad_token_id", 3],
        ],
    ),
    "text repetition penalty": (
        LLAVA,
        [["remove", "generation_config.json"], ["set", "config.json", "/text_config/repetition_penalty", 1.3]],
    ),
    "generation_config.json without eos, root eos": (
        LLAVA,
        [["delete", "generation_config.json", "/eos_token_id"], ["set", "config.json", "/eos_token_id", 178]],
    ),
    "generation_config.json with eos, root eos": (LLAVA, [["set", "config.json", "/eos_token_id", 178]]),
    "pad -1 in generation_config.json": (LLAVA, [["set", "generation_config.json", "/pad_token_id", -1]]),
    "pad -1 in config.json": (
        LLAVA,
        [["set", "config.json", "/pad_token_id", -1], ["set", "config.json", "/text_config/pad_token_id", -1]],
    ),
    "pad -1 in config.json, no generation_config.json": (
        LLAVA,
        [["remove", "generation_config.json"], ["set", "config.json", "/pad_token_id", -1]],
    ),
    "eos -1 in generation_config.json": (LLAVA, [["set", "generation_config.json", "/eos_token_id", -1]]),
    "no architectures": (LLAVA, [["delete", "config.json", "/architectures"]]),
    "empty architectures": (LLAVA, [["set", "config.json", "/architectures", []]]),
    "another class in architectures": (LLAVA, [["set", "config.json", "/architectures", ["LlamaForCausalLM"]]]),
    "byte order mark in config.json": (LLAVA, [["prefix", "config.json", BOM]]),
    "byte order mark in generation_config.json": (LLAVA, [["prefix", "generation_config.json", BOM]]),
    "byte order mark in tokenizer_config.json": (LLAVA, [["prefix", "tokenizer_config.json", BOM]]),
    "byte order mark in tokenizer.json": (LLAVA, [["prefix", "tokenizer.json", BOM]]),
    "byte order mark in processor_config.json": (LLAVA, [["prefix", "processor_config.json", BOM]]),
    "byte order mark in chat_template.jinja": (LLAVA, [["prefix", "chat_template.jinja", BOM]]),
    "byte order mark in the index": (LLAVA, [["prefix", "model.safetensors.index.json", BOM]]),
    "image token in added_tokens_decoder alone": (LLAVA, [["token-outside", "<image>", "tokenizer_config.json"]]),
    "image token in added_tokens.json alone": (LLAVA, [["token-outside", "<image>", "added_tokens.json"]]),
    "image token nowhere": (LLAVA, [["token-outside", "<image>", None]]),
    "unlisted inv_freq in a shard": (
        LLAVA,
        [["tensor-zeros", "language_model.model.layers.0.self_attn.rotary_emb.inv_freq", [6], "model-00002-of-00004.safetensors"]],
    ),
    "unlisted tensor in a shard": (
        LLAVA,
        [["tensor-zeros", "language_model.model.layers.0.self_attn.surprise", [6], "model-00002-of-00004.safetensors"]],
    ),
    "tied, head equal": (QWEN, [["tensor-copy", "model.embed_tokens.weight", "lm_head.weight", 1.0]]),
    "tied, head another": (QWEN, [["tensor-copy", "model.embed_tokens.weight", "lm_head.weight", -0.5]]),
    "tied, the head alone": (
        QWEN,
        [["tensor-copy", "model.embed_tokens.weight", "lm_head.weight", 1.0], ["tensor", "model.embed_tokens.weight", "drop"]],
    ),
    "tied by text_config alone": (
        LLAVA,
        [["set", "config.json", "/text_config/tie_word_embeddings", True], ["delete", "config.json", "/tie_word_embeddings"]],
    ),
    "no image_processor_type": (QWEN, [["delete", "preprocessor_config.json", "/image_processor_type"]]),
    "the first name of the Qwen2.5-VL processor": (
        QWEN,
        [["set", "preprocessor_config.json", "/image_processor_type", "Qwen2_5_VLImageProcessor"]],
    ),
    "a feature extractor's name": (
        QWEN,
        [
            ["delete", "preprocessor_config.json", "/image_processor_type"],
            ["set", "preprocessor_config.json", "/feature_extractor_type", "Qwen2VLImageProcessor"],
        ],
    ),
}


def pointed(value, pointer: str):
    """The object that holds the field, and its name."""
    *path, field = pointer.removeprefix("/").split("/")
    for part in path:
        value = value[part]
    return value, field


def edit(folder: Path, what: list) -> None:
    kind, *rest = what
    if kind in ("set", "delete"):
        file = folder / rest[0]
        value = json.loads(file.read_text())
        holder, field = pointed(value, rest[1])
        if kind == "set":
            holder[field] = rest[2]
        else:
            del holder[field]
        file.write_text(json.dumps(value))
    elif kind == "remove":
        (folder / rest[0]).unlink()
    elif kind == "prefix":
        file = folder / rest[0]
        file.write_text(rest[1] + file.read_text())
    elif kind == "token-outside":
        token_outside(folder, *rest)
    else:
        tensors(folder, kind, *rest)


def token_outside(folder: Path, token: str, target: str | None) -> None:
    file = folder / "tokenizer.json"
    value = json.loads(file.read_text())
    [entry] = [entry for entry in value["added_tokens"] if entry["content"] == token]
    value["added_tokens"].remove(entry)
    value["model"]["vocab"].pop(token, None)
    file.write_text(json.dumps(value))
    if target == "added_tokens.json":
        (folder / target).write_text(json.dumps({token: entry["id"]}))
    elif target is not None:
        config = json.loads((folder / target).read_text())
        config["added_tokens_decoder"] = {str(entry["id"]): {k: v for k, v in entry.items() if k != "id"}}
        (folder / target).write_text(json.dumps(config))


def tensors(folder: Path, kind: str, name: str, *rest) -> None:
    file = folder / (rest[1] if kind == "tensor-zeros" and rest[1] else "model.safetensors")
    held = load_file(file)
    if kind == "tensor":
        del held[name]
    elif kind == "tensor-copy":
        held[rest[0]] = (held[name].float() * rest[1]).to(held[name].dtype).clone()
    else:
        held[name] = torch.zeros(rest[0])
    save_file(held, file, metadata={"format": "pt"})


def outcome(folder: Path, base: tuple) -> dict:
    _, picture, prompt = base
    image = transformers.image_utils.load_image(str(HERE / picture))
    model, processor = (cases.reference if base is LLAVA else qwen_cases.reference)(folder)
    # By whatever name the files give it.
    processor.image_processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
    asked = None
    if base is LLAVA:
        content = [{"type": "image"}, {"type": "text", "text": "hm?"}]
        asked = AutoTokenizer.from_pretrained(folder).apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
        )
    inputs = processor(images=[image], text=[prompt], return_tensors="pt")
    own = model.generation_config
    with torch.no_grad():
        out = model.generate(**inputs, do_sample=False, max_new_tokens=NEW_TOKENS)
        logits = model(**inputs).logits[0, -1].float()
    prompt_length = inputs["input_ids"].shape[1]
    return {
        "eos": own.eos_token_id if isinstance(own.eos_token_id, list | None) else [own.eos_token_id],
        "bos": own.bos_token_id,
        "pad": own.pad_token_id,
        "repetition_penalty": own.repetition_penalty,
        "max_new_tokens": own.max_new_tokens,
        "input_ids": inputs["input_ids"][0].tolist(),
        "output_ids": out[0, prompt_length:].tolist(),
        "best": [round(v, 4) for v in logits.topk(3).values.tolist()],
        "asked": asked,
        "tied": model.get_output_embeddings().weight is model.get_input_embeddings().weight,
    }


def make(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("ignore")
    rows = []
    for name, (base, edits) in VARIANTS.items():
        with tempfile.TemporaryDirectory() as place:
            copy = Path(place) / "checkpoint"
            shutil.copytree(HERE / base[0], copy)
            for what in edits:
                edit(copy, what)
            try:
                result = outcome(copy, base)
            except Exception as error:  # noqa: BLE001: any refusal is one
                result = {"refused": type(error).__name__}
                print(name, "->", type(error).__name__, str(error)[:300])
        rows.append({"name": name, "checkpoint": base[0], "image": base[1], "prompt": base[2], "edits": edits, **result})
    write_json(
        folder / "variants.json",
        {"transformers": transformers.__version__, "torch": torch.__version__, "new_tokens": NEW_TOKENS, "cases": rows},
        rows="cases",
    )


if __name__ == "__main__":
    make(HERE / "variants")
