"""What AutoGPTQ's own GPTQ makes of a matrix and the inputs that it sees, for the Rust one to be compared with.

    python tests/reference/gptq_cases.py

Needs torch, transformers, safetensors and `pip install --no-deps auto-gptq==0.7.1`. Writes crates/accel/tests/gptq.safetensors: `weight [out, in]`,
`inputs [rows, in]`, and per case its codes `[out, in]`, scales and zero points `[out, groups]`.

Scales are rounded to f16 where they are found, because that is how they are stored; nothing else of AutoGPTQ is changed.
"""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import torch
from safetensors.torch import save_file

HERE = Path(__file__).resolve().parent
OUT = HERE.parents[1] / "crates" / "accel" / "tests" / "gptq.safetensors"
# More than a block of 128 columns, and a last block that is shorter.
ROWS, COLUMNS, PROMPTS = 12, 160, 6
# Bits, group size, symmetric, by activations with static groups.
CASES = {
    "symmetric": (4, 32, True, False),
    "asymmetric": (4, 16, False, False),
    "channel": (4, COLUMNS, True, False),
    "ordered": (4, 16, True, True),
    "three": (3, 32, True, False),
    "three-asymmetric": (3, 16, False, True),
}


def auto_gptq() -> ModuleType:
    """Its two files, without the rest of the package, which wants a GPU."""
    folder = Path(importlib.util.find_spec("auto_gptq").submodule_search_locations[0]) / "quantization"
    package = sys.modules["gptq_files"] = ModuleType("gptq_files")
    package.__path__ = [str(folder)]
    torch.cuda.synchronize = lambda: None
    return importlib.import_module("gptq_files.gptq")


def main() -> None:
    gptq = auto_gptq()
    find_params = gptq.Quantizer.find_params

    def stored(self, x, weight=False):
        find_params(self, x, weight)
        self.scale = self.scale.half().float()
        if not self.sym:
            # From the scale as it is stored.
            low = torch.minimum(x.min(1)[0], torch.zeros(x.shape[0]))[:, None]
            self.zero = torch.round(-low / self.scale)

    gptq.Quantizer.find_params = stored
    generator = torch.Generator().manual_seed(5)
    weight = torch.randn(ROWS, COLUMNS, generator=generator).half().float()
    # Inputs that have to do with each other, and some that are much larger.
    mix = torch.randn(COLUMNS, COLUMNS, generator=generator) / COLUMNS**0.5
    size = torch.rand(COLUMNS, generator=generator) * 3 + 0.1
    inputs = ((torch.randn(PROMPTS * 40, COLUMNS, generator=generator) @ (mix + torch.eye(COLUMNS))) * size).half().float()
    tensors = {"weight": weight.half(), "inputs": inputs.half()}
    for case, (bits, group, symmetric, ordered) in CASES.items():
        layer = torch.nn.Linear(COLUMNS, ROWS, bias=False)
        layer.weight.data = weight.clone()
        quantizer = gptq.GPTQ(layer)
        quantizer.quantizer.configure(bits, perchannel=True, sym=symmetric)
        for prompt in inputs.chunk(PROMPTS):
            quantizer.add_batch(prompt[None], None)
        size = -1 if group == COLUMNS else group
        scale, zero, _ = quantizer.fasterquant(group_size=size, actorder=ordered, static_groups=ordered)
        wide = lambda values: values.repeat_interleave(group, dim=1)
        codes = (layer.weight.data / wide(scale) + wide(zero)).round()
        assert codes.min() >= 0 and codes.max() < 2**bits
        tensors |= {f"{case}.codes": codes.to(torch.uint8), f"{case}.scales": scale.contiguous(), f"{case}.zeros": zero.contiguous()}
        rounded = ((weight / wide(scale)).round() + wide(zero)).clamp(0, 2**bits - 1)
        print(case, f"{(rounded != codes).float().mean():.1%} of the codes are not those of rounding to nearest")
    save_file(tensors, OUT)


if __name__ == "__main__":
    main()
