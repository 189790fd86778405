"""Frames of easy-VQA, a public data set that the PyPI package `easy-vqa` carries (github.com/vzhou842/easy-VQA, MIT).

4,000 images and 38,575 questions to train on, 1,000 and 9,673 to test with. What its patches show nobody has labelled, so the tower's read-outs
learn nothing from it.
"""

import json
import random
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from data import Frame
from model import IMAGE, VISUAL_TOKENS

NAME = "easy-vqa"
# The last images of its training half are never trained on: the tests during training.
VALIDATION = 200


class EasyVqa:
    """One half of it, from the unpacked or installed package."""

    def __init__(self, package: Path, half: str = "train"):
        self.folder = package / "data" / half
        self.questions = defaultdict(list)
        for text, answer, image in json.loads((self.folder / "questions.json").read_text()):
            self.questions[image].append({"text": text, "answer": answer, "gold": [answer], "family": NAME})
        self.images = sorted(self.questions)

    def picture(self, image: int) -> Image.Image:
        return Image.open(self.folder / "images" / f"{image}.png").convert("RGB")

    def frame(self, image: int, planes: int, labels: int, shuffle: random.Random | None = None) -> Frame:
        questions = list(self.questions[image])
        if shuffle:
            shuffle.shuffle(questions)
        about = {"id": f"{NAME}/{image}", "scene": NAME, "questions": questions}
        # As the image processor brings it to the tower's size.
        pixels = np.asarray(self.picture(image).resize((IMAGE, IMAGE), Image.Resampling.BICUBIC))
        return Frame(about, pixels, np.zeros((planes, VISUAL_TOKENS), np.uint8), np.zeros(labels, np.uint8), labelled=False)


class EasyFrames:
    """Training images again and again, in another order each time, from the `start`-th on; without end. Takes the place of the world's frames."""

    def __init__(self, source: EasyVqa, header: dict, start: int, seed: int):
        self.source, self.start, self.seed = source, start, seed
        self.sizes = (len(header["planes"]), len(header["image_labels"]))

    def __iter__(self) -> Iterator[Frame]:
        images = self.source.images[:-VALIDATION]
        at = self.start
        while True:
            turn, place = divmod(at, len(images))
            shuffle = random.Random(f"{self.seed} {turn}")
            order = shuffle.sample(images, len(images))
            for image in order[place:]:
                yield self.source.frame(image, *self.sizes, shuffle)
                at += 1

    def close(self) -> None:
        pass


def held_out(source: EasyVqa, header: dict) -> list[Frame]:
    sizes = (len(header["planes"]), len(header["image_labels"]))
    return [source.frame(image, *sizes) for image in source.images[-VALIDATION:]]
