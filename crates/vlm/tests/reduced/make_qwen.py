"""What a reducer is shown of the vision towers without a class token, computed from transformers' own blocks.

    python crates/vlm/tests/reduced/make_qwen.py

writes qwen.json beside this file, from the tiny checkpoints in tests/reference (torch and transformers as in tests/reference/VERSIONS.json).
The block is the last but one of Qwen2-VL, as in EffiVLM-Bench, and the last of Qwen2.5-VL, as in LightCompress, whose patches go back from
windows into the image's order. Attention received is the mean over heads, queries and the four patches of a visual token; so are keys.
"""

import importlib
import json
import sys
from pathlib import Path

import torch
from PIL import Image

HERE = Path(__file__).parent
REFERENCE = HERE.parents[3] / "tests" / "reference"
sys.path.insert(0, str(REFERENCE))
import qwen_cases  # noqa: E402

BLOCKS = {"tiny-qwen2-vl": -2, "tiny-qwen2_5-vl": -1}


def window_order(rows, columns, side):
    """The visual tokens of an image window by window, as Qwen2.5-VL's tower has them; not taken from it, so that it is a second opinion."""
    windows = ((top, left) for top in range(0, rows, side) for left in range(0, columns, side))
    cells = ((row, column) for top, left in windows for row in range(top, min(top + side, rows)) for column in range(left, min(left + side, columns)))
    return torch.tensor([row * columns + column for row, column in cells])


@torch.no_grad()
def seen(name, block):
    folder = REFERENCE / name
    model, processor = qwen_cases.reference(folder / "published")
    case = next(case for case in json.loads((folder / "published.json").read_text())["cases"] if case["id"] == "wide-question")
    image = Image.open(folder / "images" / case["images"][0]).convert("RGB")
    inputs = processor(images=[image], text=[case["prompt"]], return_tensors="pt")
    attention, caught = model.model.visual.blocks[block].attn, {}
    hooks = [
        attention.qkv.register_forward_hook(lambda _m, _i, out: caught.update(qkv=out)),
        attention.register_forward_pre_hook(lambda _m, _a, kwargs: caught.update(kwargs), with_kwargs=True),
    ]
    model.model.visual(inputs["pixel_values"], grid_thw=inputs["image_grid_thw"])
    for hook in hooks:
        hook.remove()
    rotate = importlib.import_module(type(attention).__module__).apply_rotary_pos_emb_vision
    heads, patches = attention.num_heads, caught["qkv"].shape[0]
    q, k, _ = caught["qkv"].reshape(patches, 3, heads, -1).permute(1, 0, 2, 3).unbind(0)
    q, k = (x.transpose(0, 1) for x in rotate(q, k, *caught["position_embeddings"]))
    received = ((q @ k.transpose(1, 2)) * q.shape[-1] ** -0.5).softmax(-1).mean((0, 1)).view(-1, 4).mean(1)
    keys = k.transpose(0, 1).reshape(-1, 4, q.shape[-1] * heads).mean(1)
    if (side := getattr(model.config.vision_config, "window_size", 0)) > 0:
        back = torch.argsort(window_order(*(size // 2 for size in inputs["image_grid_thw"][0, 1:].tolist()), side // 2 // 14))
        received, keys = received[back], keys[back]
    rounded = [[round(float(x), 6) for x in row] for row in keys]
    return {"heads": heads, "received": [round(float(x), 8) for x in received], "keys": rounded}


if __name__ == "__main__":
    (HERE / "qwen.json").write_text(json.dumps({name: seen(name, block) for name, block in BLOCKS.items()}) + "\n")
