"""What SmoothQuant's own code makes of a norm and the matrices behind it.

    python crates/accel/tests/reference/make_smooth_cases.py SOURCES

writes smooth_cases.safetensors beside itself. SOURCES holds a checkout of mit-han-lab/smoothquant at c61476d728e42ae0d8a35e7e78494edcac3237b5 in the
folder `smoothquant`. No line of it is committed: `smooth_ln_fcs_llama_like` is cut out of its file and run as it is. Needs torch and transformers.
"""

import ast
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn
from transformers.models.llama.modeling_llama import LlamaRMSNorm

COLUMNS, ROWS = 48, (16, 8)


def smooth():
    path = Path(sys.argv[1]) / "smoothquant" / "smoothquant" / "smooth.py"
    [function] = [node for node in ast.parse(path.read_text()).body if getattr(node, "name", "") == "smooth_ln_fcs_llama_like"]
    names = {"torch": torch, "nn": nn, "LlamaRMSNorm": LlamaRMSNorm, "MistralRMSNorm": LlamaRMSNorm, "MixtralRMSNorm": LlamaRMSNorm}
    exec(compile(ast.Module([function], []), str(path), "exec"), names)
    return names["smooth_ln_fcs_llama_like"]


def main() -> None:
    generator = torch.Generator().manual_seed(3)
    inputs = torch.randn(64, COLUMNS, generator=generator) * (torch.rand(COLUMNS, generator=generator) ** 4 * 20 + 0.05)
    inputs[:, 5] = 0
    weights = [torch.randn(rows, COLUMNS, generator=generator) * 0.1 for rows in ROWS]
    weights[0][:, 7], weights[1][:, 7] = 0, 0
    tensors = {"inputs": inputs, "weight.0": weights[0], "weight.1": weights[1]}
    for alpha in (0.5, 0.8):
        norm, layers = LlamaRMSNorm(COLUMNS), [nn.Linear(COLUMNS, rows, bias=False) for rows in ROWS]
        for layer, weight in zip(layers, weights):
            layer.weight.data = weight.clone()
        smooth()(norm, layers, inputs.abs().amax(0), alpha)
        # The norm's weights were ones.
        tensors[f"{alpha}.factors"] = 1 / norm.weight.data
    save_file(tensors, Path(__file__).with_name("smooth_cases.safetensors"))


if __name__ == "__main__":
    main()
