"""JPEG files of every kind that Pillow reads, with the hash of the RGB pixels that it makes of each.

    python tests/reference/jpeg_cases.py crates/pixels/tests/jpeg

Needs Pillow and numpy (versions in cases.json). What Pillow cannot write, other samplings, scans in another order, restart
markers inside of them, YCCK, files without tables, is written by the small encoder below, or made of Pillow's bytes.
"""

import io
import shutil
import sys
from pathlib import Path

import numpy as np
from PIL import Image

import decoded
from pictures import scene

ZIGZAG = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28,
    35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
]


def segments(data: bytes) -> list[tuple[int, bytes]]:
    """Marker and everything up to the next one, entropy-coded data included."""
    parts, at = [], 2
    while at < len(data):
        marker = data[at + 1]
        end = at + 2
        if marker != 0xD9:
            end += int.from_bytes(data[end : end + 2])
        if marker == 0xDA:
            while data[end] != 0xFF or data[end + 1] == 0 or 0xD0 <= data[end + 1] <= 0xD7:
                end += 1
        parts.append((marker, data[at:end]))
        at = end
    return parts


def joined(parts: list[tuple[int, bytes]]) -> bytes:
    return b"\xff\xd8" + b"".join(data for _, data in parts)


def pillow(image: Image.Image, **how) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", **how)
    return out.getvalue()


def standard_tables() -> dict[int, tuple[list[int], list[int]]]:
    """Counts and values of the tables of ITU-T T.81 annex K, as Pillow writes them: DC 0 and 1, AC 16 and 17."""
    tables = {}
    for marker, data in segments(pillow(Image.new("RGB", (8, 8)))):
        rest = data[4:] if marker == 0xC4 else b""
        while rest:
            counts = list(rest[1:17])
            tables[rest[0]] = (counts, list(rest[17 : 17 + sum(counts)]))
            rest = rest[17 + sum(counts) :]
    return tables


TABLES = standard_tables()
COSINES = np.array([[(1 if u else 0.5**0.5) * np.cos((2 * x + 1) * u * np.pi / 16) / 2 for x in range(8)] for u in range(8)])


def segment(marker: int, content: bytes) -> bytes:
    return bytes([0xFF, marker]) + (len(content) + 2).to_bytes(2) + content


class Writer:
    """Entropy-coded data with the standard tables."""

    def __init__(self):
        self.codes = {}
        for which, (counts, values) in TABLES.items():
            code, at, table = 0, 0, {}
            for length, count in enumerate(counts, 1):
                for _ in range(count):
                    table[values[at]] = (code, length)
                    code, at = code + 1, at + 1
                code <<= 1
            self.codes[which] = table
        self.out, self.bits, self.held = bytearray(), 0, 0

    def put(self, value: int, count: int) -> None:
        self.bits, self.held = self.bits << count | value, self.held + count
        while self.held >= 8:
            byte = self.bits >> (self.held - 8) & 255
            self.out += bytes([byte, 0] if byte == 255 else [byte])
            self.held -= 8

    def number(self, which: int, run: int, value: int) -> None:
        size = abs(value).bit_length()
        self.put(*self.codes[which][run << 4 | size])
        self.put(value if value >= 0 else value + (1 << size) - 1, size)

    def block(self, coefficients: list[int], before: int, table: int) -> None:
        self.number(table, 0, coefficients[0] - before)
        run = 0
        last = max((k for k in range(1, 64) if coefficients[k]), default=0)
        for value in coefficients[1 : last + 1]:
            if value == 0:
                run += 1
                continue
            for _ in range(run // 16):
                self.put(*self.codes[16 + table][0xF0])
            self.number(16 + table, run % 16, value)
            run = 0
        if last < 63:
            self.put(*self.codes[16 + table][0])

    def flush(self) -> None:
        if self.held:
            self.put((1 << (8 - self.held)) - 1, 8 - self.held)


def encode(
    planes: list[np.ndarray], sampling: list[tuple[int, int]], *, scans=None, restart=0, ids=None, step=6, adobe=None, wide=False,
    jfif=False, tables=True, fill=b"", skew=0,
) -> bytes:
    """A sequential JPEG of full-size planes. `scans` lists the components of each scan; `skew` counts restart markers from elsewhere."""
    height, width = planes[0].shape
    most_h, most_v = max(h for h, _ in sampling), max(v for _, v in sampling)
    units_x, units_y = -(-width // (8 * most_h)), -(-height // (8 * most_v))
    ids = ids or list(range(1, len(planes) + 1))
    parts = []
    for plane, (h, v) in zip(planes, sampling):
        columns, rows = units_x * h * 8, units_y * v * 8
        # every so-manyth sample is good enough, and not what a decoder would undo
        x = np.minimum(np.arange(columns) * most_h // h, width - 1)
        y = np.minimum(np.arange(rows) * most_v // v, height - 1)
        samples = plane[y][:, x].astype(np.float64) - 128
        blocks = samples.reshape(rows // 8, 8, columns // 8, 8).transpose(0, 2, 1, 3)
        transformed = COSINES @ blocks @ COSINES.T
        weights = step * (1 + np.add.outer(np.arange(8), np.arange(8)) / 2)
        table = np.clip(np.round(weights), 1, 255 if not wide else 65535).astype(int)
        values = np.round(transformed / table).astype(int).reshape(rows // 8, columns // 8, 64)[..., ZIGZAG]
        real = (-(-(-(-width * h // most_h)) // 8), -(-(-(-height * v // most_v)) // 8))
        parts.append((values.tolist(), real))
    quantization = b"".join(int(table.flat[k]).to_bytes(2 if wide else 1) for k in ZIGZAG)
    out = b"\xff\xd8"
    if jfif:
        out += segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0")
    if adobe is not None:
        out += segment(0xEE, b"Adobe\0\x64\0\0\0\0" + bytes([adobe]))
    out += segment(0xDB, bytes([0x10 if wide else 0]) + quantization)
    header = b"".join(bytes([i, h << 4 | v, 0]) for i, (h, v) in zip(ids, sampling))
    out += fill + segment(0xC1 if wide else 0xC0, b"\x08" + height.to_bytes(2) + width.to_bytes(2) + bytes([len(planes)]) + header)
    if tables:
        out += segment(0xC4, b"".join(bytes([which, *counts, *values]) for which, (counts, values) in TABLES.items()))
    if restart:
        out += segment(0xDD, restart.to_bytes(2))
    for scan in scans or [list(range(len(planes)))]:
        chroma = [int(index in (1, 2) and len(planes) > 1) for index in scan]
        out += segment(0xDA, bytes([len(scan)]) + b"".join(bytes([ids[i], 0x11 * c]) for i, c in zip(scan, chroma)) + b"\0\x3f\0")
        if len(scan) == 1:
            across, down = parts[scan[0]][1]
            units = [[(scan[0], chroma[0], y, x)] for y in range(down) for x in range(across)]
        else:
            units = [
                [(i, c, y * sampling[i][1] + v, x * sampling[i][0] + h) for i, c in zip(scan, chroma) for v in range(sampling[i][1]) for h in range(sampling[i][0])]
                for y in range(units_y)
                for x in range(units_x)
            ]
        writer, before = Writer(), {}
        for at, unit in enumerate(units):
            if restart and at and at % restart == 0:
                writer.flush()
                writer.out += bytes([0xFF, 0xD0 + (at // restart - 1 + skew) % 8])
                before = {}
            for index, table, y, x in unit:
                coefficients = parts[index][0][y][x]
                writer.block(coefficients, before.get(index, 0), table)
                before[index] = coefficients[0]
        writer.flush()
        out += bytes(writer.out)
    return out + b"\xff\xd9"


def planes_of(image: Image.Image, mode: str = "YCbCr") -> list[np.ndarray]:
    return list(np.array(image.convert(mode)).reshape(image.height, image.width, -1).transpose(2, 0, 1))


def files() -> dict[str, bytes]:
    wide, tall, odd, tiny = scene(61, 45, 1), scene(33, 70, 2), scene(47, 31, 3), scene(3, 5, 4)
    made = {}
    # what Pillow writes
    for name, sampling in {"444": "4:4:4", "422": "4:2:2", "420": "4:2:0"}.items():
        for shape, image in {"wide": wide, "tall": tall, "tiny": tiny}.items():
            made[f"pillow-{name}-{shape}"] = pillow(image, quality=85, subsampling=sampling)
        made[f"progressive-{name}"] = pillow(odd, quality=80, subsampling=sampling, progressive=True)
        made[f"optimized-{name}"] = pillow(odd, quality=95, subsampling=sampling, optimize=True)
    for quality in (1, 30, 100):
        made[f"quality-{quality}"] = pillow(odd, quality=quality)
    made["noise-100"] = pillow(Image.fromarray(np.random.default_rng(5).integers(0, 256, (21, 35, 3), dtype=np.uint8)), quality=100, subsampling=2)
    made["noise-1"] = pillow(Image.fromarray(np.random.default_rng(5).integers(0, 2, (21, 35, 3), dtype=np.uint8) * 255), quality=1, subsampling=2)
    made["grey"] = pillow(wide.convert("L"), quality=75)
    made["grey-progressive"] = pillow(tall.convert("L"), quality=75, progressive=True)
    made["kept-rgb"] = pillow(odd, quality=90, keep_rgb=True)
    made["restart-blocks"] = pillow(wide, quality=80, restart_marker_blocks=2)
    made["restart-rows-progressive"] = pillow(wide, quality=80, restart_marker_rows=1, progressive=True)
    made["cmyk"] = pillow(odd.convert("CMYK"), quality=85)
    made["cmyk-progressive"] = pillow(odd.convert("CMYK"), quality=85, progressive=True)
    for size in [(1, 1), (2, 2), (5, 3), (8, 8), (16, 16), (17, 1), (1, 17), (4, 33), (6, 8)]:
        made[f"size-{size[0]}x{size[1]}"] = pillow(scene(*size, 6), quality=90, subsampling=2)
    # other samplings, luma first
    samplings = {
        "440": [(1, 2), (1, 1), (1, 1)],
        "411": [(4, 1), (1, 1), (1, 1)],
        "441": [(1, 4), (1, 1), (1, 1)],
        "410": [(4, 2), (1, 1), (1, 1)],
        "luma-halved": [(1, 1), (2, 2), (2, 2)],
        "one-chroma-halved": [(2, 1), (1, 1), (2, 1)],
        "red-alone-fine": [(1, 1), (1, 1), (2, 2)],
        "all-2x2": [(2, 2), (2, 2), (1, 2)],
        "mixed": [(2, 2), (2, 1), (1, 2)],
    }
    for name, sampling in samplings.items():
        made[f"sampling-{name}"] = encode(planes_of(odd), sampling)
    made["sampling-440-tall"] = encode(planes_of(tall), samplings["440"], step=2)
    made["sampling-411-tiny"] = encode(planes_of(tiny), samplings["411"], step=2)
    made["sampling-grey-2x2"] = encode(planes_of(odd, "L"), [(2, 2)])
    # scans
    halved = [(2, 2), (1, 1), (1, 1)]
    for name, scans in {"y-b-r": [[0], [1], [2]], "r-b-y": [[2], [1], [0]], "br-y": [[1, 2], [0]], "y-br": [[0], [1, 2]]}.items():
        made[f"scans-{name}"] = encode(planes_of(wide), halved, scans=scans)
    made["scans-440-b-y-r"] = encode(planes_of(tall), samplings["440"], scans=[[1], [0], [2]])
    made["scans-restarts"] = encode(planes_of(wide), halved, scans=[[2], [0], [1]], restart=3)
    made["scans-without-red"] = encode(planes_of(wide), halved, scans=[[0], [1]])
    made["restarts-of-one"] = encode(planes_of(odd), halved, restart=1)
    made["restarts-astray"] = encode(planes_of(odd), halved, restart=2, skew=4)
    # colour
    made["ycck"] = encode([*planes_of(odd), np.full((31, 47), 200)], [(1, 1)] * 4, adobe=2)
    made["ycck-halved"] = encode([*planes_of(odd), planes_of(odd, "L")[0]], [(2, 2), (1, 1), (1, 1), (2, 2)], adobe=2, step=3)
    made["cmyk-without-adobe"] = encode(planes_of(odd, "CMYK"), [(1, 1)] * 4)
    made["rgb-by-adobe"] = encode(planes_of(odd, "RGB"), [(1, 1)] * 3, adobe=0)
    made["rgb-by-name"] = encode(planes_of(odd, "RGB"), [(1, 1)] * 3, ids=list(b"RGB"))
    made["jfif-before-adobe"] = encode(planes_of(odd), [(1, 1)] * 3, adobe=0, jfif=True)
    made["odd-names"] = encode(planes_of(odd), halved, ids=[0, 7, 200])
    # tables
    made["wide-tables"] = encode(planes_of(odd), halved, wide=True, step=40)
    made["without-huffman-tables"] = encode(planes_of(odd), halved, tables=False)
    made["stray-bytes"] = encode(planes_of(odd), halved, fill=b"\0\1\2\xff\xff")
    # progressive files that stop after some of their scans
    for image, name in ((wide, "wide"), (tall, "tall")):
        parts = segments(pillow(image, quality=70, progressive=True, subsampling=2))
        scans = [at for at, (marker, _) in enumerate(parts) if marker == 0xDA]
        for kept in (1, 2, 4, len(scans) - 1):
            made[f"scans-kept-{kept}-{name}"] = joined(parts[: scans[kept]] + parts[-1:])
    # damage that libjpeg repairs
    whole = made["pillow-420-wide"]
    made["end-too-early"] = whole[: len(whole) * 2 // 3] + b"\xff\xd9"
    at = len(whole) * 3 // 4
    made["bytes-changed"] = whole[:at] + bytes([whole[at] ^ 0x15, 0x3C]) + whole[at + 2 :]
    made["behind-the-end"] = whole + b"and so on"
    # and what Pillow refuses
    made["cut"] = whole[: len(whole) // 2]
    made["cut-in-header"] = whole[:200]
    made["without-end"] = whole[:-2]
    made["cut-progressive"] = made["progressive-420"][:-40]
    made["sampling-fractions"] = encode(planes_of(odd), [(3, 1), (2, 1), (1, 1)])
    return made


def main() -> None:
    folder = Path(sys.argv[1])
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, data in files().items():
        (folder / f"{name}.jpg").write_bytes(data)
    decoded.write(folder)


if __name__ == "__main__":
    main()
