"""Decoder weights packed by the tools that publish them, and what transformers answers with what each tool makes of them.

    python tests/reference/packed_cases.py

Needs, beside what make_cases.py needs, `pip install --no-deps compressed-tensors==0.20.0 autoawq==0.2.9 auto-gptq==0.7.1` (and loguru). Each tool
packs with its own code and unpacks with its own code; only scales for AWQ and GPTQ, which both are given, are worked out here (round to nearest).

`packed/` gets a small random model of the Qwen2-VL type without its decoder's linear layers (`base/`), and per case their packed tensors
(`CASE.safetensors`) and `CASE.json`: the section of config.json, one question, its logits and greedy tokens.
"""

import importlib.metadata
import importlib.util
import json
import shutil
import sys
from pathlib import Path
from types import ModuleType

import torch
from compressed_tensors.compressors.pack_quantized.base import PackedQuantizationCompressor
from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme
from compressed_tensors.quantization.utils import calculate_qparams
from safetensors.torch import save_file
from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration

import qwen_cases
from cases import write_json
from qwen_cases import QwenCase
from tiny_qwen import randomize

HERE = Path(__file__).resolve().parent
SOURCE = HERE / "tiny-qwen2-vl" / "published"
OUT = HERE / "packed"
# Packers want multiples of 32.
SIZES = {"hidden_size": 64, "intermediate_size": 96, "num_attention_heads": 2, "num_key_value_heads": 1}
GROUP = 32


def one_file(package: str, file: str) -> ModuleType:
    """A module of a package whose other modules need a GPU to be imported."""
    folder = Path(importlib.util.find_spec(package).submodule_search_locations[0])
    spec = importlib.util.spec_from_file_location(Path(file).stem, folder / file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def base() -> Path:
    folder = OUT / "base"
    shutil.rmtree(OUT, ignore_errors=True)
    folder.mkdir(parents=True)
    for file in SOURCE.iterdir():
        if file.suffix == ".json":
            shutil.copy(file, folder)
    config = json.loads((SOURCE / "config.json").read_text())
    config |= SIZES
    config["torch_dtype"] = "float16"
    config["vision_config"]["hidden_size"] = SIZES["hidden_size"]
    config["rope_scaling"]["mrope_section"] = [4, 6, 6]
    write_json(folder / "config.json", config)
    return folder


def linears(model):
    ends = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    return {name: module for name, module in model.named_modules() if "language_model" in name and name.endswith(ends)}


def published(name: str) -> str:
    return name.replace("model.visual.", "visual.").replace("model.language_model.", "model.")


def compressed_tensors(weight: torch.Tensor, dtype=torch.float16, **args):
    scheme = QuantizationScheme(targets=["Linear"], weights=QuantizationArgs(num_bits=4, type="int", **args))
    group = args.get("group_size") or weight.shape[1]
    parts = weight.reshape(weight.shape[0], -1, group)
    scale, zero = calculate_qparams(parts.amin(-1), parts.amax(-1), scheme.weights)
    state = {"weight": weight, "weight_scale": scale.to(dtype).float(), "weight_zero_point": zero.to(torch.int8)}
    packed = PackedQuantizationCompressor.compress(state, scheme)
    unpacked = PackedQuantizationCompressor.decompress(packed, scheme)["weight"]
    packed["weight_scale"] = packed["weight_scale"].to(dtype)
    return packed, unpacked


def rounded(weight: torch.Tensor, group: int, symmetric: bool):
    """Scales and zero points `[out, groups]`, as round to nearest has them."""
    parts = weight.reshape(weight.shape[0], -1, group)
    if symmetric:
        scale = parts.abs().amax(-1) * 2 / 15
        return scale.half().float(), torch.full_like(scale, 8)
    low, high = parts.amin(-1).clamp(max=0), parts.amax(-1).clamp(min=0)
    scale = ((high - low) / 15).half().float()
    # AutoGPTQ packs zero points that are less by one, and spoils its words where one is 0.
    return scale, (-low / scale).round().clamp(1, 15)


def snapped(weight: torch.Tensor, scale: torch.Tensor, zero: torch.Tensor, group: int):
    """A layer whose weights lie on the grid, which is what packers are given."""
    parts = weight.reshape(weight.shape[0], -1, group)
    codes = (parts / scale[..., None] + zero[..., None]).round().clamp(0, 15)
    linear = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    linear.weight.data = ((codes - zero[..., None]) * scale[..., None]).reshape(weight.shape)
    return linear


def awq(weight: torch.Tensor):
    scale, zero = rounded(weight, GROUP, symmetric=False)
    linear = snapped(weight, scale, zero, GROUP)
    layer = GEMM.WQLinear_GEMM.from_linear(linear, 4, GROUP, scales=scale.T.contiguous(), zeros=zero.T.contiguous())
    unpacked = PACKING.dequantize_gemm(layer.qweight, layer.qzeros, layer.scales.float(), 4, GROUP).T
    return {"qweight": layer.qweight, "qzeros": layer.qzeros, "scales": layer.scales}, unpacked.float()


def gptq(weight: torch.Tensor, group: int, symmetric: bool, second: bool = False):
    size = weight.shape[1] if group == -1 else group
    scale, zero = rounded(weight, size, symmetric)
    linear = snapped(weight, scale, zero, size)
    layer = GPTQ.QuantLinear(4, group, weight.shape[1], weight.shape[0], False, weight_dtype=torch.float32)
    layer.pack(linear, scale, zero.clone(), None)
    # What goes in as units comes out as columns.
    unpacked = layer(torch.eye(weight.shape[1])).T
    zeros = layer.qzeros
    if second:
        # As GPTQModel turns the first version into the second (utils/model.py, convert_gptq_v1_to_v2_format).
        zeros = zeros + 0x11111111
    return {"qweight": layer.qweight, "qzeros": zeros, "scales": layer.scales.half(), "g_idx": layer.g_idx}, unpacked


def of_compressed_tensors(**args):
    weights = {"num_bits": 4, "type": "int", "dynamic": False, "actorder": None, "observer": "minmax", **args}
    group = {"targets": ["Linear"], "weights": weights, "input_activations": None, "output_activations": None}
    return {
        "quant_method": "compressed-tensors",
        "format": "pack-quantized",
        "config_groups": {"group_0": group},
        "ignore": ["lm_head", "re:visual.*"],
        "kv_cache_scheme": None,
        "quantization_status": "compressed",
    }


def of_gptq(group: int, symmetric: bool, **more):
    settings = {"quant_method": "gptq", "bits": 4, "group_size": group, "desc_act": False, "sym": symmetric}
    return {**settings, "damp_percent": 0.01, "true_sequential": True, "static_groups": False, **more}


AWQ = {"quant_method": "awq", "bits": 4, "group_size": GROUP, "version": "gemm", "zero_point": True, "modules_to_not_convert": ["visual"]}
GROUPED = {"strategy": "group", "group_size": GROUP}
CASES = {
    "ct-symmetric": (of_compressed_tensors(symmetric=True, **GROUPED), lambda w: compressed_tensors(w, symmetric=True, **GROUPED)),
    "ct-asymmetric": (of_compressed_tensors(symmetric=False, **GROUPED), lambda w: compressed_tensors(w, symmetric=False, **GROUPED)),
    "ct-channel": (
        of_compressed_tensors(symmetric=True, strategy="channel", group_size=None),
        lambda w: compressed_tensors(w, symmetric=True, strategy="channel"),
    ),
    "ct-bf16": (
        of_compressed_tensors(symmetric=True, **GROUPED),
        lambda w: compressed_tensors(w, symmetric=True, dtype=torch.bfloat16, **GROUPED),
    ),
    "awq": (AWQ, awq),
    "gptq": (of_gptq(GROUP, True), lambda w: gptq(w, GROUP, True)),
    "gptq-asymmetric": (of_gptq(-1, False, checkpoint_format="gptq"), lambda w: gptq(w, -1, False)),
    "gptq-v2": (of_gptq(GROUP, False, checkpoint_format="gptq_v2"), lambda w: gptq(w, GROUP, False, second=True)),
}


def main() -> None:
    folder = base()
    model = Qwen2VLForConditionalGeneration(Qwen2VLConfig.from_pretrained(folder))
    randomize(model, 30, embedding=0.2)
    # Stored as f16, computed in f32.
    for parameter in model.parameters():
        parameter.data = parameter.data.half().float()
    layers = linears(model)
    kept = {
        published(name): tensor.half().contiguous()
        for name, tensor in model.state_dict().items()
        if name != "lm_head.weight" and name.removesuffix(".weight") not in layers
    }
    whole = {published(name): tensor.half().contiguous() for name, tensor in model.state_dict().items() if name != "lm_head.weight"}
    # Whole, so that transformers opens the folder; then without what the cases hold.
    save_file(whole, folder / "model.safetensors", metadata={"format": "pt"})
    model, processor = qwen_cases.reference(folder)
    layers = linears(model)
    before = {name: layer.weight.data.clone() for name, layer in layers.items()}
    for case, (section, pack) in CASES.items():
        tensors = {}
        for name, layer in layers.items():
            packed, unpacked = pack(before[name])
            assert unpacked.shape == layer.weight.shape
            layer.weight.data = unpacked.float().contiguous()
            tensors |= {f"{published(name)}.{part}": tensor.contiguous() for part, tensor in packed.items()}
        question = QwenCase(case, ["wide.png"], question="how many shapes are there?")
        row, found = qwen_cases.run(model, processor, question, HERE / "tiny-qwen2-vl" / "images")
        save_file(tensors, OUT / f"{case}.safetensors")
        facts = {key: row[key] for key in ("images", "question", "input_ids", "output_ids", "least_margin")}
        write_json(OUT / f"{case}.json", {"quantization_config": section, **facts, "logits": found["logits"].tolist()})
        print(case, row["output_ids"], row["least_margin"])
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    versions = {name: importlib.metadata.version(name) for name in ("compressed-tensors", "autoawq", "auto-gptq", "transformers", "torch")}
    write_json(OUT / "VERSIONS.json", versions)


def awq_layer() -> ModuleType:
    """AutoAWQ's layer, which asks two things of its package that packing does without: kernels and a device."""
    parts = {"module": {"try_import": lambda _: (None, "")}, "utils": {"get_best_device": lambda: "cpu"}, "packing_utils": vars(PACKING)}
    for name, members in parts.items():
        module = sys.modules[f"awq.utils.{name}"] = ModuleType(f"awq.utils.{name}")
        vars(module).update(members)
    folder = importlib.util.find_spec("awq")
    sys.modules["awq"], sys.modules["awq.utils"] = ModuleType("awq"), ModuleType("awq.utils")
    sys.modules["awq"].__spec__ = folder
    return one_file("awq", "modules/linear/gemm.py")


PACKING = one_file("awq", "utils/packing_utils.py")
GEMM = awq_layer()
GPTQ = one_file("auto_gptq", "nn_modules/qlinear/qlinear_cuda_old.py")

if __name__ == "__main__":
    main()
