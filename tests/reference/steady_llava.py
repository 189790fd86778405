"""The embedded checkpoint, asked about its own world and about pictures that it was never meant for."""

import json
import os
import shlex
import shutil
import struct
import subprocess
from pathlib import Path

from PIL import Image

from cases import Case, make_cases
from pictures import save, scene, with_alpha

ROOT = Path(__file__).resolve().parents[2]
CHECKPOINT = ROOT / "models" / "steady-llava"
# Any command that prints the world's stream; the built binary saves the compilation.
WORLD = os.environ.get("STEADY_WORLD", "cargo run --quiet --release -p steady-bench --bin steady-world --")
SCENES = 10


def world(count: int) -> list[tuple[Image.Image, list[dict]]]:
    """The first pictures of the test split with their questions."""
    command = [*shlex.split(WORLD), "stream", "--split", "test", "--start", "0", "--count", str(count), "--questions", "2"]
    stream = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout
    header, _, data = stream.partition(b"\n")
    header = json.loads(header)
    side, cells = header["image_size"], header["grid"] ** 2
    skipped = cells * len(header["planes"]) + len(header["image_labels"])
    scenes, at = [], 0
    for _ in range(count):
        (length,) = struct.unpack_from("<I", data, at)
        at += 4
        facts = json.loads(data[at : at + length])
        at += length
        image = Image.frombytes("RGB", (side, side), data[at : at + side * side * 3])
        at += side * side * 3 + skipped
        scenes.append((image, facts["questions"]))
    return scenes


def make(folder: Path) -> None:
    images = folder / "images"
    shutil.rmtree(images, ignore_errors=True)
    cases = []
    scenes = world(SCENES)
    for number, (image, questions) in enumerate(scenes):
        save(image, images / f"world-{number}.png")
        cases.append(Case(f"world-{number}", f"world-{number}.png", question=questions[0]["text"]))
    picture, questions = scenes[0]
    question = questions[-1]["text"]
    save(picture.resize((307, 203)), images / "wide.png")
    save(picture.resize((61, 250)), images / "tall.png")
    save(scene(5, 3, 1), images / "tiny.png")
    save(picture.convert("L"), images / "grey.png")
    save(picture.quantize(16), images / "palette.png")
    save(with_alpha(picture.resize((100, 120))), images / "alpha.png")
    for name in ["wide", "tall", "tiny", "grey", "palette", "alpha"]:
        cases.append(Case(name, f"{name}.png", question=question))
    cases += [
        Case("verbatim", "world-1.png", prompt="USER: <image>\nWhat is in the picture? Answer with one word. ASSISTANT:"),
        Case("unicode", "world-2.png", question="Größe? 三角形 🟥 ½"),
    ]
    make_cases(folder, CHECKPOINT, cases, whole_pixels={"world-0", "tiny"})
