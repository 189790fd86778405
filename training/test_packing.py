"""A packed question must give what the question alone gives: through transformers' own forward and own processor.

Run with `python training/test_packing.py --world target/release/steady-world`.
"""

import argparse
import tempfile
from pathlib import Path

import torch
from PIL import Image
from transformers import AutoProcessor, LlavaForConditionalGeneration

from data import Packer, stream
from export import export
from model import Shape, build, pool, read, see
from text import prompt, reply, train_tokenizer


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--world", type=Path, required=True, help="the steady-world program")
    world = parser.parse_args().world
    torch.manual_seed(1)
    frames = stream(world, 0, 40, 10)
    header, some = frames.header, list(frames)
    texts = [t for f in some for q in f.about["questions"] for t in (prompt(q["text"]), reply(q["answer"]))]
    tokenizer = train_tokenizer(["USER: "] * 9 + texts)
    model = build(Shape(), tokenizer)
    with tempfile.TemporaryDirectory() as folder:
        # The checkpoint is f16, so both sides read the rounded weights.
        export(model, tokenizer, Path(folder))
        model = LlavaForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
        processor = AutoProcessor.from_pretrained(folder)
    packer = Packer(processor.tokenizer, header["planes"], 200, 10)
    batch = packer.pack(some[:8])
    hidden = see(model, batch.pixels())
    opening = torch.tensor(packer.opening)
    packed, _ = read(model, hidden, opening, batch.ids, batch.positions, batch.mask(packer.prefix))
    packed = model.lm_head(packed)
    worst, asked = 0.0, 0
    for row, about in enumerate(batch.about):
        for number, question in enumerate(about["questions"]):
            content = [{"type": "image"}, {"type": "text", "text": question["text"]}]
            turns = [{"role": "user", "content": content}]
            text = processor.apply_chat_template(turns, add_generation_prompt=True)
            assert text == f"USER: <image>{prompt(question['text'])}", text
            image = Image.fromarray(some[row].image)
            single = processor(images=image, text=text + reply(question["answer"]), return_tensors="pt")
            at = (batch.segment[row] == number).nonzero().flatten()
            assert single["input_ids"][0, packer.prefix :].tolist() == batch.ids[row, at].tolist(), question
            assert (single["pixel_values"][0] - batch.pixels()[row]).abs().max() < 1e-5
            logits = model(**single).logits[0, packer.prefix :]
            worst = max(worst, (logits - packed[row, at]).abs().max().item())
            asked += 1
    tower = model.model.vision_tower(batch.pixels(), output_hidden_states=True)
    vision = (tower.hidden_states[-2] - hidden).abs().max().item()
    pooled = (tower.pooler_output - pool(model, hidden)).abs().max().item()
    print(f"{asked} questions: logits differ by at most {worst:.1e}, features by {vision:.1e}, pooled by {pooled:.1e}")
    assert max(worst, vision, pooled) < 1e-3


if __name__ == "__main__":
    main()
