"""Reference values for round-to-nearest int4 and LLM.int8(), from their definitions, with PyTorch.

    python crates/accel/tests/reference/make_quant_cases.py

writes quant_cases.json beside itself. Shares no code with the crate: only the definitions in the documentation of
rtn.rs, int8.rs and steady_kernels::Int8Weight. Everything is float32 as there, except that reference outputs are
accumulated in float64. Last run with the versions recorded in the file.
"""

import json
import pathlib
import sys

import torch

torch.manual_seed(20)


def matrix(out, inp, spread=0.05):
    """Weights as checkpoints hold them: float16 values, one row with a large entry, one row of a single sign."""
    weight = torch.randn(out, inp) * spread
    weight[0, 3] = 12 * spread
    weight[1] = weight[1].abs()
    return weight.half().float()


def rtn(weight, group, symmetric):
    out, inp = weight.shape
    grouped = weight.reshape(out, inp // group, group)
    if symmetric:
        scale = grouped.abs().amax(-1) / 7.5
    else:
        low = torch.clamp(grouped.amin(-1), max=0.0)
        high = torch.clamp(grouped.amax(-1), min=0.0)
        scale = (high - low) / 15
    scale = torch.clamp(scale, min=1e-5).half().float()  # as stored
    if symmetric:
        signed = torch.clamp(torch.round(grouped / scale[..., None]), -8, 7)
        codes, zero = signed + 8, torch.full_like(scale, 8.0)
    else:
        zero = torch.clamp(torch.round(-low / scale), 0, 15)
        codes = torch.clamp(torch.round(grouped / scale[..., None]) + zero[..., None], 0, 15)
    restored = ((codes - zero[..., None]) * scale[..., None]).reshape(out, inp)
    return codes.reshape(out, inp).to(torch.uint8), scale, zero, restored


def int8(weight, x, threshold):
    # Weights: row-wise absolute maximum.
    scb = weight.abs().amax(1)
    codes = torch.round(weight * (127.0 / scb[:, None])).to(torch.int8)
    # Activations, each row by itself: outlier entries count for no scale and are left out of the integers.
    outlier = x.abs() >= threshold
    inlier = torch.where(outlier, torch.zeros(()), x)
    scx = inlier.abs().amax(1)
    x_codes = torch.round(inlier * (127.0 / scx[:, None])).to(torch.int32)
    integer = x_codes.to(torch.int64) @ codes.to(torch.int64).T
    restored = codes.double() * scb.double()[:, None] / 127
    y = integer.double() * scx.double()[:, None] * scb.double()[None] / 127**2
    y += torch.where(outlier, x, torch.zeros(())).double() @ restored.T
    return codes, scb, outlier, y


def rows(n, inp, outliers):
    x = torch.randn(n, inp)
    for row, column, value in outliers:
        x[row, column] = value
    return x


def numbers(tensor):
    return tensor.flatten().tolist()


def main():
    cases = {"torch": torch.__version__, "python": sys.version.split()[0], "w4": [], "int8": []}
    for out, inp, group in [(5, 32, 16), (3, 96, 32), (7, 128, 64)]:
        for symmetric in [False, True]:
            weight, x = matrix(out, inp), rows(3, inp, [])
            codes, scale, zero, restored = rtn(weight, group, symmetric)
            cases["w4"].append({
                "out": out, "in": inp, "group": group, "symmetric": symmetric,
                "weight": numbers(weight), "x": numbers(x), "codes": numbers(codes), "scales": numbers(scale),
                "zeros": numbers(zero), "y": numbers(x.double() @ restored.double().T),
            })
    for out, inp, threshold, outliers in [
        (6, 30, 6.0, []),
        (6, 64, 6.0, [(0, 5, 9.5), (2, 40, -7.25), (3, 41, 6.0)]),
        (4, 33, 2.0, [(1, 0, 3.0)]),
    ]:
        weight, x = matrix(out, inp), rows(4, inp, outliers)
        codes, scb, outlier, y = int8(weight, x, threshold)
        cases["int8"].append({
            "out": out, "in": inp, "threshold": threshold,
            "weight": numbers(weight), "x": numbers(x), "codes": numbers(codes), "absmax": numbers(scb),
            "outliers": outlier.nonzero().tolist(), "y": numbers(y),
        })
    path = pathlib.Path(__file__).with_name("quant_cases.json")
    path.write_text(json.dumps(cases) + "\n")


if __name__ == "__main__":
    main()
