"""Writes a checkpoint folder in the published layout, as transformers itself saves it, in f16."""

import argparse
import copy
import json
from pathlib import Path

import torch
from transformers import GenerationConfig

from families import FAMILIES
from text import load_tokenizer, save_tokenizer

# Beside the weights: how they came about, for the model card and for runs that go on from them.
PROVENANCE = "training.json"


def export(family, model, tokenizer, folder: Path) -> None:
    """Weights, configuration, tokenizer, processor and chat template."""
    folder.mkdir(parents=True, exist_ok=True)
    half = copy.deepcopy(model).to("cpu", torch.float16)
    half.generation_config = GenerationConfig(
        do_sample=False,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    # Its parts say what they were loaded in, which is not what they are saved in.
    for part in half.config.sub_configs:
        getattr(half.config, part).dtype = None
    half.save_pretrained(folder)
    for file in folder.glob("*.safetensors"):
        file.chmod(0o644)
    family.save_processor(folder, tokenizer)
    save_tokenizer(tokenizer, folder)


def write_provenance(folder: Path, run: dict, before: Path | None) -> None:
    """Adds a run to those that led to the checkpoint it started from."""
    runs = []
    if before and (before / PROVENANCE).exists():
        runs = json.loads((before / PROVENANCE).read_text())["runs"]
    text = json.dumps({"runs": [*runs, run]}, indent=2, default=str, sort_keys=True)
    (folder / PROVENANCE).write_text(text + "\n")


def from_snapshot(snapshots: Path):
    """The mean weights of a run that is still under way, and its tokenizer."""
    state = torch.load(snapshots / "last.pt", map_location="cpu", weights_only=True)
    tokenizer = load_tokenizer(snapshots / "tokenizer")
    weights = state["average"]
    family = FAMILIES[state["family"]]
    model = family.build(family.shape_of(weights), tokenizer)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(weights[name])
    return family, model, tokenizer


def main() -> None:
    parser = argparse.ArgumentParser(description="Exports the last snapshot of a run that is still under way.")
    parser.add_argument("--snapshots", type=Path, default=Path("training/snapshots/steady-llava"))
    parser.add_argument("--out", type=Path, required=True, help="checkpoint folder to write")
    options = parser.parse_args()
    export(*from_snapshot(options.snapshots), options.out)


if __name__ == "__main__":
    main()
