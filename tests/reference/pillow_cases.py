"""What Pillow makes of image files and of resizing, and what CLIP's Pillow processor makes of its settings."""

import hashlib
import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from transformers import CLIPImageProcessorPil, LlavaImageProcessorPil
from transformers.image_utils import load_image

from cases import sha256, write_json
from pictures import save, scene, with_alpha

FILTERS = {"lanczos": Image.Resampling.LANCZOS, "bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
SOURCES = {"noise": (37, 23), "scene": (64, 48), "row": (50, 1), "column": (1, 9), "pixel": (1, 1), "large": (210, 133)}
TARGETS = [(16, 16), (91, 40), (37, 23), (1, 1), (5, 200), (37, 60), (100, 23), (13, 7)]


def rgb_sha256(image: Image.Image) -> str:
    return hashlib.sha256(np.array(image.convert("RGB")).tobytes()).hexdigest()


def resize_cases(folder: Path) -> list[dict]:
    rows = []
    for name, size in SOURCES.items():
        path = folder / f"{name}.png"
        rng = np.random.default_rng(7)
        save(Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)) if name == "noise" else scene(*size, 3), path)
        image = Image.open(path).convert("RGB")
        for width, height in TARGETS:
            for filter_name, resample in FILTERS.items():
                resized = image.resize((width, height), resample)
                rows.append({"image": path.name, "width": width, "height": height, "filter": filter_name, "sha256": rgb_sha256(resized)})
    return rows


def png16(path: Path, pixels: np.ndarray, colour_type: int) -> None:
    """A 16-bit PNG; Pillow itself writes only the grey kind."""
    height, width = pixels.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def decode_cases(folder: Path) -> list[dict]:
    picture = scene(21, 14, 5)
    rng = np.random.default_rng(8)
    save(picture, folder / "rgb.png")
    save(with_alpha(picture), folder / "rgba.png")
    save(picture.convert("L"), folder / "grey.png")
    save(picture.convert("L").convert("LA"), folder / "grey-alpha.png")
    save(picture.convert("1"), folder / "bilevel.png")
    save(picture.quantize(4), folder / "palette-2bit.png")
    save(picture.quantize(200), folder / "palette-8bit.png")
    palette = picture.quantize(16)
    palette.save(folder / "palette-transparent.png", transparency=3)
    picture.convert("L").save(folder / "grey-transparent.png", transparency=7)
    wide = rng.integers(0, 65536, (6, 9, 4), dtype=np.uint16)
    png16(folder / "grey16.png", wide[..., :1] >> rng.integers(0, 16, (6, 9, 1)).astype(np.uint16), 0)
    png16(folder / "grey16-alpha.png", wide[..., :2], 4)
    png16(folder / "rgb16.png", wide[..., :3], 2)
    png16(folder / "rgba16.png", wide, 6)
    picture.save(folder / "lossless.webp", lossless=True)
    with_alpha(picture).save(folder / "lossless-alpha.webp", lossless=True, exact=True)
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        picture.save(folder / f"turned-{orientation}.png", exif=exif)
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.save(folder / "turned-6.webp", lossless=True, exif=exif)
    rows = []
    for path in sorted(folder.iterdir()):
        image = load_image(str(path))
        rows.append({"image": path.name, "width": image.width, "height": image.height, "sha256": rgb_sha256(image)})
    # Here the pixels themselves are kept; jpeg_cases.py makes files of every kind.
    smooth = scene(48, 32, 6).resize((48, 32), box=(0, 0, 48, 24))
    for name, mode in [("colour", "RGB"), ("grey", "L")]:
        smooth.convert(mode).save(folder / f"{name}.jpg", quality=95, subsampling=0, exif=exif)
        load_image(str(folder / f"{name}.jpg")).save(folder / f"{name}.jpg.expected.png")
    return rows


SETTINGS = {
    "llava": {"size": {"shortest_edge": 30}, "crop_size": {"height": 30, "width": 30}},
    "exact-size": {"size": {"height": 20, "width": 33}, "do_center_crop": False},
    "odd-crop": {"size": {"shortest_edge": 31}, "crop_size": {"height": 18, "width": 24}},
    "padded": {"size": {"shortest_edge": 9}, "crop_size": {"height": 24, "width": 31}},
    "no-resize": {"do_resize": False, "crop_size": {"height": 40, "width": 40}},
    "bilinear": {"size": {"shortest_edge": 17}, "resample": 2, "do_center_crop": False},
    "lanczos": {"size": {"shortest_edge": 57}, "resample": 1, "crop_size": {"height": 57, "width": 57}},
    "not-normalised": {"size": {"shortest_edge": 12}, "crop_size": {"height": 12, "width": 12}, "do_normalize": False},
    "not-rescaled": {"size": {"shortest_edge": 12}, "crop_size": {"height": 12, "width": 12}, "do_rescale": False},
    "other-numbers": {
        "size": {"shortest_edge": 12},
        "crop_size": {"height": 12, "width": 12},
        "rescale_factor": 0.01,
        "image_mean": [0.5, 0.25, 0.125],
        "image_std": [0.3, 0.7, 0.9],
    },
}

# LLaVA's own processor: a square of the mean colour around the picture, then as CLIP.
LLAVA_SETTINGS = {
    "square": {"do_pad": True, "size": {"shortest_edge": 30}, "crop_size": {"height": 30, "width": 30}},
    "square-of-another-colour": {"do_pad": True, "do_resize": False, "crop_size": {"height": 50, "width": 50}, "image_mean": [0.1, 0.5, 0.9]},
    "no-square": {"do_pad": False, "size": {"shortest_edge": 30}, "crop_size": {"height": 30, "width": 30}},
}


def processor_cases(folder: Path) -> list[dict]:
    for name, size in {"wide": (61, 33), "tall": (20, 47), "tiny": (2, 3)}.items():
        save(scene(*size, 9), folder / f"{name}.png")
    rows = []
    processors = {name: CLIPImageProcessorPil(**values) for name, values in SETTINGS.items()}
    processors |= {name: LlavaImageProcessorPil(**values) for name, values in LLAVA_SETTINGS.items()}
    for setting, processor in processors.items():
        written = processor.to_dict()
        for path in sorted(folder.iterdir()):
            pixels = torch.from_numpy(np.stack(processor(load_image(str(path)))["pixel_values"]))
            rows.append({"settings": setting, "config": written, "image": path.name, "shape": list(pixels.shape), "sha256": sha256(pixels)})
    return rows


def make(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    for part, make_rows in {"resize": resize_cases, "decode": decode_cases, "processor": processor_cases}.items():
        (folder / part).mkdir(parents=True)
        write_json(folder / f"{part}.json", {"cases": make_rows(folder / part)}, rows="cases")
