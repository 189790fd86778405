"""Small pictures in every mode and proportion that a user may bring."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw


def scene(width: int, height: int, seed: int) -> Image.Image:
    """A gradient with shapes on it and a strip of noise: smooth parts, edges and texture."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    corner, across, down = rng.integers(0, 256, 3), rng.integers(-120, 120, 3), rng.integers(-120, 120, 3)
    base = corner + across * (x / width)[..., None] + down * (y / height)[..., None]
    image = Image.fromarray(np.clip(base, 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for _ in range(4):
        left, top = rng.integers(0, width), rng.integers(0, height)
        right, bottom = left + rng.integers(1, width // 2 + 2), top + rng.integers(1, height // 2 + 2)
        colour = tuple(int(c) for c in rng.integers(0, 256, 3))
        (draw.ellipse if rng.random() < 0.5 else draw.rectangle)([left, top, right, bottom], fill=colour)
    pixels = np.array(image)
    strip = max(1, height // 8)
    pixels[-strip:] = rng.integers(0, 256, (strip, width, 3))
    return Image.fromarray(pixels)


def with_alpha(image: Image.Image) -> Image.Image:
    """Transparency rises from left to right; the colours below it stay."""
    alpha = np.linspace(0, 255, image.width).astype(np.uint8)
    image = image.convert("RGBA")
    image.putalpha(Image.fromarray(np.tile(alpha, (image.height, 1))))
    return image


def save(image: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, optimize=True)
