"""What the package gguf makes of a matrix in llama.cpp's two plain kinds of blocks.

    python crates/accel/tests/reference/make_ggml_cases.py

Needs numpy, safetensors and `pip install --no-deps gguf==0.19.0`. Writes ggml_cases.safetensors: `weight`, and its blocks as `q4_0` and `q8_0`.
"""

from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType as Type
from gguf import quantize
from safetensors.numpy import save_file

HERE = Path(__file__).resolve().parent


def main() -> None:
    generator = np.random.default_rng(3)
    weight = generator.normal(size=(24, 128)).astype(np.float32) / 11
    # A block of zeros, two of the largest with either sign first, halves between steps, and numbers near the end of f16.
    weight[0, :32] = 0
    weight[1, :32] = np.tile([0.5, -0.5, 0.25, -0.25], 8)
    weight[1, 32:64] = -weight[1, :32]
    weight[2, :32] = (np.arange(32) - 15.5) / 16
    weight[2, 32:64] = np.linspace(-127, 127, 32) / 127 + 0.5 / 127
    weight[3] *= 1e-6
    weight[4] *= 1e5
    blocks = {kind.name.lower(): quantize(weight, kind) for kind in (Type.Q4_0, Type.Q8_0)}
    save_file({"weight": weight, **blocks}, HERE / "ggml_cases.safetensors")


if __name__ == "__main__":
    main()
