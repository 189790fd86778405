"""Frames from the world generator, and batches made of them: many questions of one image share one sequence."""

import json
import queue
import re
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch

from model import GRID, IMAGE, VISUAL_TOKENS
from readouts import Readouts
from text import Dialect

# CLIP's normalisation, as its image processor applies it.
MEAN = torch.tensor([0.48145466, 0.4578275, 0.40821073])
STD = torch.tensor([0.26862954, 0.26130258, 0.27577711])


@dataclass
class Frame:
    about: dict  # id, scene, questions
    image: np.ndarray  # [144, 144, 3] uint8
    planes: np.ndarray  # [planes, 144] class ids
    labels: np.ndarray  # [image labels]
    labelled: bool = True  # whether planes and labels say anything


class Frames:
    """Frames written by `steady-world`, with its header. An iterator; `close` ends the program."""

    def __init__(self, world: Path, *arguments: str):
        self.process = subprocess.Popen([str(world), *arguments], stdout=subprocess.PIPE)
        self.pipe = self.process.stdout
        line = self.pipe.readline()
        if not line:
            raise RuntimeError(f"{world} {' '.join(arguments)}: no header, exit status {self.process.wait()}")
        self.header = json.loads(line)
        found = (self.header["image_size"], self.header["grid"])
        if found != (IMAGE, GRID):
            raise RuntimeError(f"{world}: image size and grid are {found}, expected {(IMAGE, GRID)}")

    def __iter__(self) -> Iterator[Frame]:
        planes, labels = len(self.header["planes"]), len(self.header["image_labels"])
        while size := self.pipe.read(4):
            about = json.loads(self.pipe.read(int.from_bytes(size, "little")))
            pixels = IMAGE * IMAGE * 3
            body = np.frombuffer(self.pipe.read(pixels + planes * VISUAL_TOKENS + labels), np.uint8)
            yield Frame(
                about,
                body[:pixels].reshape(IMAGE, IMAGE, 3),
                body[pixels : pixels + planes * VISUAL_TOKENS].reshape(planes, VISUAL_TOKENS),
                body[pixels + planes * VISUAL_TOKENS :],
            )

    def close(self) -> None:
        self.process.kill()
        self.pipe.close()
        self.process.wait()


def stream(world: Path, start: int, count: int, questions: int, level: int = 2, families: str = "") -> Frames:
    """Images `start..start+count` of the training split; `families` (comma-separated) leaves out other kinds of scene."""
    numbers = {"start": start, "count": count, "questions": questions, "level": level}
    chosen = [f"--families={families}"] if families else []
    return Frames(world, "stream", "--split", "train", *(f"--{k}={v}" for k, v in numbers.items()), *chosen)


class Mentions:
    """Which patches carry what a question names, read off its words: every named attribute must fit.

    Deliberately free of grammar, but for "in the top left" and "on the left": of "the red circle above the star" it keeps red
    circles and red stars. Only an attention map is trained with it, never an answer.
    """

    REGION = re.compile(r"\b(?:(top|bottom) (left|right)|on the (left|right))\b")

    def __init__(self, planes: list[dict]):
        index = {plane["name"]: i for i, plane in enumerate(planes)}
        classes = {plane["name"]: plane["classes"] for plane in planes}
        self.words: dict[str, tuple[int, frozenset[int]]] = {}
        self.arrows = {"arrow", "arrows"}
        self.what = index["what"]

        def add(plane: str, word: str, fits) -> None:
            ids = frozenset(i for i, name in enumerate(classes[plane]) if i > 0 and fits(name))
            for form in (word, f"{word}s", f"{word}es"):
                self.words[form] = (index[plane], ids)

        after_shapes = classes["what"].index("plate")
        shapes = classes["what"][1:after_shapes]
        for word in [*shapes, "bar", "node", "nodule", "cavity", "fluid"]:
            add("what", word, lambda name, word=word: name == word)
        add("what", "arrow", lambda name: name.startswith("arrow"))
        add("what", "sign", lambda name: name.startswith("glyph"))
        for word in ("object", "thing"):
            add("what", word, lambda name: name in shapes)
        for plane in ("color", "size"):
            for word in classes[plane][1:]:
                add(plane, word, lambda name, word=word: name == word)

    def relevant(self, question: str, planes: np.ndarray) -> np.ndarray:
        """[patches] bool; all false when nothing is named or nothing fits."""
        asked = re.split(r"[.?\n]", question, maxsplit=1)[0].lower()
        named: dict[int, set[int]] = {}
        words = [word for word in re.findall(r"[a-z]+", asked) if word in self.words]
        if len(words) > 1:
            # "the arrow from red": the arrow itself has no colour, the node has.
            words = [word for word in words if word not in self.arrows]
        for word in words:
            plane, ids = self.words[word]
            named.setdefault(plane, set()).update(ids)
        region = self.REGION.search(asked)
        if not named and not region:
            return np.zeros(VISUAL_TOKENS, bool)
        fits = [np.isin(planes[plane], list(ids)) for plane, ids in named.items()] or [planes[self.what] > 0]
        if region:
            fits.append(half(region[1]) & half(region[2] or region[3]))
        return np.logical_and.reduce(fits)


def half(side: str | None) -> np.ndarray:
    """[patches] bool: the patches of a half of the image, or all."""
    rows, columns = np.divmod(np.arange(VISUAL_TOKENS), GRID)
    middle = GRID // 2
    halves = {"top": rows < middle, "bottom": rows >= middle, "left": columns < middle, "right": columns >= middle}
    return halves.get(side, np.ones(VISUAL_TOKENS, bool))


@dataclass
class Batch:
    """`n` question tokens per image, `k` question slots per image; unused slots point at token 0 and name nothing."""

    images: torch.Tensor  # [batch, 144, 144, 3] uint8
    planes: torch.Tensor  # [batch, planes, 144] uint8: the world's, then the derived ones
    labels: torch.Tensor  # [batch, image labels] uint8
    labelled: torch.Tensor  # [batch] bool: whether planes and labels say anything
    ids: torch.Tensor  # [batch, n]
    positions: torch.Tensor  # [batch, n]
    segment: torch.Tensor  # [batch, n] question number, -1 for padding
    target: torch.Tensor  # [batch, n] the next token where it belongs to an answer, else -100
    ends: torch.Tensor  # [batch, k] index of the last prompt token
    relevant: torch.Tensor  # [batch, k, patches] bool: what the question names
    option: torch.Tensor  # [batch, k, n] bool: the words of the right option, where there are options
    letter: torch.Tensor  # [batch, n] which option's words a token is part of, -1 for none
    about: list[dict]  # per image: id, scene, questions (only those that were packed)

    def to(self, device) -> "Batch":
        moved = {f.name: getattr(self, f.name) for f in fields(self)}
        return Batch(**{k: v.to(device) if torch.is_tensor(v) else v for k, v in moved.items()})

    def pixels(self) -> torch.Tensor:
        """[batch, 3, 144, 144], normalised as the image processor does."""
        mean, std = MEAN.to(self.images.device), STD.to(self.images.device)
        return ((self.images.float() / 255 - mean) / std).permute(0, 3, 1, 2).contiguous()

    def joined(self, other: "Batch") -> "Batch":
        """The images of both."""
        both = ((getattr(self, f.name), getattr(other, f.name)) for f in fields(self))
        return Batch(*(a + b if isinstance(a, list) else torch.cat([a, b]) for a, b in both))

    def own(self) -> torch.Tensor:
        """[batch, k, n] bool: the tokens of each question's prompt."""
        slots = torch.arange(self.ends.shape[1], device=self.ends.device)
        places = torch.arange(self.ids.shape[1], device=self.ends.device)
        return (self.segment[:, None] == slots[None, :, None]) & (places <= self.ends[..., None])

    def mask(self, prefix: int) -> torch.Tensor:
        """Additive [batch, 1, n, prefix + n]: a question token sees the prefix and its own question so far."""
        n = self.ids.shape[1]
        same = self.segment[:, :, None] == self.segment[:, None]
        seen = same & torch.ones(n, n, dtype=torch.bool, device=same.device).tril()
        mask = torch.zeros(len(self.ids), 1, n, prefix + n, device=same.device)
        mask[:, 0, :, prefix:].masked_fill_(~seen, float("-inf"))
        return mask


class Packer:
    """Turns frames into batches."""

    def __init__(self, tokenizer, family, planes: list[dict], length: int, slots: int):
        self.tokenizer, self.length, self.slots = tokenizer, length, slots
        self.dialect: Dialect = family.DIALECT
        self.mentions = Mentions(planes)
        self.end = tokenizer.eos_token_id
        self.opening = tokenizer(self.dialect.opening).input_ids  # begins with <s> where the family has one
        self.layout = family.layout(len(self.opening))
        self.prefix = self.layout.positions.shape[1]
        # The position that follows the image's.
        self.after = int(self.layout.positions.max()) + 1
        self.known: dict[str, list[int]] = {}
        self.breaks = self.tokens("\n")[0]
        self.letters = [self.tokens(f"\n{letter}.") for letter in "ABCD"]
        self.readouts = Readouts(planes)

    def tokens(self, text: str) -> list[int]:
        if text not in self.known:
            self.known[text] = self.tokenizer(text, add_special_tokens=False).input_ids
        return self.known[text]

    def options(self, asked: list[int]) -> list[slice]:
        """Where the prompt spells its options A, B, ..; empty when it has none."""
        found = []
        for begins in self.letters:
            size = len(begins)
            for start in range(size, len(asked)):
                if asked[start - size : start] == begins:
                    found.append(slice(start, asked.index(self.breaks, start)))
        return found

    def pack(self, frames: list[Frame]) -> Batch:
        """As many of each image's questions as fit, in their order."""
        size, n, k = len(frames), self.length, self.slots
        ids = np.full((size, n), self.tokenizer.pad_token_id, np.int64)
        positions = np.full((size, n), self.after, np.int64)
        segment = np.full((size, n), -1, np.int64)
        target = np.full((size, n), -100, np.int64)
        ends = np.zeros((size, k), np.int64)
        relevant = np.zeros((size, k, VISUAL_TOKENS), bool)
        option = np.zeros((size, k, n), bool)
        letter = np.full((size, n), -1, np.int64)
        about = []
        for row, frame in enumerate(frames):
            at, packed = 0, []
            for question in frame.about["questions"][:k]:
                asked = self.tokens(self.dialect.prompt(question["text"]))
                # The end token is only ever predicted, so it takes no place.
                said = self.tokens(self.dialect.reply(question["answer"]))
                stop = at + len(asked) + len(said)
                if stop > n:
                    break
                ids[row, at:stop] = asked + said
                positions[row, at:stop] = self.after + np.arange(stop - at)
                segment[row, at:stop] = len(packed)
                last = at + len(asked) - 1
                target[row, last:stop] = said + [self.end]
                ends[row, len(packed)] = last
                relevant[row, len(packed)] = self.mentions.relevant(question["text"], frame.planes)
                for number, words in enumerate(self.options(asked)):
                    words = slice(at + words.start, at + words.stop)
                    letter[row, words] = number
                    option[row, len(packed), words] = question["answer"] == "abcd"[number]
                packed.append(question)
                at = stop
            about.append({**frame.about, "questions": packed})
        arrays = [ids, positions, segment, target, ends, relevant, option, letter]
        planes = [np.concatenate([f.planes, self.readouts.of(f.planes)]) for f in frames]
        stacked = [np.stack([f.image for f in frames]), np.stack(planes), np.stack([f.labels for f in frames])]
        stacked.append(np.array([f.labelled for f in frames]))
        return Batch(*(torch.from_numpy(a) for a in stacked + arrays), about)


def batches(frames: Frames, packer: Packer, size: int, ahead: int = 4) -> Iterator[Batch]:
    """Full batches, made by a thread that stays a few ahead. Closing the iterator ends the world program."""
    ready: queue.Queue = queue.Queue(ahead)
    stopped = threading.Event()

    def put(item) -> None:
        while not stopped.is_set():
            try:
                return ready.put(item, timeout=0.2)
            except queue.Full:
                continue

    def work() -> None:
        try:
            group = []
            for frame in frames:
                group.append(frame)
                if len(group) == size:
                    put(packer.pack(group))
                    group = []
                if stopped.is_set():
                    return
            put(None)
        except Exception as error:  # handed to the reader, which raises it
            put(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, Exception):
                raise item
            yield item
    finally:
        stopped.set()
        thread.join()
        frames.close()
