"""What withdrawing all visual tokens at each layer does to the next token of the embedded LLaVA, with transformers' own layers.

    python crates/accel/tests/reference/make_search_cases.py

writes search_cases.json beside itself. It is the authors' search for VTW's layer (lzhxmu/VTW at a3d8cfc, `findk` in
`llava/model/language_model/VTW.py`), which is part of a forward pass of theirs that runs with one release of transformers alone: the same
`KLDivLoss(reduction="batchmean")` on the same two arguments, around layers as in make_reduced_answers.py. Theirs are in f16.
"""

import json

import torch
import transformers
from make_reduced_answers import CASES, HERE, PICTURES, ROOT, Asked, baseline
from transformers import LlavaForConditionalGeneration


def withdrawn(asked, layer):
    hidden, _ = asked.layers(range(layer), asked.whole(), range(asked.length))
    rows = asked.at([])
    return asked.logits(asked.layers(range(layer, asked.depth), hidden[rows], rows)[0])


def main():
    model = LlavaForConditionalGeneration.from_pretrained(ROOT / "models" / "steady-llava", dtype=torch.float32, attn_implementation="eager")
    divergence = torch.nn.KLDivLoss(reduction="batchmean")
    cases = json.loads((CASES / "cases.json").read_text())["cases"]
    rows = {}
    with torch.no_grad():
        for picture in PICTURES:
            asked = Asked(model.eval(), next(case for case in cases if case["id"] == picture))
            whole = torch.log_softmax(baseline(asked)[0][None], 1)
            of = lambda layer: float(divergence(whole, torch.softmax(withdrawn(asked, layer)[None], 1)))
            rows[picture] = {layer: of(layer) for layer in range(1, asked.depth)}
    versions = {"torch": torch.__version__, "transformers": transformers.__version__}
    (HERE / "search_cases.json").write_text(json.dumps({"versions": versions, "divergences": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
