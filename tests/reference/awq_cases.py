"""What AutoAWQ's own search makes of a decoder layer, for the Rust one to be compared with.

    python tests/reference/awq_cases.py

Needs torch, transformers, safetensors and `pip install --no-deps autoawq==0.2.9`. Writes crates/accel/tests/awq.safetensors:

* of a matrix `weight [out, in]` and `inputs [rows, in]`, for 4 and 3 bits, `factors [1, in]`, `codes [out, in]`, scales and zero points `[out, groups]`;
* of the first layer of models/steady-llava in 4 bits, for layers that are given the same, by the last one's name, the factors that are `tried`
  `[20, in]` and their `losses [1, 20]`.

Scales are rounded to f16 where they are found, because that is how they are stored. The weights that it puts back after each trial are copied first: on a
GPU `.cpu()` does so, on a CPU they would be what the trial made of them. Nothing else of AutoAWQ is changed.
"""

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import torch
import transformers.activations
from PIL import Image
from safetensors.torch import save_file

import cases

HERE = Path(__file__).resolve().parent
OUT = HERE.parents[1] / "crates" / "accel" / "tests" / "awq.safetensors"
PICTURES, QUESTION = ["larger.png", "tiny.png", "square.png"], "how many circles?"
GROUP, ROWS, COLUMNS = 32, 64, 96
FOUND, SAVED = "scales = (max_val - min_val).clamp(min=1e-5) / max_int", "{k: v.cpu() for k, v in"


def auto_awq() -> ModuleType:
    """Its search, without the rest of the package, which wants older releases and a GPU."""
    root = Path(importlib.util.find_spec("awq").submodule_search_locations[0])
    for name, path in [("awq", root), ("awq.utils", root / "utils"), ("awq.quantize", root / "quantize"), ("awq.modules", root / "modules")]:
        sys.modules[name] = ModuleType(name)
        sys.modules[name].__path__ = [str(path)]
    data, linear, utils, act = (ModuleType(f"awq.{name}") for name in ["utils.calib_data", "modules.linear", "utils.utils", "modules.act"])
    data.get_calib_dataset = None
    for kernel in ["WQLinear_GEMM", "WQLinear_GEMV", "WQLinear_Marlin", "WQLinear_GEMVFast"]:
        setattr(linear, kernel, None)
    utils.clear_memory, utils.get_best_device = lambda *_: None, lambda: "cpu"
    act.ScaledActivation = None
    for module in [data, linear, utils, act]:
        sys.modules[module.__name__] = module
    if not hasattr(transformers.activations, "PytorchGELUTanh"):
        transformers.activations.PytorchGELUTanh = torch.nn.GELU
    source = (root / "quantize" / "quantizer.py").read_text()
    assert (source.count(FOUND), source.count(SAVED)) == (1, 1)
    source = source.replace(FOUND, f"{FOUND}; scales = scales.half().float()").replace(SAVED, SAVED.replace("cpu()", "cpu().clone()"))
    module = ModuleType("awq.quantize.quantizer")
    exec(compile(source, "quantizer.py", "exec"), module.__dict__)
    return module


def searching(awq: ModuleType, bits: int):
    """A search of so many bits that keeps, of each call, its losses and what it tried."""
    search, kept = awq.AwqQuantizer.__new__(awq.AwqQuantizer), []
    vars(search).update(
        w_bit=bits, group_size=GROUP, zero_point=True, duo_scaling=True, n_parallel_calib_samples=None, max_chunk_memory=1 << 30,
        awq_model=ModuleType("llava"),
    )
    search.awq_model.model_type = "llava"
    best, loss = search._compute_best_scale, search._compute_loss

    def kept_best(x, w_mean, x_mean, *rest):
        tried = [x_mean.pow(at / 20) / (w_mean.pow(1 - at / 20) + 1e-4) for at in range(20)]
        kept.append(([], torch.stack([scales / (scales.max() * scales.min()).sqrt() for scales in tried])))
        return best(x, w_mean, x_mean, *rest)

    def kept_loss(*given):
        kept[-1][0].append(loss(*given))
        return kept[-1][0][-1]

    search._compute_best_scale, search._compute_loss = kept_best, kept_loss
    return search, kept


def one_layer(awq: ModuleType, tensors: dict) -> None:
    """A matrix by itself, and inputs that have to do with each other, some much larger than others."""
    generator = torch.Generator().manual_seed(5)
    weight = torch.randn(ROWS, COLUMNS, generator=generator).half().float()
    mix = torch.randn(COLUMNS, COLUMNS, generator=generator) / COLUMNS**0.5
    size = torch.rand(COLUMNS, generator=generator) ** 3 * 3 + 0.1
    inputs = ((torch.randn(240, COLUMNS, generator=generator) @ (mix + torch.eye(COLUMNS))) * size).half().float()
    tensors |= {"weight": weight.half(), "inputs": inputs.half()}
    for bits in [4, 3]:
        search, _ = searching(awq, bits)
        holder = torch.nn.Module()
        holder.norm, holder.layer = torch.nn.LayerNorm(COLUMNS), torch.nn.Linear(COLUMNS, ROWS, bias=False)
        holder.layer.weight.data = weight.clone()
        feats = {"layer": inputs.clone()}
        scales = [search._search_best_scale(holder, holder.norm, [holder.layer], feats["layer"])]
        awq.apply_scale(holder, scales, input_feat_dict=feats)
        awq.apply_clip(holder, search._search_best_clip(holder, {"layer": holder.layer}, feats))
        clipped = holder.layer.weight.data
        _, scale, zero = search.pseudo_quantize_tensor(clipped)
        wide = lambda values: values.repeat_interleave(GROUP, dim=1)
        codes = ((clipped / wide(scale)).round() + wide(zero)).clamp(0, 2**bits - 1)
        rounded = lambda values: values.to(torch.uint8).contiguous()
        tensors |= {f"{bits}.factors": scales[0][2].view(1, -1).clone(), f"{bits}.scales": scale.contiguous()}
        tensors |= {f"{bits}.zeros": rounded(zero), f"{bits}.codes": rounded(codes)}


def decoder_layer(awq: ModuleType, tensors: dict) -> None:
    """The first layer of models/steady-llava, as it reads a question about three pictures."""
    model, processor = cases.reference(HERE.parents[1] / "models" / "steady-llava")
    content = [{"type": "image"}, {"type": "text", "text": QUESTION}]
    prompt = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    images = [Image.open(HERE / "tiny-llava" / "images" / name).convert("RGB") for name in PICTURES]
    layer, kwargs, hidden = model.model.language_model.layers[0], {}, []

    def catch(_, arguments, given):
        hidden.append(arguments[0])
        kwargs.update(given)

    handle = layer.register_forward_pre_hook(catch, with_kwargs=True)
    model(**processor(images=images, text=[prompt] * len(images), return_tensors="pt"), use_cache=False)
    handle.remove()
    search, kept = searching(awq, 4)
    search.inps, search.module_kwargs = hidden[0], kwargs
    feats = search._get_input_feat(layer, awq.get_named_linears(layer))
    attention, mlp = layer.self_attn, layer.mlp
    assert attention.v_proj.weight.shape == attention.o_proj.weight.shape
    parts = [
        dict(prev_op=layer.input_layernorm, layers=[attention.q_proj, attention.k_proj, attention.v_proj],
             inp=feats["self_attn.q_proj"], module2inspect=attention, kwargs=kwargs),
        dict(prev_op=attention.v_proj, layers=[attention.o_proj], inp=feats["self_attn.o_proj"]),
        dict(prev_op=layer.post_attention_layernorm, layers=[mlp.gate_proj, mlp.up_proj], inp=feats["mlp.gate_proj"], module2inspect=mlp),
        dict(prev_op=mlp.up_proj, layers=[mlp.down_proj], inp=feats["mlp.down_proj"]),
    ]
    for part in parts:
        _, names, _ = search._search_best_scale(layer, **part)
        losses, tried = kept[-1]
        tensors |= {f"{names[-1]}.losses": torch.tensor([losses]), f"{names[-1]}.tried": tried.half()}


@torch.no_grad()
def main() -> None:
    awq, tensors = auto_awq(), {}
    one_layer(awq, tensors)
    decoder_layer(awq, tensors)
    save_file(tensors, OUT)
    print(OUT, OUT.stat().st_size)


if __name__ == "__main__":
    main()
