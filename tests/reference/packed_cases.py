"""Decoder weights packed by the tools that publish them, and what transformers answers with what each tool makes of them.

    COMPRESSED_TENSORS_0_9=FOLDER python tests/reference/packed_cases.py

Needs, beside what make_cases.py needs, `pip install --no-deps compressed-tensors==0.20.0 autoawq==0.2.9 auto-gptq==0.7.1 bitsandbytes==0.50.2` (and
loguru), and in a folder of its own (`pip install --no-deps --target FOLDER`) compressed-tensors==0.9.4, the last to write groups that are not
neighbours. Each tool packs with its own code and unpacks with its own code; only scales for AWQ and GPTQ, which both are given, are worked out here
(round to nearest), and groups that are not neighbours are drawn at random.

`packed/` gets a small random model of the Qwen2-VL type without the linear layers of its last decoder layer (`base/`), and per case their packed
tensors (`CASE.safetensors`; bitsandbytes' hold the vision tower's, too) and `CASE.json`: the section of config.json, one question, its logits and
greedy tokens, and of each packed layer the sha256 of what the tool unpacks, as f32. Where a format rounds activations, those are rounded on their
way into these layers, token by token, as the runtime named beside the case does it.
"""

import hashlib
import importlib
import importlib.metadata
import importlib.util
import json
import os
import shutil
import sys
from pathlib import Path
from types import ModuleType

import bitsandbytes.functional as bnb
import torch
from bitsandbytes.backends.default.ops import _dequantize_4bit_compute
from compressed_tensors.compressors.naive_quantized.base import FloatQuantizationCompressor, IntQuantizationCompressor
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


def linears(model, towers: bool = False):
    """Those of the last decoder layer, and the vision tower's."""
    ends = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    last = {name: module for name, module in model.named_modules() if "language_model.layers.1." in name and name.endswith(ends)}
    tower = {name: module for name, module in model.named_modules() if "visual" in name and isinstance(module, torch.nn.Linear)}
    return last | tower if towers else last


def published(name: str) -> str:
    return name.replace("model.visual.", "visual.").replace("model.language_model.", "model.")


def compressed_tensors(weight: torch.Tensor, dtype=torch.float16, compressor=PackedQuantizationCompressor, **args):
    scheme = QuantizationScheme(targets=["Linear"], weights=QuantizationArgs(**{"num_bits": 4, "type": "int", **args}))
    group = args.get("group_size") or weight.shape[1]
    parts = weight.reshape(weight.shape[0], -1, group)
    scale, zero = calculate_qparams(parts.amin(-1), parts.amax(-1), scheme.weights)
    state = {"weight": weight, "weight_scale": scale.to(dtype).float(), "weight_zero_point": zero.to(torch.int8)}
    packed = compressor.compress(state, scheme)
    unpacked = compressor.decompress(packed, scheme)["weight"]
    packed["weight_scale"] = packed["weight_scale"].to(dtype)
    return packed, unpacked


def groups_of(inputs: int, group: int) -> torch.Tensor:
    """The group of each input, in no order."""
    order = torch.randperm(inputs, generator=torch.Generator().manual_seed(inputs))
    return (order // group).int()


def compressed_tensors_ordered(weight: torch.Tensor):
    args = OLD.QuantizationArgs(num_bits=4, type="int", symmetric=True, strategy="group", group_size=GROUP, actorder="group")
    order = groups_of(weight.shape[1], GROUP)
    parts = weight[:, torch.argsort(order)].reshape(weight.shape[0], -1, GROUP)
    scale, _ = OLD.calculate_qparams(parts.amin(-1), parts.amax(-1), args)
    scale = scale.half().float()
    compressor = OLD.PackedQuantizationCompressor()
    packed = compressor.compress_weight(weight, scale, args, g_idx=order) | {"weight_scale": scale, "weight_g_idx": order}
    unpacked = compressor.decompress_weight(packed, args)
    return packed | {"weight_scale": scale.half()}, unpacked


def old_compressed_tensors() -> ModuleType:
    """compressed-tensors 0.9.4 beside the current one: both have one name."""
    current = {name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] == "compressed_tensors"}
    sys.path.insert(0, os.environ["COMPRESSED_TENSORS_0_9"])
    importlib.invalidate_caches()
    old = ModuleType("old")
    quantization = importlib.import_module("compressed_tensors.quantization")
    old.QuantizationArgs = quantization.QuantizationArgs
    old.calculate_qparams = importlib.import_module("compressed_tensors.quantization.utils").calculate_qparams
    compressors = importlib.import_module("compressed_tensors.compressors.quantized_compressors.pack_quantized")
    old.PackedQuantizationCompressor = compressors.PackedQuantizationCompressor
    sys.path.pop(0)
    for name in [name for name in sys.modules if name.split(".")[0] == "compressed_tensors"]:
        del sys.modules[name]
    sys.modules |= current
    return old


def rounded(weight: torch.Tensor, group: int, symmetric: bool, bits: int = 4):
    """Scales and zero points `[out, groups]`, as round to nearest has them."""
    parts = weight.reshape(weight.shape[0], -1, group)
    last = 2**bits - 1
    if symmetric:
        scale = parts.abs().amax(-1) * 2 / last
        return scale.half().float(), torch.full_like(scale, 2 ** (bits - 1))
    low, high = parts.amin(-1).clamp(max=0), parts.amax(-1).clamp(min=0)
    scale = ((high - low) / last).half().float()
    # AutoGPTQ packs zero points that are less by one, and spoils its words where one is 0.
    return scale, (-low / scale).round().clamp(1, last)


def snapped(weight: torch.Tensor, scale: torch.Tensor, zero: torch.Tensor, group: int, bits: int = 4):
    """A layer whose weights lie on the grid, which is what packers are given."""
    parts = weight.reshape(weight.shape[0], -1, group)
    codes = (parts / scale[..., None] + zero[..., None]).round().clamp(0, 2**bits - 1)
    linear = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    linear.weight.data = ((codes - zero[..., None]) * scale[..., None]).reshape(weight.shape)
    return linear


def awq(weight: torch.Tensor):
    scale, zero = rounded(weight, GROUP, symmetric=False)
    linear = snapped(weight, scale, zero, GROUP)
    layer = GEMM.WQLinear_GEMM.from_linear(linear, 4, GROUP, scales=scale.T.contiguous(), zeros=zero.T.contiguous())
    unpacked = PACKING.dequantize_gemm(layer.qweight, layer.qzeros, layer.scales.float(), 4, GROUP).T
    return {"qweight": layer.qweight, "qzeros": layer.qzeros, "scales": layer.scales}, unpacked.float()


def gptq(weight: torch.Tensor, group: int, symmetric: bool, second: bool = False, bits: int = 4, ordered: bool = False):
    size = weight.shape[1] if group == -1 else group
    order = groups_of(weight.shape[1], size) if ordered else None
    together = torch.argsort(order, stable=True) if ordered else torch.arange(weight.shape[1])
    scale, zero = rounded(weight[:, together], size, symmetric, bits)
    linear = snapped(weight[:, together], scale, zero, size, bits)
    linear.weight.data = linear.weight.data[:, torch.argsort(together)]
    # The older of its layers takes groups to be neighbours.
    layer = (GPTQ_ORDERED if ordered else GPTQ).QuantLinear(bits, group, weight.shape[1], weight.shape[0], False, weight_dtype=torch.float32)
    layer.pack(linear, scale, zero.clone(), order)
    # What goes in as units comes out as columns.
    unpacked = layer(torch.eye(weight.shape[1])).T
    zeros = layer.qzeros
    if second:
        # As GPTQModel turns the first version into the second (utils/model.py, convert_gptq_v1_to_v2_format).
        zeros = zeros + 0x11111111
    return {"qweight": layer.qweight, "qzeros": zeros, "scales": layer.scales.half(), "g_idx": layer.g_idx}, unpacked


def bitsandbytes_4bit(weight: torch.Tensor, quant_type: str, nested: bool):
    packed, state = bnb.quantize_4bit(weight, blocksize=64, compress_statistics=nested, quant_type=quant_type)
    parts = {f"weight.{part}": tensor for part, tensor in state.as_dict(packed=True).items()}
    maxima = bnb.dequantize_blockwise(state.absmax, state.state2) + state.offset if nested else state.absmax
    # Its plain implementation: the vectors of its CPU kernel let blocks begin anew in each row, where packing and its other kernels do not.
    return {"weight": packed, **parts}, _dequantize_4bit_compute(packed.reshape(-1), maxima, state.code, 64, weight.shape, torch.float32)


def bitsandbytes_8bit(weight: torch.Tensor):
    codes, maxima, _ = bnb.int8_vectorwise_quant(weight.half())
    state = {"weight": codes, "SCB": maxima, "weight_format": torch.tensor(0, dtype=torch.uint8)}
    return state, bnb.int8_vectorwise_dequant(codes, maxima)


def to_int8(x: torch.Tensor, threshold: float = float("inf")):
    """As vLLM's `dynamic_scaled_int8_quant` (csrc/quantization/w8a8/int8/scaled_quant.cu); of LLM.int8() outliers stay, token by token."""
    kept = x.abs() >= threshold
    inliers = x.masked_fill(kept, 0)
    largest = inliers.abs().amax(-1, keepdim=True).clamp(min=1e-30)
    return torch.where(kept, x, (inliers * (127 / largest)).round() * (largest / 127))


def to_fp8(x: torch.Tensor):
    """As vLLM's `dynamic_per_token_scaled_fp8_quant` (csrc/quantization/w8a8/fp8/common.cu)."""
    scale = (x.abs().amax(-1, keepdim=True) / 448).clamp(min=1 / (448 * 512))
    return (x / scale).clamp(-448, 448).to(torch.float8_e4m3fn).float() * scale


def of_compressed_tensors(format="pack-quantized", inputs=None, **args):
    weights = {"num_bits": 4, "type": "int", "dynamic": False, "actorder": None, "observer": "minmax", **args}
    group = {"targets": ["Linear"], "weights": weights, "input_activations": inputs, "output_activations": None}
    return {
        "quant_method": "compressed-tensors",
        "format": format,
        "config_groups": {"group_0": group},
        "ignore": ["lm_head", "re:visual.*"],
        "kv_cache_scheme": None,
        "quantization_status": "compressed",
    }


def of_bitsandbytes(**more):
    return {"quant_method": "bitsandbytes", "load_in_4bit": False, "load_in_8bit": False, "llm_int8_skip_modules": ["lm_head"], **more}


def of_gptq(group: int, symmetric: bool, **more):
    settings = {"quant_method": "gptq", "bits": 4, "group_size": group, "desc_act": False, "sym": symmetric}
    return {**settings, "damp_percent": 0.01, "true_sequential": True, "static_groups": False, **more}


AWQ = {"quant_method": "awq", "bits": 4, "group_size": GROUP, "version": "gemm", "zero_point": True, "modules_to_not_convert": ["visual"]}
GROUPED = {"strategy": "group", "group_size": GROUP}
CHANNEL = {"strategy": "channel", "group_size": None}
EIGHT = {"num_bits": 8, "symmetric": True}
FLOATS = {"num_bits": 8, "type": "float", "symmetric": True, "strategy": "channel"}


def by_token(kind: str):
    return {"num_bits": 8, "type": kind, "symmetric": True, "strategy": "token", "dynamic": True}


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
    "gptq-ordered": (of_gptq(GROUP, False, desc_act=True), lambda w: gptq(w, GROUP, False, ordered=True)),
    "gptq-3": (of_gptq(GROUP, False, bits=3), lambda w: gptq(w, GROUP, False, bits=3)),
    "gptq-8": (of_gptq(GROUP, False, bits=8), lambda w: gptq(w, GROUP, False, bits=8)),
    "ct-ordered": (of_compressed_tensors(symmetric=True, **GROUPED, actorder="group"), compressed_tensors_ordered),
    "ct-3": (of_compressed_tensors(num_bits=3, symmetric=False, **GROUPED), lambda w: compressed_tensors(w, num_bits=3, symmetric=False, **GROUPED)),
    "ct-8-group": (
        of_compressed_tensors(num_bits=8, symmetric=False, **GROUPED),
        lambda w: compressed_tensors(w, num_bits=8, symmetric=False, dtype=torch.bfloat16, **GROUPED),
    ),
    "ct-8-channel": (of_compressed_tensors(**EIGHT, **CHANNEL), lambda w: compressed_tensors(w, **EIGHT, strategy="channel", dtype=torch.bfloat16)),
    "ct-int8": (
        of_compressed_tensors("int-quantized", by_token("int"), **EIGHT, **CHANNEL),
        lambda w: compressed_tensors(w, compressor=IntQuantizationCompressor, **EIGHT, strategy="channel"),
        {"seen": to_int8},
    ),
    "ct-fp8": (
        of_compressed_tensors("float-quantized", by_token("float"), **FLOATS),
        lambda w: compressed_tensors(w, compressor=FloatQuantizationCompressor, dtype=torch.bfloat16, **FLOATS),
        {"seen": to_fp8},
    ),
    "ct-fp8-weights": (
        of_compressed_tensors("float-quantized", **FLOATS),
        lambda w: compressed_tensors(w, compressor=FloatQuantizationCompressor, dtype=torch.float32, **FLOATS),
    ),
    "bnb-nf4": (of_bitsandbytes(load_in_4bit=True, bnb_4bit_quant_type="nf4"), lambda w: bitsandbytes_4bit(w, "nf4", False), {"towers": True}),
    "bnb-nf4-nested": (
        of_bitsandbytes(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True),
        lambda w: bitsandbytes_4bit(w, "nf4", True),
        {"towers": True},
    ),
    "bnb-fp4": (of_bitsandbytes(load_in_4bit=True, bnb_4bit_quant_type="fp4"), lambda w: bitsandbytes_4bit(w, "fp4", False)),
    # With a threshold that some activations reach.
    "bnb-int8": (
        of_bitsandbytes(load_in_8bit=True, llm_int8_threshold=2.0),
        bitsandbytes_8bit,
        {"towers": True, "seen": lambda x: to_int8(x, 2.0)},
    ),
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
    before = {name: layer.weight.data.clone() for name, layer in linears(model, towers=True).items()}
    for case, (section, pack, *more) in CASES.items():
        options = more[0] if more else {}
        for name, layer in linears(model, towers=True).items():
            layer.weight.data = before[name]
        tensors, matrices, hooks = {}, {}, []
        for name, layer in linears(model, options.get("towers", False)).items():
            packed, unpacked = pack(before[name])
            assert unpacked.shape == layer.weight.shape and unpacked.dtype == torch.float32
            layer.weight.data = unpacked.contiguous()
            tensors |= {f"{published(name)}.{part}": tensor.contiguous() for part, tensor in packed.items()}
            matrices[published(name)] = hashlib.sha256(layer.weight.data.numpy().tobytes()).hexdigest()
            if seen := options.get("seen"):
                hooks.append(layer.register_forward_pre_hook(lambda _, inputs, seen=seen: (seen(inputs[0]),)))
        question = QwenCase(case, ["wide.png"], question="how many shapes are there?")
        row, found = qwen_cases.run(model, processor, question, HERE / "tiny-qwen2-vl" / "images")
        save_file(tensors, OUT / f"{case}.safetensors")
        facts = {key: row[key] for key in ("images", "question", "input_ids", "output_ids", "least_margin")}
        logits = [round(logit, 6) for logit in found["logits"].tolist()]
        write_json(OUT / f"{case}.json", {"quantization_config": section, **facts, "matrices": matrices, "logits": logits})
        for hook in hooks:
            hook.remove()
        print(case, row["output_ids"], row["least_margin"])
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    tools = ("compressed-tensors", "autoawq", "auto-gptq", "bitsandbytes", "transformers", "torch")
    versions = {name: importlib.metadata.version(name) for name in tools}
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


OLD = old_compressed_tensors()
PACKING = one_file("awq", "utils/packing_utils.py")
GEMM = awq_layer()
GPTQ = one_file("auto_gptq", "nn_modules/qlinear/qlinear_cuda_old.py")
GPTQ_ORDERED = one_file("auto_gptq", "nn_modules/qlinear/qlinear_cuda.py")

if __name__ == "__main__":
    main()
