"""transformers as a peer: one that answers, and the loop that people write to compare accelerations.

    python tests/peers/by_transformers.py answer MODEL PICTURE QUESTION
    python tests/peers/by_transformers.py loop MODEL QUESTIONS.csv
    python tests/peers/by_transformers.py suite MODEL STEADY_WORLD QUESTIONS

Each says `ready` and the number of tokens of its prompt, then reads a line and writes the seconds that its work took, until there are no more lines. `answer` reads the
number of tokens that its answer is to have; picture and prompt become inputs each time. `loop` and `suite` ask all their questions once, picture by picture and question by question
with nothing shared, as a loop over accelerations does for each of them.
"""

import csv
import sys
import time
from pathlib import Path

import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, LlavaProcessor

ROOT = Path(__file__).resolve().parents[2]
TRAINING = ROOT / "training"


class Model:
    def __init__(self, folder: str):
        self.model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval()
        self.processor = LlavaProcessor.from_pretrained(folder)

    def inputs(self, picture: Image.Image, question: str):
        content = [{"type": "image"}, {"type": "text", "text": question}]
        text = self.processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
        return self.processor(images=picture, text=text, return_tensors="pt")

    @torch.inference_mode()
    def answer(self, picture: Image.Image, question: str, **settings) -> str:
        inputs = self.inputs(picture, question)
        ids = self.model.generate(**inputs, do_sample=False, **settings)
        return self.processor.tokenizer.decode(ids[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)


def serve(prompt: int, work) -> None:
    print("ready", prompt, flush=True)
    for line in sys.stdin:
        start = time.perf_counter()
        work(line.strip())
        print(time.perf_counter() - start, flush=True)


def suite(world: str, questions: int) -> list[tuple[Image.Image, str]]:
    """The first so many of the embedded suite, an image's beside each other."""
    sys.path.insert(0, str(TRAINING))
    from data import Frames

    frames, asked = Frames(Path(world), "suite", "--per-family", "20"), []
    for frame in frames:
        asked += [(Image.fromarray(frame.image), question["text"]) for question in frame.about["questions"]]
        if len(asked) >= questions:
            break
    frames.close()
    return asked[:questions]


def main() -> None:
    task, folder, *rest = sys.argv[1:]
    model = Model(folder)
    if task == "answer":
        picture, question = Image.open(rest[0]).convert("RGB"), rest[1]
        prompt = model.inputs(picture, question)["input_ids"].shape[1]
        serve(prompt, lambda tokens: model.answer(picture, question, max_new_tokens=int(tokens), min_new_tokens=int(tokens)))
        return
    if task == "loop":
        table = Path(rest[0])
        with table.open() as file:
            asked = [(Image.open(table.parent / row["image"]).convert("RGB"), row["question"]) for row in csv.DictReader(file)]
        settings = {}
    else:
        asked, settings = suite(rest[0], int(rest[1])), {"max_new_tokens": 8}
    serve(len(asked), lambda _: [model.answer(picture, question, **settings) for picture, question in asked])


if __name__ == "__main__":
    main()
