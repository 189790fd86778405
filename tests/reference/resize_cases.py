"""What torchvision makes of uint8 images that it resizes with antialias: hashes, for sizes drawn at random.

    python tests/reference/resize_cases.py crates/pixels/tests/torchvision.json

Needs torch and torchvision, on a CPU with AVX2 or newer: without, torchvision resizes in floats and rounds otherwise. The images
are formulas, which the test computes again.
"""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import torch
import torchvision
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional

FILTERS = {"bilinear": InterpolationMode.BILINEAR, "bicubic": InterpolationMode.BICUBIC, "lanczos": InterpolationMode.LANCZOS}


def picture(width: int, height: int, seed: int) -> np.ndarray:
    """Noise, black and white noise, or smooth waves that wrap: `[height, width, 3]`."""
    y, x, c = (axis.astype(np.uint64) for axis in np.mgrid[0:height, 0:width, 0:3])
    if seed % 3 == 2:
        return (x * np.uint64(5) + y * np.uint64(3) + c * np.uint64(40) + np.uint64(seed) & np.uint64(255)).astype(np.uint8)
    noise = (x + 1) * 2654435761 + (y + 1) * 40503 * (c + 3) + np.uint64(seed) * 2246822519 & np.uint64(0xFFFFFFFF)
    noise = (noise ^ noise >> np.uint64(15)) * 2246822519 & np.uint64(0xFFFFFFFF)
    level = noise >> np.uint64(13) & np.uint64(255)
    return (level if seed % 3 == 0 else (level > 127) * 255).astype(np.uint8)


def main() -> None:
    capability = torch.backends.cpu.get_cpu_capability()
    assert capability in ("AVX2", "AVX512"), capability
    torch.set_num_threads(1)
    rng = np.random.default_rng(1)
    rows = []
    fixed = [(1, 1, 7, 5), (300, 2, 3, 40), (2, 300, 40, 3), (64, 48, 64, 20), (64, 48, 20, 48), (336, 336, 28, 28), (640, 480, 448, 336), (50, 50, 51, 49), (500, 1, 1, 1)]
    drawn = [tuple(int(side) for side in rng.integers(1, 200, 4)) for _ in range(91)]
    for seed, (width, height, to_width, to_height) in enumerate(fixed + drawn):
        image = torch.from_numpy(picture(width, height, seed)).permute(2, 0, 1).contiguous()[None]
        row = {"from": [width, height], "to": [to_width, to_height], "seed": seed}
        for name, mode in FILTERS.items():
            resized = functional.resize(image, [to_height, to_width], interpolation=mode, antialias=True)[0].permute(1, 2, 0)
            row[name] = hashlib.sha256(resized.contiguous().numpy().tobytes()).hexdigest()[:16]
        rows.append(row)
    versions = {"torch": torch.__version__, "torchvision": torchvision.__version__, "cpu": capability}
    lines = ",\n".join("    " + json.dumps(row) for row in rows)
    Path(sys.argv[1]).write_text(f'{{\n  "versions": {json.dumps(versions)},\n  "cases": [\n{lines}\n  ]\n}}\n')
    print(len(rows), "pairs of sizes,", len(rows) * len(FILTERS), "hashes")


if __name__ == "__main__":
    main()
