"""What Pillow makes of the picture files of a folder: hashes of upright RGB pixels in cases.json, or its words where it refuses one.

    python tests/reference/decoded.py FOLDER

Needs Pillow (version in cases.json).
"""

import hashlib
import json
import sys
import warnings
from pathlib import Path

from PIL import Image, ImageOps, features


def write(folder: Path) -> None:
    warnings.simplefilter("ignore")
    rows = []
    for path in sorted(path for path in folder.iterdir() if path.suffix != ".json"):
        row = {"image": path.name}
        try:
            image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
            row |= {"width": image.width, "height": image.height, "sha256": hashlib.sha256(image.tobytes()).hexdigest()}
        except Exception as error:
            row["refused"] = f"{type(error).__name__}: {error}"
        rows.append(row)
    versions = {"pillow": Image.__version__, "libjpeg_turbo": features.version("libjpeg_turbo")}
    lines = ",\n".join("    " + json.dumps(row) for row in rows)
    (folder / "cases.json").write_text(f'{{\n  "versions": {json.dumps(versions)},\n  "cases": [\n{lines}\n  ]\n}}\n')
    print(folder, len(rows), "files,", sum("refused" in row for row in rows), "refused")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
