"""The model card, written from what was measured and recorded; nothing in it is typed by hand."""

import json
from itertools import groupby
from pathlib import Path

from export import PROVENANCE
from families import family_of

CARD = """\
---
library_name: transformers
pipeline_tag: image-text-to-text
---

# {name}

A {type}-type vision-language model ({parameters:.2f} M parameters, f16) that answers short questions about the
procedurally drawn world of `steady-bench`. It was trained from random weights, {worlds}.
It exists so that `steady` can show what acceleration does to answers without downloading anything.

{build}

## Accuracy

{questions} questions of the pinned test suite (`steady-world suite`, {per_family} per family), greedy decoding in f32 of these f16 weights.
An answer counts when it equals the gold answer, but for case, outer spaces and a final full stop: a plain comparison in
Python, not the scorers of `steady-bench`. *Blind*: the image replaced by grey 128.

| family | accuracy | blind |
|---|---:|---:|
{rows}
| **mean** | **{mean:.1f} %** | **{blind_mean:.1f} %** |

Lowest family: {lowest} ({lowest_share:.1f} %). The mean is {gap:.1f} points above blind.
{easy}
## Training

| | |
|---|---|
{training}

Script and instructions: `training/`. Typed, in order, each from where the one before it stopped:

```sh
{commands}
```
"""


ON_BOTH_WORLDS = "on that world and on the training half of easy-VQA; it knows nothing else"
EASY = """
On {questions:,} questions of easy-VQA's test half (the PyPI package `easy-vqa`): {accuracy:.1f} %, blind {blind:.1f} %.
"""


def write_card(folder: Path, results: dict) -> None:
    config = json.loads((folder / "config.json").read_text())
    runs = json.loads((folder / PROVENANCE).read_text())["runs"]
    family = family_of(config)
    seeing, blind = results["accuracy"], results["blind"]
    families = [family for family in seeing if family != "mean"]
    easy = results.get("easy_vqa")
    worlds = ON_BOTH_WORLDS if easy else "on that world alone; it knows nothing else"
    rows = [f"| {family} | {100 * seeing[family]:.1f} % | {100 * blind[family]:.1f} % |" for family in families]
    lowest = min(families, key=seeing.get)
    facts = {
        "seeds": ", ".join(str(run["options"]["seed"]) for run in runs),
        "optimizer steps": total(runs, "steps"),
        "images, vision tower alone": total(runs, "vision_images"),
        "images, whole model": total(runs, "images"),
        "extra images of the hardest scenes": total(runs, "extra_images"),
        "images of easy-VQA": total(runs, "easy_images"),
        "questions": total(runs, "questions"),
        "wall time": f"{sum(run['progress']['seconds'] for run in runs) / 60:.0f} minutes",
        "device": "; ".join(dict.fromkeys(run["device"] for run in runs)),
        "optimizer": "Muon for the matrices inside the layers, AdamW for the rest; mean of the weights kept",
        "versions": "; ".join(dict.fromkeys(run["versions"] for run in runs)),
    }
    card = CARD.format(
        name=folder.name,
        parameters=runs[-1]["parameters"] / 1e6,
        type=family.TYPE,
        build=family.describe(config),
        questions=f"{results['questions']:,}",
        per_family=results["questions"] // len(families),
        rows="\n".join(rows),
        mean=100 * seeing["mean"],
        blind_mean=100 * blind["mean"],
        lowest=lowest,
        lowest_share=100 * seeing[lowest],
        gap=100 * (seeing["mean"] - blind["mean"]),
        worlds=worlds,
        easy=EASY.format(questions=easy["questions"], accuracy=100 * easy["accuracy"], blind=100 * easy["blind"]) if easy else "",
        training="\n".join(f"| {name} | {value} |" for name, value in facts.items()),
        commands="\n".join(commands(runs)),
    )
    (folder / "README.md").write_text(card)


def total(runs: list[dict], name: str) -> str:
    return f"{sum(run['progress'].get(name, 0) for run in runs):,}"


def commands(runs: list[dict]) -> list[str]:
    """What was typed; a command that was interrupted and given again is one."""
    sessions = [session for run in runs for session in run["progress"]["sessions"]]
    lines = []
    for arguments, given in groupby(sessions, key=lambda session: session["arguments"]):
        first, *again = [str(session["from_step"]) for session in given]
        interrupted = f", interrupted and given again at {', '.join(again)}" if again else ""
        typed = " ".join(["python training/train.py --world target/release/steady-world", *arguments])
        lines.append(f"{typed}  # from step {first}{interrupted}")
    return lines
