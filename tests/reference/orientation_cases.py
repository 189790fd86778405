"""Pictures whose orientation stands in every place that Pillow looks at, or is said in every way, with what Pillow makes of each.

    python tests/reference/orientation_cases.py crates/pixels/tests/upright

Needs Pillow and numpy (version in cases.json). The expected values are hashes of the RGB pixels after `ImageOps.exif_transpose`,
or Pillow's words where it refuses a file.
"""

import io
import shutil
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

import decoded
from jpeg_cases import joined, segment, segments
from pictures import scene

EXIF = b"Exif\0\0"
SHORT, LONG = 3, 4


def tiff(value: bytes, kind: int = SHORT, count: int = 1, order: str = ">", tag: int = 0x0112, before: list[bytes] = (), header: bytes | None = None) -> bytes:
    """A TIFF header and one directory; a value of more than 4 bytes stands behind it."""
    head = header or (b"MM\0\x2a" if order == ">" else b"II\x2a\0")
    number = lambda form, *values: struct.pack(order + form, *values)
    entries = list(before)
    entries.append(number("HHI", tag, kind, count) + (value.ljust(4, b"\0") if len(value) <= 4 else number("I", 8 + 2 + 12 * (len(before) + 1) + 4)))
    return head + number("I", 8) + number("H", len(entries)) + b"".join(entries) + number("I", 0) + (value if len(value) > 4 else b"")


def short(value: int, order: str = ">") -> bytes:
    return tiff(struct.pack(order + "H", value), order=order)


def xmp(text: str) -> bytes:
    return f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description {text}</x:xmpmeta>'.encode()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(image: Image.Image, *, before: bytes = b"", after: bytes = b"") -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG")
    data = out.getvalue()
    start, end = data.index(b"IDAT") - 4, data.index(b"IEND") - 4
    return data[:start] + before + data[start:end] + after + data[end:]


def jpeg(image: Image.Image, *parts: bytes, last: bytes = b"", **how) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=90, **how)
    first, *rest = segments(out.getvalue())
    return joined([first, *((0xE1, segment(0xE1, part)) for part in parts), *rest[:-1], (0xE1, segment(0xE1, last) if last else b""), rest[-1]])


def webp(image: Image.Image, **how) -> bytes:
    out = io.BytesIO()
    image.save(out, "WEBP", lossless=True, **how)
    return out.getvalue()


def profile(data: bytes) -> bytes:
    text = (data).hex()
    lines = "\n".join(text[at : at + 72] for at in range(0, len(text), 72))
    return f"\nexif\n{len(data):8}\n{lines}\n".encode()


def grey16(transparent: int | None) -> bytes:
    """Levels around 255, where clipping begins."""
    levels = (np.arange(12 * 9).reshape(9, 12) * 7).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in levels)
    extra = chunk(b"tRNS", struct.pack(">H", transparent)) if transparent is not None else b""
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 12, 9, 16, 0, 0, 0, 0)) + extra + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def files() -> dict[str, bytes]:
    image = scene(19, 12, 11)
    made = {}
    attribute, element = xmp('tiff:Orientation="6"/>'), xmp("><tiff:Orientation>8</tiff:Orientation>")
    itxt = lambda text, packed=False: chunk(b"iTXt", b"XML:com.adobe.xmp\0" + bytes([packed, 0]) + b"\0\0" + (zlib.compress(text) if packed else text))
    for turn in range(10):
        made[f"exif-{turn}.jpg"] = jpeg(image, EXIF + short(turn, "<" if turn % 2 else ">"))
    # where it stands
    made["exif-before.png"] = png(image, before=chunk(b"eXIf", short(6)))
    made["exif-behind.png"] = png(image, after=chunk(b"eXIf", short(8)))
    made["exif-twice.png"] = png(image, before=chunk(b"eXIf", short(6)), after=chunk(b"eXIf", short(3)))
    made["exif-prefixed.png"] = png(image, before=chunk(b"eXIf", EXIF + short(6)))
    made["profile-text.png"] = png(image, before=chunk(b"tEXt", b"Raw profile type exif\0" + profile(EXIF + short(6))))
    made["profile-packed.png"] = png(image, after=chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(profile(EXIF + short(5)))))
    made["profile-and-exif.png"] = png(image, before=chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(profile(EXIF + short(5)))) + chunk(b"eXIf", short(2)))
    made["profile-not-hexadecimal.png"] = png(image, before=chunk(b"tEXt", b"Raw profile type exif\0\nexif\n  4\nzz\n"))
    made["text-exif.png"] = png(image, before=chunk(b"tEXt", b"exif\0" + EXIF + short(7)))
    made["xmp.png"] = png(image, before=itxt(attribute))
    made["xmp-packed.png"] = png(image, after=itxt(element, packed=True))
    made["xmp-text.png"] = png(image, before=chunk(b"tEXt", b"XML:com.adobe.xmp\0" + attribute))
    made["xmp-and-exif.png"] = png(image, before=itxt(attribute) + chunk(b"eXIf", short(3)))
    made["xmp-and-exif-without.png"] = png(image, before=itxt(attribute) + chunk(b"eXIf", tiff(b"\0\1", tag=0x0100)))
    made["xmp-and-exif-upright.png"] = png(image, before=itxt(attribute) + chunk(b"eXIf", short(1)))
    made["xmp.jpg"] = jpeg(image, b"http://ns.adobe.com/xap/1.0/\0" + attribute)
    made["xmp-element.jpg"] = jpeg(image, b"http://ns.adobe.com/xap/1.0/\0" + element)
    made["xmp-twice.jpg"] = jpeg(image, b"http://ns.adobe.com/xap/1.0/\0" + attribute, b"http://ns.adobe.com/xap/1.0/\0" + element)
    made["exif-behind-tables.jpg"] = jpeg(image, last=EXIF + short(6))
    made["xmp.webp"] = webp(image, xmp=attribute)
    made["exif.webp"] = webp(image, exif=short(6))
    made["exif-prefixed.webp"] = webp(image, exif=EXIF + short(8))
    # how it is said
    made["doubled.jpg"] = jpeg(image, EXIF + EXIF + short(6))
    made["tripled.jpg"] = jpeg(image, EXIF + EXIF + EXIF + short(6))
    whole = short(6)
    made["in-two-parts.jpg"] = jpeg(image, EXIF + whole[:13], EXIF + whole[13:])
    made["long.jpg"] = jpeg(image, EXIF + tiff(struct.pack(">I", 6), LONG))
    made["long-little.png"] = png(image, before=chunk(b"eXIf", tiff(struct.pack("<I", 8), LONG, order="<")))
    made["signed.png"] = png(image, before=chunk(b"eXIf", tiff(struct.pack(">h", 6), 8)))
    made["byte.png"] = png(image, before=itxt(element) + chunk(b"eXIf", tiff(b"\6", 1)))
    made["text.png"] = png(image, before=itxt(element) + chunk(b"eXIf", tiff(b"6\0", 2, 2)))
    made["rational.png"] = png(image, before=chunk(b"eXIf", tiff(struct.pack(">II", 12, 2), 5)))
    made["float.png"] = png(image, before=chunk(b"eXIf", tiff(struct.pack(">f", 6.0), 11)))
    made["two-values.png"] = png(image, before=chunk(b"eXIf", tiff(struct.pack(">HH", 6, 8), SHORT, 2)))
    made["five-values.png"] = png(image, before=chunk(b"eXIf", tiff(struct.pack(">HHHHH", 8, 1, 1, 1, 1), SHORT, 5)))
    made["no-values.png"] = png(image, before=itxt(element) + chunk(b"eXIf", tiff(b"", SHORT, 0)))
    made["unknown-type.png"] = png(image, before=itxt(element) + chunk(b"eXIf", tiff(b"\0\6", 99)))
    entry = lambda value: struct.pack(">HHIHH", 0x0112, SHORT, 1, value, 0)
    made["twice-in-one.png"] = png(image, before=chunk(b"eXIf", tiff(struct.pack(">H", 3), before=[entry(6)])))
    made["swapped-magic.png"] = png(image, before=chunk(b"eXIf", tiff(b"\0\6", header=b"MM\x2a\0")))
    made["cut-directory.png"] = png(image, before=itxt(element) + chunk(b"eXIf", short(6)[:12]))
    made["cut-header.png"] = png(image, before=chunk(b"eXIf", short(6)[:6]))
    made["empty-exif.png"] = png(image, before=itxt(element) + chunk(b"eXIf", b""))
    made["no-tiff.png"] = png(image, before=chunk(b"eXIf", b"not a TIFF header"))
    made["no-tiff.jpg"] = jpeg(image, EXIF + b"not a TIFF header")
    made["no-tiff-xmp.jpg"] = jpeg(image, EXIF + b"not a TIFF header", b"http://ns.adobe.com/xap/1.0/\0" + attribute)
    made["no-tiff-density.jpg"] = jpeg(image, EXIF + b"not a TIFF header", dpi=(72, 72))
    # not about orientation, but of the same making: grey of 16 bits with a transparent level
    made["grey16.png"] = grey16(None)
    made["grey16-transparent.png"] = grey16(210)
    return made


def main() -> None:
    folder = Path(sys.argv[1])
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, data in files().items():
        (folder / name).write_bytes(data)
    decoded.write(folder)


if __name__ == "__main__":
    main()
