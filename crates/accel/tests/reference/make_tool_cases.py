"""Codes and scales of quantizers as the tools that people deploy choose them, for a small matrix.

    python crates/accel/tests/reference/make_tool_cases.py

writes tool_cases.safetensors beside itself. Needs torch and, from PyPI, `pip install --no-deps compressed-tensors==0.20.0 bitsandbytes==0.50.2 hqq==0.2.8.post1`
(and loguru, termcolor). Each case is quantized by the tool's own code; compressed-tensors is given scales in f16 for integers in groups, as its
files have them.
"""

from pathlib import Path

import bitsandbytes.functional as bnb
import torch
from compressed_tensors.quantization import QuantizationArgs
from compressed_tensors.quantization.lifecycle.forward import quantize
from compressed_tensors.quantization.utils import calculate_qparams
from hqq.core.quantize import Quantizer
from safetensors.torch import save_file

ROWS, COLUMNS, GROUP = 12, 128, 32


def compressed_tensors(weight, keep=lambda scale: scale, dtype=None, **args):
    args = QuantizationArgs(**args)
    group = args.group_size or weight.shape[1]
    parts = weight.reshape(weight.shape[0], -1, group)
    scale, zero = calculate_qparams(parts.amin(-1), parts.amax(-1), args)
    scale = keep(scale)
    return quantize(weight, scale, zero.float(), args, dtype=dtype), scale, zero


def main() -> None:
    generator = torch.Generator().manual_seed(11)
    weight = torch.randn(ROWS, COLUMNS, generator=generator) * 0.05
    weight[0, 3] = 0.6
    weight[1] = weight[1].abs()
    weight = weight.half().float()
    tensors = {"weight": weight.half()}
    packed, state = bnb.quantize_4bit(weight, blocksize=64, quant_type="nf4")
    codes = torch.stack([packed.flatten() >> 4, packed.flatten() & 15], -1).reshape(ROWS, COLUMNS)
    tensors |= {"nf4.codes": codes, "nf4.scales": state.absmax}
    packed, state = bnb.quantize_4bit(weight, blocksize=64, quant_type="fp4")
    codes = torch.stack([packed.flatten() >> 4, packed.flatten() & 15], -1).reshape(ROWS, COLUMNS)
    tensors |= {"fp4.codes": codes, "fp4.scales": state.absmax}
    maxima = torch.rand(300, generator=torch.Generator().manual_seed(12)) ** 3 + 0.01
    blocks = torch.zeros(300, 64)
    blocks[:, 63] = maxima
    _, state = bnb.quantize_4bit(blocks, blocksize=64, quant_type="nf4", compress_statistics=True)
    tensors |= {"maxima": maxima, "doubled": bnb.dequantize_blockwise(state.absmax, state.state2) + state.offset}
    codes, scale, _ = compressed_tensors(weight, num_bits=8, type="int", symmetric=True, strategy="channel", dtype=torch.int8)
    tensors |= {"w8a8.codes": codes, "w8a8.scales": scale}
    codes, scale, _ = compressed_tensors(weight, num_bits=8, type="float", symmetric=True, strategy="channel", dtype=torch.float8_e4m3fn)
    tensors |= {"fp8.codes": codes.view(torch.uint8), "fp8.scales": scale}
    for bits in (2, 3, 4, 8):
        codes, scale, _ = compressed_tensors(
            weight, lambda scale: scale.half().float(), num_bits=bits, type="int", symmetric=True, strategy="group", group_size=GROUP
        )
        tensors |= {f"rtn{bits}.codes": (codes + 2 ** (bits - 1)).to(torch.uint8), f"rtn{bits}.scales": scale}
    for group in (64, 16):
        codes, meta = Quantizer.quantize(weight, nbits=4, group_size=group, axis=1, bitpack=False, device="cpu")
        tensors |= {f"hqq{group}.codes": codes.reshape(ROWS, COLUMNS).to(torch.uint8), f"hqq{group}.scales": meta["scale"].flatten()}
        tensors |= {f"hqq{group}.zeros": meta["zero"].flatten()}
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, Path(__file__).with_name("tool_cases.safetensors"))


if __name__ == "__main__":
    main()
