"""Accuracy per family: quickly during training, and end to end on an exported checkpoint for its model card."""

import argparse
import json
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from PIL import Image

from card import write_card
from data import Batch, Frames
from easy_vqa import EasyVqa
from families import family_of

GREY = 128


@dataclass
class Scores:
    asked: Counter = field(default_factory=Counter)
    right: Counter = field(default_factory=Counter)

    def add(self, family: str, right: bool) -> None:
        self.asked[family] += 1
        self.right[family] += int(right)

    def __add__(self, other: "Scores") -> "Scores":
        return Scores(self.asked + other.asked, Counter({**self.right}) + other.right)

    def shares(self) -> dict[str, float]:
        """Share of right answers per family, and the mean over families."""
        shares = {family: self.right[family] / self.asked[family] for family in self.asked}
        shares["mean"] = sum(shares.values()) / len(shares)
        return {family: round(share, 4) for family, share in shares.items()}


def grey(batch: Batch) -> Batch:
    """The same questions about nothing."""
    return replace(batch, images=torch.full_like(batch.images, GREY))


def score_batch(model, batch: Batch, out: torch.Tensor) -> Scores:
    """An answer is right when each of its tokens, end included, is the likeliest after the right ones before it.

    That is when greedy decoding gives it word for word, at the price of one forward pass.
    """
    hit = (model.lm_head(out).argmax(-1) == batch.target) | (batch.target < 0)
    scores = Scores()
    for row, about in enumerate(batch.about):
        for number, question in enumerate(about["questions"]):
            scores.add(question["family"], bool(hit[row][batch.segment[row] == number].all()))
    return scores


def normal(text: str) -> str:
    return text.strip().lower().rstrip(".")


@torch.no_grad()
def evaluate(folder: Path, world: Path, per_family: int) -> dict:
    """Greedy answers of an exported checkpoint on the test suite, through its own processor, seeing and blind."""
    torch.manual_seed(0)
    family = family_of(json.loads((folder / "config.json").read_text()))
    model = family.Model.from_pretrained(folder, dtype=torch.float32).eval()
    processor = family.load_processor(folder)
    results = {}
    for name, blind in (("accuracy", False), ("blind", True)):
        scores, answers = Scores(), Counter()
        frames = Frames(world, "suite", "--per-family", str(per_family))
        for frame in frames:
            image = Image.new("RGB", (144, 144), (GREY,) * 3) if blind else Image.fromarray(frame.image)
            for question in frame.about["questions"]:
                reply = ask(model, processor, image, question["text"])
                scores.add(question["family"], normal(reply) in [normal(gold) for gold in question["gold"]])
                answers[normal(reply)] += 1
        frames.close()
        results[name] = scores.shares()
        results["questions"] = sum(scores.asked.values())
        results[f"{name}_frequent_answers"] = answers.most_common(8)
    return results


@torch.no_grad()
def evaluate_easy_vqa(folder: Path, package: Path, most: int | None) -> dict:
    """The same on easy-VQA's test half: on the questions about its first images, or about all."""
    family = family_of(json.loads((folder / "config.json").read_text()))
    model = family.Model.from_pretrained(folder, dtype=torch.float32).eval()
    processor = family.load_processor(folder)
    half = EasyVqa(package, "test")
    results = {}
    for name, blind in (("accuracy", False), ("blind", True)):
        scores = Scores()
        for image in half.images[:most]:
            picture = half.picture(image)
            if blind:
                picture = Image.new("RGB", picture.size, (GREY,) * 3)
            for question in half.questions[image]:
                reply = ask(model, processor, picture, question["text"])
                scores.add(question["family"], normal(reply) in question["gold"])
        results[name] = scores.shares()["mean"]
        results["questions"] = sum(scores.asked.values())
    return results


def ask(model, processor, image: Image.Image, question: str) -> str:
    content = [{"type": "image"}, {"type": "text", "text": question}]
    text = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    inputs = processor(images=image, text=text, return_tensors="pt")
    ids = model.generate(**inputs, max_new_tokens=8)
    return processor.tokenizer.decode(ids[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Scores an exported checkpoint on the test suite and writes its card.")
    parser.add_argument("--model", type=Path, default=Path("models/steady-llava"), help="checkpoint folder")
    parser.add_argument("--world", type=Path, required=True, help="the steady-world program")
    parser.add_argument("--per-family", type=int, default=100)
    parser.add_argument("--easy-vqa", type=Path, help="the unpacked package easy-vqa: its test half is asked too")
    parser.add_argument("--easy-images", type=int, metavar="N", help="questions about the first N images of that (default: all)")
    parser.add_argument("--card", action="store_true", help="write README.md into the checkpoint folder")
    options = parser.parse_args()
    results = evaluate(options.model, options.world, options.per_family)
    if options.easy_vqa:
        results["easy_vqa"] = evaluate_easy_vqa(options.model, options.easy_vqa, options.easy_images)
    print(json.dumps(results, indent=2))
    if options.card:
        (options.model / "evaluation.json").write_text(json.dumps(results, indent=2) + "\n")
        write_card(options.model, results)


if __name__ == "__main__":
    main()
