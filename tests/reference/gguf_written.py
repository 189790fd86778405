"""What the package gguf finds in the files that `steady quantize --format gguf` writes.

    python tests/reference/gguf_written.py STEADY [FOLDER]

STEADY is the built program. Needs numpy, safetensors, tokenizers and `pip install --no-deps gguf==0.19.0`. Three embedded models are written in Q8_0 and Q4_0, towers and projectors too
in one of them, and

* every tensor has the name that gguf's own tables give the one of transformers, and no other is there;
* blocks are, byte for byte, those that gguf makes of the base's weights; what is not packed is the base's numbers; queries and keys of Llama are in llama.cpp's order;
* of other quantizers what gguf unpacks is the matrix that compressed-tensors' layout of the same acceleration holds;
* tokens are those of tokenizer.json, and the keys that llama.cpp's loader asks for are there, as large as in config.json.

With `pip install xllamacpp==2026.10.11549`, which is llama.cpp, that loads the files and answers questions about the pictures of the reference cases; its answers are printed beside steady's and
need not be the same, because it rounds activations and has its own way with pixels. FOLDER keeps what was written. Prints what was compared.
"""

import base64
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from gguf import MODEL_ARCH, GGMLQuantizationType, GGUFReader, dequantize, get_tensor_name_map, quantize
from safetensors import safe_open
from tokenizers import Tokenizer

ROOT = Path(__file__).resolve().parents[2]
MODELS = {"steady-llava": MODEL_ARCH.LLAMA, "steady-qwen2-vl": MODEL_ARCH.QWEN2VL, "steady-qwen2.5-vl": MODEL_ARCH.QWEN2VL}
# Q4_0 with towers and projectors.
SPECS = {"q8_0": GGMLQuantizationType.Q8_0, "q4_0:vision,projector": GGMLQuantizationType.Q4_0}
PROJECTORS = {"llava": "mlp", "qwen2_vl": "qwen2vl_merger", "qwen2_5_vl": "qwen2.5vl_merger"}
# What stands between a picture and its question. llama.cpp has a text for a picture, so the template of steady-llava does not put it there.
BETWEEN = {"steady-llava": "\n", "steady-qwen2-vl": "", "steady-qwen2.5-vl": ""}
# Cases about pictures of the size that the models look at, so that nothing is resized.
CASES = [f"world-{at}" for at in range(10)]


def write(steady: str, model: str, spec: str, layout: str, out: Path) -> Path:
    subprocess.run([steady, "quantize", "--model", str(ROOT / "models" / model), "--accel", spec, "--format", layout, "--out", str(out)], check=True, stdout=subprocess.DEVNULL)
    return out


def held(folder: Path) -> dict[str, np.ndarray]:
    with safe_open(folder / "model.safetensors", "np") as file:
        return {name: file.get_tensor(name) for name in file.keys()}


def permuted(weight: np.ndarray, heads: int) -> np.ndarray:
    """Of a head its first half and its second, row by row in turns."""
    return weight.reshape(heads, 2, -1, weight.shape[1]).swapaxes(1, 2).reshape(weight.shape)


def parts(name: str, weight: np.ndarray, config: dict):
    """The tensors that the converter makes of one, by transformers' names, those that it makes up included."""
    if ".attn.qkv." in name:
        return [(name.replace("qkv", part), piece) for part, piece in zip("qkv", np.split(weight, 3), strict=True)]
    if name == "visual.patch_embed.proj.weight":
        return [("v.patch_embd.weight", weight[:, :, 0]), ("v.patch_embd.weight.1", weight[:, :, 1])]
    if config["model_type"] == "llava":
        text = config["text_config"]
        for part, heads in (("q_proj", text["num_attention_heads"]), ("k_proj", text["num_key_value_heads"])):
            if name.startswith("language_model.") and name.endswith(f"{part}.weight"):
                return [(name, permuted(weight, heads))]
    return [(name, weight)]


def expected(model: str, config: dict, arch: MODEL_ARCH) -> dict[str, np.ndarray]:
    """The base's tensors by llama.cpp's names."""
    layers = config["vision_config"].get("num_hidden_layers", config["vision_config"].get("depth"))
    text, tower = get_tensor_name_map(arch, config["text_config"]["num_hidden_layers"]), get_tensor_name_map(MODEL_ARCH.MMPROJ, layers)
    found = {}
    for name, weight in held(ROOT / "models" / model).items():
        for part, piece in parts(name, weight, config):
            # LLaVA: nothing is taken from the last layer, nor does anything pass the last norm.
            if config["model_type"] == "llava" and (f"encoder.layers.{layers - 1}." in part or "post_layernorm" in part):
                continue
            of_text = part.replace("language_model.model.", "model.").replace("language_model.lm_head", "lm_head")
            # The old converter numbered the projector's layers as its modules.
            of_tower = part.replace("linear_1", "linear_0").replace("vision_tower.vision_model.", "vision_tower.").replace("vision_tower.", "vision_tower.vision_model.")
            there = part if part.startswith("v.") else text.get_name(of_text, (".weight", ".bias")) or tower.get_name(of_tower, (".weight", ".bias"))
            assert there, f"{part} has no name in gguf's tables"
            found[there] = piece
    return found


def fields(reader: GGUFReader) -> dict:
    return {name: field.contents() for name, field in reader.fields.items()}


def compare(folder: Path, model: str, spec: str, kind: GGMLQuantizationType) -> None:
    config = json.loads((folder / "config.json").read_text())
    readers = [GGUFReader(folder / "model.gguf"), GGUFReader(folder / "mmproj.gguf")]
    left, packed = expected(model, config, MODELS[model]), 0
    for tensor in [tensor for reader in readers for tensor in reader.tensors]:
        weight = left.pop(tensor.name)
        assert tuple(reversed(tensor.shape.tolist())) == weight.shape, f"{tensor.name}: {tensor.shape} and {weight.shape}"
        if tensor.tensor_type == kind:
            packed += 1
            assert np.array_equal(tensor.data.view(np.uint8).ravel(), quantize(weight.astype(np.float32), kind).ravel()), f"{tensor.name}: other blocks than gguf's"
        else:
            assert tensor.tensor_type.name == ("F16" if weight.ndim > 1 and "position" not in tensor.name else "F32"), f"{tensor.name} is {tensor.tensor_type.name}"
            assert np.array_equal(dequantize(tensor.data, tensor.tensor_type).ravel(), weight.astype(np.float32).ravel()), f"{tensor.name}: other numbers"
    assert not left, f"{folder.name} has no {sorted(left)}"
    told = keys(folder, config, *readers)
    print(f"{model} as {spec}: {packed} tensors of gguf's own blocks, byte for byte; all names known; {told} tokens")


def keys(folder: Path, config: dict, language: GGUFReader, seeing: GGUFReader) -> int:
    said, text, vision = fields(language), config["text_config"], config["vision_config"]
    arch = said["general.architecture"]
    rope = text["rope_parameters"]
    for key, value in {
        "context_length": text["max_position_embeddings"],
        "embedding_length": text["hidden_size"],
        "block_count": text["num_hidden_layers"],
        "feed_forward_length": text["intermediate_size"],
        "attention.head_count": text["num_attention_heads"],
        "attention.head_count_kv": text["num_key_value_heads"],
        "rope.freq_base": rope["rope_theta"],
    }.items():
        assert said[f"{arch}.{key}"] == value, key
    assert np.float32(said[f"{arch}.attention.layer_norm_rms_epsilon"]) == np.float32(text["rms_norm_eps"])
    if arch == "qwen2vl":
        assert said["qwen2vl.rope.dimension_sections"] == [*rope["mrope_section"], 0]
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert (said["tokenizer.ggml.model"], said["tokenizer.ggml.pre"]) == ("gpt2", "smollm")
    tokens = said["tokenizer.ggml.tokens"]
    assert tokens == [tokenizer.id_to_token(token) for token in range(text["vocab_size"])]
    controls = [token for token, kind in enumerate(said["tokenizer.ggml.token_type"]) if kind == 3]
    assert controls == sorted(tokenizer.get_added_tokens_decoder())
    merges = json.loads((folder / "tokenizer.json").read_text())["model"]["merges"]
    assert said["tokenizer.ggml.merges"] == [" ".join(merge) for merge in merges]
    assert said["tokenizer.ggml.add_bos_token"] == (arch == "llama")
    assert said["tokenizer.ggml.eos_token_id"] == text["eos_token_id"]
    assert said["tokenizer.chat_template"] == (folder / "chat_template.jinja").read_text()
    seen = fields(seeing)
    assert (seen["general.architecture"], seen["clip.projector_type"]) == ("clip", PROJECTORS[config["model_type"]])
    # What clip.cpp does not load a tower without.
    for key in ["image_size", "patch_size", "embedding_length", "feed_forward_length", "block_count", "projection_dim", "attention.head_count", "attention.layer_norm_epsilon"]:
        assert seen[f"clip.vision.{key}"] > 0, key
    assert seen["clip.vision.patch_size"] == vision["patch_size"] and len(seen["clip.vision.image_mean"]) == len(seen["clip.vision.image_std"]) == 3
    if config["model_type"] == "qwen2_5_vl":
        assert seen["clip.vision.n_wa_pattern"] == vision["fullatt_block_indexes"][0] + 1 and seen["clip.use_silu"]
    return len(tokens)


def of_other_quantizers(steady: str, folder: Path) -> None:
    """What gguf unpacks, against compressed-tensors' layout read by hand: words of 8 or 4 codes, lowest first, and a scale a group."""
    for spec, bits in (("w4:rtn,sym", 4), ("w8:rtn,sym,g=64", 8), ("w4:gptq,n=4", 4)):
        there = write(steady, "steady-qwen2-vl", spec, "gguf", folder / f"gguf-{bits}-{spec[:6].replace(':', '-')}")
        here = held(write(steady, "steady-qwen2-vl", spec, "compressed-tensors", folder / f"ct-{bits}-{spec[:6].replace(':', '-')}"))
        text, compared = get_tensor_name_map(MODEL_ARCH.QWEN2VL, 4), 0
        unpacked = {tensor.name: dequantize(tensor.data, tensor.tensor_type) for tensor in GGUFReader(there / "model.gguf").tensors}
        for name in [name.removesuffix("_packed") for name in here if name.endswith("weight_packed")]:
            words, scales = here[f"{name}_packed"].view(np.uint32), here[f"{name}_scale"].astype(np.float32)
            codes = (words[..., None] >> np.arange(0, 32, bits, dtype=np.uint32)) & (2**bits - 1)
            codes = codes.reshape(words.shape[0], -1).astype(np.float32) - 2 ** (bits - 1)
            matrix = codes * np.repeat(scales, codes.shape[1] // scales.shape[1], 1)
            there_named = text.get_name(name.replace("model.language_model.", "model."), (".weight",))
            assert np.array_equal(unpacked[there_named].reshape(matrix.shape), matrix), name
            compared += 1
        assert compared == 28
        print(f"{spec}: gguf unpacks the {compared} matrices that compressed-tensors' layout holds, to the bit")


def by_llama_cpp(steady: str, model: str, folder: Path) -> None:
    """Answers of llama.cpp itself, with greedy decoding, beside those of steady to the same files."""
    try:
        import xllamacpp
    except ImportError:
        print("xllamacpp is not installed: its part was left out")
        return
    before = BETWEEN[model]
    params = xllamacpp.CommonParams()
    params.model.path, params.mmproj.path = str(folder / "model.gguf"), str(folder / "mmproj.gguf")
    params.n_ctx, params.n_parallel, params.warmup, params.cache_prompt = 512, 1, False, False
    params.sampling.temp = 0.0
    server, alike, other = xllamacpp.Server(params), 0, []
    reference = ROOT / "tests" / "reference" / model
    cases = [case for case in json.loads((reference / "cases.json").read_text())["cases"] if case["id"] in CASES]
    for case in cases:
        picture, question = reference / "images" / case["image"], case["question"]
        url = "data:image/png;base64," + base64.b64encode(picture.read_bytes()).decode()
        content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": before + question}]
        asked = {"messages": [{"role": "user", "content": content}], "max_tokens": 12, "temperature": 0.0}
        there = server.handle_chat_completions(asked)["choices"][0]["message"]["content"].strip()
        here = subprocess.run(
            [steady, "ask", "--model", str(folder), "--image", str(picture), "--question", question, "--device", "cpu", "--json"], check=True, capture_output=True, text=True
        )
        here = json.loads(here.stdout)["answers"][0]["text"].strip()
        alike += there == here
        other += [] if there == here else [(question, there, here)]
    print(f"{folder.name}: llama.cpp loads both files; {alike} of its {len(cases)} answers are those of steady; others (question, llama.cpp, steady): {other}")


def main() -> None:
    steady = sys.argv[1]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(sys.argv[2] if len(sys.argv) > 2 else temporary)
        for model in MODELS:
            for spec, kind in SPECS.items():
                out = write(steady, model, spec, "gguf", folder / f"{model}-{kind.name.lower()}")
                compare(out, model, spec, kind)
            by_llama_cpp(steady, model, out)
        of_other_quantizers(steady, folder)


if __name__ == "__main__":
    main()
