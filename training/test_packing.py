"""A packed question must give what the question alone gives: through transformers' own forward and own processor.

Run with `python training/test_packing.py --world target/release/steady-world`.
"""

import argparse
import tempfile
from pathlib import Path

import torch
from PIL import Image

from data import Packer, stream
from export import export
from families import FAMILIES
from model import Shape, read
from text import train_tokenizer


@torch.no_grad()
def compare(family, header: dict, some: list) -> float:
    torch.manual_seed(1)
    dialect = family.DIALECT
    asked = [q for f in some for q in f.about["questions"]]
    texts = [t for q in asked for t in (dialect.opening, dialect.prompt(q["text"]), dialect.reply(q["answer"]))]
    tokenizer = train_tokenizer(texts, dialect)
    model = family.build(Shape(family.VISION_WIDTH), tokenizer)
    with tempfile.TemporaryDirectory() as folder:
        # The checkpoint is f16, so both sides read the rounded weights.
        export(family, model, tokenizer, Path(folder))
        model = family.Model.from_pretrained(folder, dtype=torch.float32).eval()
        processor = family.load_processor(Path(folder))
    packer = Packer(processor.tokenizer, family, header["planes"], 200, 10)
    batch = packer.pack(some[:8])
    seen = family.see(model, batch.pixels())
    opening = torch.tensor(packer.opening)
    mask = batch.mask(packer.prefix)
    packed, _ = read(model, seen.visual(), opening, packer.layout, batch.ids, batch.positions, mask)
    packed = model.lm_head(packed)
    worst, asked = 0.0, 0
    for row, about in enumerate(batch.about):
        for number, question in enumerate(about["questions"]):
            content = [{"type": "image"}, {"type": "text", "text": question["text"]}]
            turns = [{"role": "user", "content": content}]
            text = processor.apply_chat_template(turns, add_generation_prompt=True)
            assert text == f"{dialect.opening}{dialect.image}{dialect.prompt(question['text'])}", text
            image = Image.fromarray(some[row].image)
            single = processor(images=image, text=text + dialect.reply(question["answer"]), return_tensors="pt")
            at = (batch.segment[row] == number).nonzero().flatten()
            assert single["input_ids"][0, packer.prefix :].tolist() == batch.ids[row, at].tolist(), question
            right = processor.tokenizer.decode(batch.ids[row][batch.option[row, number]]).strip()
            letter = question["answer"].upper()
            assert not right or f"\n{letter}. {right}\n" in question["text"], (question, right)
            assert right or "\nA. " not in question["text"], question
            logits = model(**single).logits[0, packer.prefix :]
            worst = max(worst, (logits - packed[row, at]).abs().max().item())
            asked += 1
    summed = sum(p.numel() for p in model.parameters())
    print(f"{family.NAME}: {summed:,} parameters, {asked} questions, logits differ by at most {worst:.1e}")
    if seen.summary:
        tower = model.model.vision_tower(batch.pixels(), output_hidden_states=True)
        features = (tower.hidden_states[-2][:, 1:] - seen.features).abs().max().item()
        pooled = (tower.pooler_output - seen.summary()).abs().max().item()
        print(f"features differ by at most {features:.1e}, pooled by {pooled:.1e}")
        worst = max(worst, features, pooled)
    return worst


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--world", type=Path, required=True, help="the steady-world program")
    world = parser.parse_args().world
    frames = stream(world, 0, 40, 10)
    header, some = frames.header, list(frames)
    for family in FAMILIES.values():
        assert compare(family, header, some) < 1e-3


if __name__ == "__main__":
    main()
