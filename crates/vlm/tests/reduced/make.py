"""Reference numbers for what token reducers see and do, computed with transformers' own layers.

    python crates/vlm/tests/reduced/make.py

writes reduced.json beside this file, from tests/reference/tiny-llava (torch and transformers as in
tests/reference/VERSIONS.json). A reduction before the decoder is a shorter `inputs_embeds`; one before layer k runs
layers 0..k on everything, gathers rows, and runs the rest, with the original or with new position ids.
"""

import json
from pathlib import Path

import torch
from transformers import LlavaForConditionalGeneration

HERE = Path(__file__).parent
REFERENCE = HERE.parents[3] / "tests" / "reference" / "tiny-llava"
CASE = "larger"
KEPT = [0, 3, 4, 9, 10, 11, 17, 25]
LAYER = 1


def load():
    model = LlavaForConditionalGeneration.from_pretrained(
        REFERENCE / "checkpoint", dtype=torch.float32, attn_implementation="eager"
    ).eval()
    cases = json.loads((REFERENCE / "cases.json").read_text())["cases"]
    return model, next(case for case in cases if case["id"] == CASE)


def pixels(case):
    from transformers import CLIPImageProcessorPil
    from transformers.image_utils import load_image

    processor = CLIPImageProcessorPil.from_pretrained(REFERENCE / "checkpoint")
    return processor(load_image(str(REFERENCE / "images" / case["image"])), return_tensors="pt")["pixel_values"]


def run_layers(model, layers, hidden, positions):
    """Eager layers under a causal mask; the attention of the last one, [heads, n, n]."""
    language = model.model.language_model
    n = hidden.shape[1]
    position_ids = torch.tensor([positions])
    mask = torch.full((n, n), float("-inf")).triu(1)[None, None]
    rotary = language.rotary_emb(hidden, position_ids)
    seen = {}
    for index in layers:
        layer = language.layers[index]
        hook = layer.self_attn.register_forward_hook(lambda _m, _i, out: seen.update(attention=out[1][0]))
        out = layer(hidden, attention_mask=mask, position_ids=position_ids, position_embeddings=rotary)
        hidden = out[0] if isinstance(out, tuple) else out
        hook.remove()
    return hidden, seen.get("attention")


def logits(model, hidden):
    return model.lm_head(model.model.language_model.norm(hidden))[0, -1]


@torch.no_grad()
def main():
    model, case = load()
    pixel_values = pixels(case)
    ids = torch.tensor(case["input_ids"])
    image = model.config.image_token_index if hasattr(model.config, "image_token_index") else model.config.image_token_id
    visual = (ids == image).nonzero()[:, 0].tolist()
    start, end = visual[0], visual[-1] + 1
    n = len(ids)

    # The tower: class token's attention and patch keys.
    tower = model.model.vision_tower
    keys, queries = {}, {}
    layers = [module for name, module in tower.named_modules() if name.endswith("self_attn.k_proj")]
    hooks = [
        layer.register_forward_hook(lambda _m, _i, out, at=at: keys.update({at: out[0]})) for at, layer in enumerate(layers)
    ]
    queried = [module for name, module in tower.named_modules() if name.endswith("self_attn.q_proj")]
    hooks += [
        layer.register_forward_hook(lambda _m, _i, out, at=at: queries.update({at: out[0]})) for at, layer in enumerate(queried)
    ]
    out = tower(pixel_values, output_hidden_states=True, output_attentions=True)
    for hook in hooks:
        hook.remove()
    cls = {str(at): out.attentions[at][0, :, 0, :].tolist() for at in (-1, -2)}
    features = torch.cat([out.hidden_states[at] for at in model.config.vision_feature_layer], dim=-1)[0]
    projected = model.model.multi_modal_projector(features)

    embeds = model.get_input_embeddings()(ids.clone().masked_fill(ids == image, 0))
    embeds[start:end] = projected
    depth = len(model.model.language_model.layers)
    everything = list(range(n))
    rows = [i for i in everything if not start <= i < end or i - start in KEPT]
    new = list(range(len(rows)))
    full, _ = run_layers(model, range(depth), embeds[None], everything)

    entering, attention = run_layers(model, range(LAYER), embeds[None], everything)
    # What the layer behind it would look at, if nothing were dropped before.
    _, own = run_layers(model, range(LAYER, LAYER + 1), entering, everything)
    before = embeds[rows][None]
    inside = entering[:, rows]

    def through(layers, hidden, positions):
        return logits(model, run_layers(model, layers, hidden, positions)[0]).tolist()

    values = {
        "case": CASE,
        "kept": KEPT,
        "layer": LAYER,
        "baseline": logits(model, full).tolist(),
        "before_renumber": through(range(depth), before, new),
        "before_keep": through(range(depth), before, rows),
        "inside_renumber": through(range(LAYER, depth), inside, new),
        "inside_keep": through(range(LAYER, depth), inside, rows),
        "withdrawn": through(
            range(LAYER, depth),
            entering[:, [i for i in everything if not start <= i < end]],
            [i for i in everything if not start <= i < end],
        ),
        "last_row_attention": attention[:, -1, start:end].mean(0).tolist(),
        "own_attention": own[:, -1, start:end].mean(0).tolist(),
        "text_attention": attention[:, end:, start:end].mean(0).tolist(),
        "class_projections_-1": [queries[len(layers) - 1][0].tolist(), keys[len(layers) - 1][0].tolist()],
        "before_row_1": embeds[1].tolist(),
        "behind_row_0": embeds[end].tolist(),
        "features_row_0": features[0].tolist(),
        "cls_attention": cls,
        "vision_keys_-2": keys[len(layers) - 2][0].tolist() if keys[0].dim() == 3 else keys[len(layers) - 2].tolist(),
        "features_row_5": features[5].tolist(),
        "projected_row_5": projected[5].tolist(),
        "entering_row_5": entering[0, start + 5].tolist(),
    }
    rounded = json.loads(json.dumps(values), parse_float=lambda text: round(float(text), 6))
    (HERE / "reduced.json").write_text(json.dumps(rounded) + "\n")


if __name__ == "__main__":
    main()
