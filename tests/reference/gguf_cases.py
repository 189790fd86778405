"""Small models in llama.cpp's files, and what transformers answers with what gguf's own code makes of them.

    python tests/reference/gguf_cases.py [llava] [qwen2_vl] [qwen2_5_vl]

Needs, beside what make_cases.py needs, `pip install --no-deps gguf==0.19.0`, which writes the files and unpacks every block. It quantizes to Q4_0 and
Q8_0; blocks of Q4_K, Q5_K and Q6_K, which it only reads, are random bytes with scales that suit the model, whose weights are random anyhow.

`gguf/llava` and its neighbours get the model's files without weights (`base/`), `model.gguf`, `mmproj.gguf`, and `answer.json`: one question, its logits and greedy
tokens, the sha256 of every packed layer's matrix, as f32, and the shape of every tensor that the model has in transformers' files.

The Qwen models have what converters make of theirs: queries, keys and values of the tower apart, its patch embedding as two. Qwen2-VL's MLP is called as the first
converter called it; Qwen2.5-VL's head is its embedding.
"""

import importlib.metadata
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import torch
from gguf import GGMLQuantizationType as Type
from gguf import GGUFWriter, dequantize, quantize
from gguf.quants import quant_shape_to_byte_shape
from transformers import (
    CLIPImageProcessorPil,
    CLIPVisionConfig,
    GenerationConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    Qwen2VLImageProcessorPil,
)

import cases
import qwen_cases
import tiny_qwen
from cases import Case, sha256, write_json
from qwen_cases import QwenCase
from tiny_llava import IMAGE, PATCH, TEMPLATE, fill, make_tokenizer

HERE = Path(__file__).resolve().parent
OUT = HERE / "gguf"
HEADS, KEYS, WIDE = 2, 1, 16
TYPES = [
    {"q": Type.Q4_K, "k": Type.Q5_K, "v": Type.Q6_K, "output": Type.Q8_0, "gate": Type.Q4_0, "up": Type.F16, "down": Type.Q4_0},
    {"q": Type.F16, "k": Type.Q4_K, "v": Type.Q6_K, "output": Type.Q4_0, "gate": Type.Q5_K, "up": Type.Q4_K, "down": Type.Q8_0},
]
DECODER = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
TOWER = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_out": "self_attn.out_proj",
    "ln1": "layer_norm1",
    "ln2": "layer_norm2",
    # As the first converters called them, and published files do.
    "ffn_down": "mlp.fc1",
    "ffn_up": "mlp.fc2",
}


def model_of(vocab: int, image_token: int) -> LlavaForConditionalGeneration:
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(
            hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=4, image_size=IMAGE, patch_size=PATCH
        ),
        text_config=LlamaConfig(
            vocab_size=vocab,
            # Blocks of 256.
            hidden_size=256,
            intermediate_size=32,
            num_hidden_layers=len(TYPES),
            num_attention_heads=HEADS,
            num_key_value_heads=KEYS,
            head_dim=WIDE,
            max_position_embeddings=256,
            rms_norm_eps=1e-5,
            bos_token_id=1,
            eos_token_id=2,
            tie_word_embeddings=False,
        ),
        image_token_index=image_token,
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
        image_seq_length=(IMAGE // PATCH) ** 2,
        tie_word_embeddings=False,
    )
    model = LlavaForConditionalGeneration(config).eval()
    fill(model, 41)
    model.generation_config = GenerationConfig(bos_token_id=1, eos_token_id=[2], pad_token_id=3, do_sample=False)
    return model


def blocks(kind: Type, weight: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Of such a type, with weights like these."""
    if kind in (Type.Q4_0, Type.Q8_0):
        return quantize(weight, kind)
    shape = quant_shape_to_byte_shape(weight.shape, kind)
    size = {Type.Q4_K: 144, Type.Q5_K: 176, Type.Q6_K: 210}[kind]
    data = generator.integers(0, 256, (*shape[:-1], shape[-1] // size, size), dtype=np.uint8)
    spread = float(weight.std())

    def put(at: int, value: float) -> None:
        data[..., at : at + 2] = np.array([value], dtype=np.float16).view(np.uint8)

    if kind == Type.Q6_K:
        put(208, spread / 1370)
    else:
        middle = 7.5 if kind == Type.Q4_K else 15.5
        put(0, spread / (41 * middle))
        put(2, spread / 41)
    return data.reshape(shape)


def permuted(weight: np.ndarray, heads: int, back: bool = False) -> np.ndarray:
    """Rows of a head, its first half and its second one by one, as convert_hf_to_gguf.py's `LlamaModel.permute` has them."""
    halves = (heads, WIDE // 2, 2) if back else (heads, 2, WIDE // 2)
    return weight.reshape(*halves, -1).swapaxes(1, 2).reshape(weight.shape)


class Packer:
    """Puts tensors of a model into files, and what the files hold of them back into the model."""

    def __init__(self, model: torch.nn.Module):
        self.state = {name: parameter.data for name, parameter in model.named_parameters()}
        self.generator, self.matrices = np.random.default_rng(7), {}

    def add(self, writer: GGUFWriter, name: str, of_model: str, kind: Type, heads: int | None = None, part=lambda whole: whole) -> None:
        """`part` is what of the tensor the file has under this name."""
        held = part(self.state[of_model])
        weight = np.ascontiguousarray(held.float().numpy())
        if kind in (Type.F32, Type.F16):
            stored = weight.astype(np.float32 if kind == Type.F32 else np.float16)
            held.copy_(torch.from_numpy(stored.astype(np.float32)))
            writer.add_tensor(name, permuted(stored, heads) if heads else stored)
            return
        stored = quantize(weight, kind) if kind == Type.BF16 else blocks(kind, weight, self.generator)
        unpacked = dequantize(stored, kind)
        held.copy_(torch.from_numpy(permuted(unpacked, heads, back=True) if heads else unpacked))
        writer.add_tensor(name, stored, raw_dtype=kind)
        # Both tables are unpacked as they are read.
        if kind != Type.BF16 and "embed" not in of_model and "lm_head" not in of_model:
            self.matrices[of_model.removeprefix("model.").removesuffix(".weight")] = sha256(self.state[of_model])


def language_model(packer: Packer, writer: GGUFWriter, tokenizer, heads: int, keys: int, eps: float, theta: float, turned: bool) -> None:
    """`turned`: rows of queries and keys in llama.cpp's order."""
    writer.add_block_count(len(TYPES))
    writer.add_embedding_length(256)
    writer.add_feed_forward_length(32)
    writer.add_head_count(heads)
    writer.add_head_count_kv(keys)
    writer.add_layer_norm_rms_eps(eps)
    writer.add_rope_freq_base(theta)
    writer.add_token_list([tokenizer.convert_ids_to_tokens(token) or f"[{token}]" for token in range(len(tokenizer))])
    packer.add(writer, "token_embd.weight", "model.language_model.embed_tokens.weight", Type.Q4_K)
    if "lm_head.weight" in packer.state:
        packer.add(writer, "output.weight", "lm_head.weight", Type.Q6_K)
    packer.add(writer, "output_norm.weight", "model.language_model.norm.weight", Type.F32)
    for layer, types in enumerate(TYPES):
        prefix = f"model.language_model.layers.{layer}"
        for part, name in (("attn_norm", "input_layernorm"), ("ffn_norm", "post_attention_layernorm")):
            packer.add(writer, f"blk.{layer}.{part}.weight", f"{prefix}.{name}.weight", Type.F32)
        for part, name in DECODER.items():
            order = {"attn_q": heads, "attn_k": keys}.get(part) if turned else None
            packer.add(writer, f"blk.{layer}.{part}.weight", f"{prefix}.{name}.weight", types[part.split("_")[1]], order)
            if f"{prefix}.{name}.bias" in packer.state:
                packer.add(writer, f"blk.{layer}.{part}.bias", f"{prefix}.{name}.bias", Type.F32)


def finish(*writers: GGUFWriter) -> None:
    for writer in writers:
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()


def told(out: Path, model, matrices: dict, row: dict, logits: torch.Tensor) -> None:
    print(out.name, row["output_ids"], row["least_margin"])
    facts = {key: row[key] for key in ("image", "question", "input_ids", "output_ids") if key in row}
    shapes = {name: list(tensor.shape) for name, tensor in model.state_dict().items()}
    answer = {**facts, "matrices": matrices, "shapes": shapes, "logits": [round(logit, 6) for logit in logits.tolist()]}
    write_json(out / "answer.json", answer)


@torch.no_grad()
def llava() -> None:
    out = OUT / "llava"
    shutil.rmtree(out, ignore_errors=True)
    base = out / "base"
    tokenizer = make_tokenizer()
    vocab = (len(tokenizer) + 7) // 8 * 8
    model = model_of(vocab, tokenizer.convert_tokens_to_ids("<image>"))
    model.save_pretrained(base)
    LlavaProcessor(
        image_processor=CLIPImageProcessorPil(size={"shortest_edge": IMAGE}, crop_size={"height": IMAGE, "width": IMAGE}),
        tokenizer=tokenizer,
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=TEMPLATE,
    ).save_pretrained(base)
    packer = Packer(model)
    text = GGUFWriter(out / "model.gguf", "llama")
    language_model(packer, text, tokenizer, HEADS, KEYS, 1e-5, 10000.0, turned=True)

    clip = GGUFWriter(out / "mmproj.gguf", "clip")
    clip.add_bool("clip.has_vision_encoder", True)
    clip.add_bool("clip.has_llava_projector", True)
    clip.add_string("clip.projector_type", "mlp")
    clip.add_array("clip.vision.image_mean", [0.48145466, 0.4578275, 0.40821073])
    tower = "model.vision_tower"
    packer.add(clip, "v.class_embd", f"{tower}.embeddings.class_embedding", Type.F32)
    packer.add(clip, "v.patch_embd.weight", f"{tower}.embeddings.patch_embedding.weight", Type.F16)
    packer.add(clip, "v.position_embd.weight", f"{tower}.embeddings.position_embedding.weight", Type.F16)
    for part in ("weight", "bias"):
        packer.add(clip, f"v.pre_ln.{part}", f"{tower}.pre_layrnorm.{part}", Type.F32)
        # Two of three layers: above them nothing is looked at, and converters leave it out.
        for layer in range(2):
            for name, of_model in TOWER.items():
                kind = Type.F32 if part == "bias" or name.startswith("ln") else Type.Q8_0 if name == "ffn_down" else Type.F16
                packer.add(clip, f"v.blk.{layer}.{name}.{part}", f"{tower}.encoder.layers.{layer}.{of_model}.{part}", kind)
        for index, name in ((0, "linear_1"), (2, "linear_2")):
            kind = Type.F32 if part == "bias" else Type.F16 if index == 0 else Type.Q8_0
            packer.add(clip, f"mm.{index}.{part}", f"model.multi_modal_projector.{name}.{part}", kind)
    finish(text, clip)

    (base / "model.safetensors").unlink()
    processor = LlavaProcessor.from_pretrained(base)
    processor.image_processor = CLIPImageProcessorPil.from_pretrained(base)
    question = Case("gguf", "wide.png", question="how many triangles are above the line?")
    row, logits, _ = cases.run(model, processor, question, HERE / "tiny-llava" / "images")
    told(out, model, packer.matrices, row, logits)


# Of the Qwen towers by block, so that queries, keys and values come together in blocks and in either kind of halves.
QKV = [Type.Q8_0, Type.F16, Type.BF16, Type.Q4_0]
# What the converters call the layers of the two MLPs; the first one called those of Qwen2-VL by each other's names.
MLP = {
    "qwen2_vl": {"ffn_down": "fc1", "ffn_up": "fc2"},
    "qwen2_5_vl": {"ffn_gate": "gate_proj", "ffn_up": "up_proj", "ffn_down": "down_proj"},
}
WIDTH, DEPTH = 32, {"qwen2_vl": 3, "qwen2_5_vl": 4}
# Chosen so that no greedy step is decided by rounding.
QWEN_SEEDS = {"qwen2_vl": 51, "qwen2_5_vl": 52}


def qwen_model(family: tiny_qwen.Family, tokenizer):
    sizes = {"depth": DEPTH[family.model_type], "num_heads": 2, "patch_size": 6}
    if family.newer:
        # Windows of 3x3 visual tokens; every second block looks at everything.
        windows = {"window_size": 36, "fullatt_block_indexes": [1, 3], "tokens_per_second": 2}
        vision = {**sizes, **windows, "hidden_size": WIDTH, "intermediate_size": 2 * WIDTH, "out_hidden_size": 256}
    else:
        vision = {**sizes, "embed_dim": WIDTH, "hidden_size": 256, "mlp_ratio": 2}
    text = {
        **tiny_qwen.text_sizes(tokenizer),
        "hidden_size": 256,
        "intermediate_size": 32,
        "num_hidden_layers": len(TYPES),
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [8, 12, 12]},
        "tie_word_embeddings": family.newer,
    }
    config = family.config(text_config=text, vision_config=vision, tie_word_embeddings=family.newer, **tiny_qwen.ids(tokenizer))
    model = family.model(config).eval()
    # A tied table is the head as well: a loud token would do nothing but repeat itself.
    tiny_qwen.randomize(model, QWEN_SEEDS[family.model_type], embedding=0.05 if family.newer else 0.7)
    model.generation_config = GenerationConfig(pad_token_id=tokenizer.pad_token_id, eos_token_id=[tokenizer.eos_token_id], do_sample=False)
    return model


@torch.no_grad()
def qwen(model_type: str) -> None:
    out = OUT / model_type
    shutil.rmtree(out, ignore_errors=True)
    base = out / "base"
    family, tokenizer = tiny_qwen.Family(model_type), tiny_qwen.make_tokenizer()
    model = qwen_model(family, tokenizer)
    model.save_pretrained(base)
    tokenizer.save_pretrained(base)
    (base / "chat_template.jinja").write_text(tiny_qwen.TEMPLATE)
    images = Qwen2VLImageProcessorPil(patch_size=6, size={"shortest_edge": 12 * 12 * 4, "longest_edge": 12 * 12 * 60})
    write_json(base / "processor_config.json", {"image_processor": json.loads(images.to_json_string()), "processor_class": "Qwen2VLProcessor"})

    packer = Packer(model)
    text = GGUFWriter(out / "model.gguf", "qwen2vl")
    text.add_rope_dimension_sections([8, 12, 12, 0])
    language_model(packer, text, tokenizer, 4, 2, 1e-6, 10000.0, turned=False)

    clip = GGUFWriter(out / "mmproj.gguf", "clip")
    clip.add_clip_has_vision_encoder(True)
    clip.add_clip_projector_type("qwen2.5vl_merger" if family.newer else "qwen2vl_merger")
    clip.add_vision_projection_dim(256)
    clip.add_vision_patch_size(6)
    clip.add_vision_embedding_length(WIDTH)
    # What the converter writes of Qwen2-VL: the width of visual tokens.
    clip.add_vision_feed_forward_length(2 * WIDTH if family.newer else 256)
    clip.add_vision_block_count(DEPTH[model_type])
    clip.add_vision_head_count(2)
    if family.newer:
        clip.add_vision_use_silu(True)
        clip.add_vision_n_wa_pattern(2)
    tower = "model.visual"
    for frame, end in enumerate(["", ".1"]):
        of_frame = lambda whole, frame=frame: whole[:, :, frame]
        packer.add(clip, f"v.patch_embd.weight{end}", f"{tower}.patch_embed.proj.weight", Type.F16, part=of_frame)
    for part in ("weight", "bias"):
        if part == "weight" or not family.newer:
            packer.add(clip, f"v.post_ln.{part}", f"{tower}.merger.ln_q.{part}", Type.F32)
        for index in (0, 2):
            kind = Type.F32 if part == "bias" else Type.Q8_0 if index == 0 else Type.F16
            packer.add(clip, f"mm.{index}.{part}", f"{tower}.merger.mlp.{index}.{part}", kind)
        for layer in range(DEPTH[model_type]):
            there, here = f"v.blk.{layer}", f"{tower}.blocks.{layer}"
            kind = Type.F32 if part == "bias" else QKV[layer]
            for at, name in enumerate(["attn_q", "attn_k", "attn_v"]):
                of_rows = lambda whole, at=at: whole[at * WIDTH : (at + 1) * WIDTH]
                packer.add(clip, f"{there}.{name}.{part}", f"{here}.attn.qkv.{part}", kind, part=of_rows)
            packer.add(clip, f"{there}.attn_out.{part}", f"{here}.attn.proj.{part}", Type.F32 if part == "bias" else Type.Q4_0)
            for name, of_model in MLP[model_type].items():
                packer.add(clip, f"{there}.{name}.{part}", f"{here}.mlp.{of_model}.{part}", Type.F32 if part == "bias" else Type.F16)
            if part == "weight" or not family.newer:
                for name, of_model in (("ln1", "norm1"), ("ln2", "norm2")):
                    packer.add(clip, f"{there}.{name}.{part}", f"{here}.{of_model}.{part}", Type.F32)
    finish(text, clip)

    _, processor = qwen_cases.reference(base)
    (base / "model.safetensors").unlink()
    row, logits = qwen_cases.run(model, processor, QwenCase("gguf", ["wide.png"], question="which colour is the circle?"), HERE / "tiny-qwen2-vl" / "images")
    told(out, model, packer.matrices, {**row, "image": "wide.png"}, logits["logits"])


MAKERS = {"llava": llava, "qwen2_vl": lambda: qwen("qwen2_vl"), "qwen2_5_vl": lambda: qwen("qwen2_5_vl")}


def main() -> None:
    for name in sys.argv[1:] or MAKERS:
        MAKERS[name]()
    write_json(OUT / "VERSIONS.json", {name: importlib.metadata.version(name) for name in ("gguf", "transformers", "torch", "numpy")})


if __name__ == "__main__":
    main()
