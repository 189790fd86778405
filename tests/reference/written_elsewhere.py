"""What other tools make of the checkpoints that `steady quantize` writes.

    python tests/reference/written_elsewhere.py STEADY

STEADY is the built program. Needs torch, transformers, safetensors, compressed-tensors==0.20.0 and, for their own unpacking, `pip install --no-deps autoawq==0.2.9
auto-gptq==0.7.1`. models/steady-llava is written in every layout, and

* transformers loads each compressed-tensors checkpoint, says a question's answer, and it is the one that `steady ask` gives;
* the matrices that AutoAWQ's and AutoGPTQ's own code unpacks of their layouts are those that compressed-tensors unpacks of the same acceleration.

Of asymmetric 4-bit weights transformers 5.24.0 expects zero points that are not packed, and does not load them as compressed-tensors' own compressor packs them.

Prints what was compared. Last run with transformers 5.24.0 and torch 2.15.0 on a CPU.
"""

import functools
import importlib.util
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from types import ModuleType

import torch
from PIL import Image
from safetensors import safe_open

import cases

HERE = Path(__file__).resolve().parent
MODEL = HERE.parents[1] / "models" / "steady-llava"
IMAGE, QUESTIONS = HERE / "tiny-llava" / "images" / "larger.png", ["how many circles?", "is there a red circle?", "what colour is the square?"]


def steady(*arguments: str) -> str:
    return subprocess.run([sys.argv[1], *arguments], stdout=subprocess.PIPE, check=True, text=True).stdout


def place(folder: Path, spec: str, layout: str) -> Path:
    return folder / f"{layout}-{spec.replace(':', '-').replace(',', '-').replace('=', '-')}"


def written(folder: Path, spec: str, layout: str) -> Path:
    out = place(folder, spec, layout)
    steady("quantize", "--model", str(MODEL), "--accel", spec, "--format", layout, "--out", str(out))
    return out


@torch.no_grad()
def answers(folder: Path) -> dict[str, str]:
    model, processor = cases.reference(folder)
    said = {}
    for question in QUESTIONS:
        content = [{"type": "image"}, {"type": "text", "text": question}]
        prompt = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
        inputs = processor(images=Image.open(IMAGE).convert("RGB"), text=prompt, return_tensors="pt")
        ids = model.generate(**inputs, max_new_tokens=8, do_sample=False)[0, inputs["input_ids"].shape[1] :]
        said[question] = processor.tokenizer.decode(ids, skip_special_tokens=True)
    return said


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    with safe_open(folder / "model.safetensors", "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}


def by_compressed_tensors(folder: Path) -> dict[str, torch.Tensor]:
    from compressed_tensors.compressors import PackedQuantizationCompressor
    from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme

    weights = json.loads((folder / "config.json").read_text())["quantization_config"]["config_groups"]["group_0"]["weights"]
    scheme = QuantizationScheme(targets=["Linear"], weights=QuantizationArgs(**weights))
    held, found = tensors(folder), {}
    for name in [name.removesuffix(".weight_packed") for name in held if name.endswith(".weight_packed")]:
        state = {key: held[f"{name}.{key}"] for key in ["weight_packed", "weight_scale", "weight_shape", "weight_zero_point"] if f"{name}.{key}" in held}
        found[name] = PackedQuantizationCompressor.decompress(state | {"weight_scale": state["weight_scale"].float()}, scheme)["weight"]
    return found


def by_autoawq(folder: Path) -> dict[str, torch.Tensor]:
    root = Path(importlib.util.find_spec("awq").submodule_search_locations[0])
    spec = importlib.util.spec_from_file_location("packing_utils", root / "utils" / "packing_utils.py")
    packing = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(packing)
    size = json.loads((folder / "config.json").read_text())["quantization_config"]["group_size"]
    held, found = tensors(folder), {}
    for name in [name.removesuffix(".qweight") for name in held if name.endswith(".qweight")]:
        scales = held[f"{name}.scales"].float()
        group = size if size > 0 else held[f"{name}.qweight"].shape[0]
        codes, zeros = packing.unpack_awq(held[f"{name}.qweight"], held[f"{name}.qzeros"], 4)
        codes, zeros = packing.reverse_awq_order(codes, zeros, 4)
        codes, zeros = codes & 15, zeros & 15
        found[name] = ((codes.float() - zeros.float().repeat_interleave(group, 0)) * scales.repeat_interleave(group, 0)).T
    return found


@functools.cache
def autogptq_linear():
    root = Path(importlib.util.find_spec("auto_gptq").submodule_search_locations[0])
    for name, path in [("auto_gptq", root), ("auto_gptq.nn_modules", root / "nn_modules"), ("auto_gptq.nn_modules.qlinear", root / "nn_modules" / "qlinear")]:
        sys.modules[name] = ModuleType(name)
        sys.modules[name].__path__ = [str(path)]
    return importlib.import_module("auto_gptq.nn_modules.qlinear.qlinear_cuda_old").QuantLinear


def by_autogptq(folder: Path) -> dict[str, torch.Tensor]:
    """`qlinear_cuda_old.QuantLinear`, whose plain PyTorch path multiplies with what it unpacks: an identity gives the matrix."""
    linear = autogptq_linear()
    size = json.loads((folder / "config.json").read_text())["quantization_config"]["group_size"]
    held, found = tensors(folder), {}
    for name in [name.removesuffix(".qweight") for name in held if name.endswith(".qweight")]:
        out, inputs = held[f"{name}.scales"].shape[1], held[f"{name}.qweight"].shape[0] * 8
        layer = linear(4, size, inputs, out, bias=False, use_cuda_fp16=False, weight_dtype=torch.float32)
        for key in ["qweight", "qzeros", "scales", "g_idx"]:
            value = held[f"{name}.{key}"]
            setattr(layer, key, value.float() if key == "scales" else value)
        layer.autogptq_cuda_available = False
        found[name] = layer(torch.eye(inputs)).T
    return found


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        for spec in ["w4:rtn,sym", "w8:rtn,sym", "w4:gptq,n=8", "w8a8", "w8a8:smooth,n=4", "fp8"]:
            out = written(folder, spec, "compressed-tensors")
            said = answers(out)
            for question, text in said.items():
                asked = json.loads(steady("ask", "--model", str(out), "--image", str(IMAGE), "--question", question, "--device", "cpu", "--json"))
                own = asked["answers"][0]["text"]
                assert own.strip() == text.strip(), f"{spec}: {question}: {own!r}, by transformers {text!r}"
            print(f"{spec}: transformers loads it and answers as steady does: {list(said.values())}")
        for spec in ["w4:rtn", "w4:awq,n=4"]:
            written(folder, spec, "compressed-tensors")
        for spec, layout, unpack in [
            ("w4:rtn", "awq", by_autoawq),
            ("w4:awq,n=4", "awq", by_autoawq),
            ("w4:rtn", "gptq", by_autogptq),
            ("w4:gptq,n=8", "gptq", by_autogptq),
        ]:
            found, expected = unpack(written(folder, spec, layout)), by_compressed_tensors(place(folder, spec, "compressed-tensors"))
            assert found.keys() == expected.keys() and len(found) == 28
            furthest = max((found[name] - expected[name].float()).abs().max().item() for name in found)
            assert furthest < 1e-6, f"{spec} as {layout}: {furthest}"
            print(f"{spec} as {layout}: {unpack.__name__} unpacks the matrices that compressed-tensors does, {furthest:.1e} apart at most")


if __name__ == "__main__":
    main()
