"""A small LLaVA-1.5 in llama.cpp's files, and what transformers answers with what gguf's own code makes of them.

    python tests/reference/gguf_cases.py

Needs, beside what make_cases.py needs, `pip install --no-deps gguf==0.19.0`, which writes the files and unpacks every block. It quantizes to Q4_0 and
Q8_0; blocks of Q4_K, Q5_K and Q6_K, which it only reads, are random bytes with scales that suit the model, whose weights are random anyhow.

`gguf/` gets the model's files without weights (`base/`), `model.gguf`, `mmproj.gguf`, and `answer.json`: one question, its logits and greedy tokens,
the sha256 of every packed layer's matrix, as f32, and the shape of every tensor that the model has in transformers' files.
"""

import importlib.metadata
import shutil
from pathlib import Path

import numpy as np
import torch
from gguf import GGMLQuantizationType as Type
from gguf import GGUFWriter, dequantize, quantize
from gguf.quants import quant_shape_to_byte_shape
from transformers import CLIPImageProcessorPil, CLIPVisionConfig, GenerationConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration, LlavaProcessor

import cases
from cases import Case, sha256, write_json
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


@torch.no_grad()
def main() -> None:
    shutil.rmtree(OUT, ignore_errors=True)
    base = OUT / "base"
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
    state = {name: parameter.data for name, parameter in model.named_parameters()}
    generator, matrices = np.random.default_rng(7), {}

    def add(writer: GGUFWriter, name: str, of_model: str, kind: Type, heads: int | None = None) -> None:
        weight = state[of_model].float().numpy()
        if kind in (Type.F32, Type.F16):
            stored = weight.astype(np.float32 if kind == Type.F32 else np.float16)
            state[of_model].copy_(torch.from_numpy(stored.astype(np.float32)))
            writer.add_tensor(name, permuted(stored, heads) if heads else stored)
            return
        stored = blocks(kind, weight, generator)
        unpacked = dequantize(stored, kind)
        state[of_model].copy_(torch.from_numpy(permuted(unpacked, heads, back=True) if heads else unpacked))
        writer.add_tensor(name, stored, raw_dtype=kind)
        # Both tables are unpacked as they are read.
        if "embed" not in of_model and "lm_head" not in of_model:
            matrices[of_model.removeprefix("model.").removesuffix(".weight")] = sha256(state[of_model])

    text = GGUFWriter(OUT / "model.gguf", "llama")
    text.add_block_count(len(TYPES))
    text.add_embedding_length(256)
    text.add_feed_forward_length(32)
    text.add_head_count(HEADS)
    text.add_head_count_kv(KEYS)
    text.add_layer_norm_rms_eps(1e-5)
    text.add_rope_freq_base(10000.0)
    text.add_token_list([tokenizer.convert_ids_to_tokens(token) or f"[{token}]" for token in range(len(tokenizer))])
    add(text, "token_embd.weight", "model.language_model.embed_tokens.weight", Type.Q4_K)
    add(text, "output.weight", "lm_head.weight", Type.Q6_K)
    add(text, "output_norm.weight", "model.language_model.norm.weight", Type.F32)
    for layer, types in enumerate(TYPES):
        prefix = f"model.language_model.layers.{layer}"
        for part, name in (("attn_norm", "input_layernorm"), ("ffn_norm", "post_attention_layernorm")):
            add(text, f"blk.{layer}.{part}.weight", f"{prefix}.{name}.weight", Type.F32)
        for part, name in DECODER.items():
            heads = {"attn_q": HEADS, "attn_k": KEYS}.get(part)
            add(text, f"blk.{layer}.{part}.weight", f"{prefix}.{name}.weight", types[part.split("_")[1]], heads)

    clip = GGUFWriter(OUT / "mmproj.gguf", "clip")
    clip.add_bool("clip.has_vision_encoder", True)
    clip.add_bool("clip.has_llava_projector", True)
    clip.add_string("clip.projector_type", "mlp")
    clip.add_array("clip.vision.image_mean", [0.48145466, 0.4578275, 0.40821073])
    tower = "model.vision_tower"
    add(clip, "v.class_embd", f"{tower}.embeddings.class_embedding", Type.F32)
    add(clip, "v.patch_embd.weight", f"{tower}.embeddings.patch_embedding.weight", Type.F16)
    add(clip, "v.position_embd.weight", f"{tower}.embeddings.position_embedding.weight", Type.F16)
    for part in ("weight", "bias"):
        add(clip, f"v.pre_ln.{part}", f"{tower}.pre_layrnorm.{part}", Type.F32)
        # Two of three layers: above them nothing is looked at, and converters leave it out.
        for layer in range(2):
            for name, of_model in TOWER.items():
                kind = Type.F32 if part == "bias" or name.startswith("ln") else Type.Q8_0 if name == "ffn_down" else Type.F16
                add(clip, f"v.blk.{layer}.{name}.{part}", f"{tower}.encoder.layers.{layer}.{of_model}.{part}", kind)
        for index, name in ((0, "linear_1"), (2, "linear_2")):
            kind = Type.F32 if part == "bias" else Type.F16 if index == 0 else Type.Q8_0
            add(clip, f"mm.{index}.{part}", f"model.multi_modal_projector.{name}.{part}", kind)
    for writer in (text, clip):
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()

    (base / "model.safetensors").unlink()
    processor = LlavaProcessor.from_pretrained(base)
    processor.image_processor = CLIPImageProcessorPil.from_pretrained(base)
    question = Case("gguf", "wide.png", question="how many triangles are above the line?")
    row, logits, _ = cases.run(model, processor, question, HERE / "tiny-llava" / "images")
    print(row["output_ids"], row["least_margin"])
    facts = {key: row[key] for key in ("image", "question", "input_ids", "output_ids")}
    shapes = {name: list(tensor.shape) for name, tensor in model.state_dict().items()}
    answer = {**facts, "matrices": matrices, "shapes": shapes, "logits": [round(logit, 6) for logit in logits.tolist()]}
    write_json(OUT / "answer.json", answer)
    write_json(OUT / "VERSIONS.json", {name: importlib.metadata.version(name) for name in ("gguf", "transformers", "torch", "numpy")})


if __name__ == "__main__":
    main()
