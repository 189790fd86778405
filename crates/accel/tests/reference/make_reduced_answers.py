"""First-token logits of the embedded LLaVA and LLaVA-NeXT under token reducers, with transformers' own layers and the authors' own selection.

    python crates/accel/tests/reference/make_reduced_answers.py SOURCES

writes reduced_answers.json beside itself. SOURCES as in make_reducer_cases.py, from which the cut-out functions come. What no repository has as a
function that can be cut out (the top of a list, a greedy choice) is written here, in a few lines and otherwise than in Rust.
"""

import json
import math
import pathlib
import sys
import types

import numpy as np
import torch
from make_reducer_cases import HERE, cut, openvino
from PIL import Image
from transformers import CLIPImageProcessorPil, LlavaForConditionalGeneration, LlavaNextForConditionalGeneration

ROOT = HERE.parents[3]
CASES = ROOT / "tests" / "reference" / "steady-llava"
PICTURES = ["world-0", "world-3", "world-6"]
NEXT_PICTURES = ["world-0", "wide"]
KEEP = 48
# Every so many logits are committed.
STRIDE = 16


class Asked:
    """One prompt about one picture, on its way through the model."""

    def __init__(self, model, case):
        self.model, self.language = model, model.model.language_model
        processor = CLIPImageProcessorPil.from_pretrained(ROOT / "models" / "steady-llava")
        self.pixels = processor(Image.open(CASES / "images" / case["image"]).convert("RGB"), return_tensors="pt")["pixel_values"]
        ids = torch.tensor(case["input_ids"])
        visual = ids == model.config.image_token_id
        self.start, self.n, self.length = int(visual.nonzero()[0]), int(visual.sum()), len(ids)
        self.end = self.start + self.n
        seen = {}
        tower = model.model.vision_tower
        hooks = [
            getattr(layer.self_attn, name).register_forward_hook(lambda _m, _i, out, at=(name, at): seen.update({at: out}))
            for at, layer in enumerate(tower.vision_model.encoder.layers if hasattr(tower, "vision_model") else tower.encoder.layers)
            for name in ("q_proj", "k_proj")
        ]
        self.out = tower(self.pixels, output_hidden_states=True, output_attentions=True)
        for hook in hooks:
            hook.remove()
        self.q = [seen[("q_proj", at)] for at in range(len(hooks) // 2)]
        self.k = [seen[("k_proj", at)] for at in range(len(hooks) // 2)]
        self.heads = model.config.vision_config.num_attention_heads
        self.features = self.out.hidden_states[-2][:, 1:]
        embeds = model.get_input_embeddings()(ids.clone().masked_fill(visual, 0))
        self.before, self.behind = embeds[: self.start], embeds[self.end :]
        self.projected = self.project(self.features[0])

    def project(self, features):
        return self.model.model.multi_modal_projector(features)

    def layers(self, which, hidden, positions):
        """Eager layers under a causal mask, and the attention of the last of them, [heads, n, n]."""
        n, seen = hidden.shape[0], {}
        mask = torch.full((n, n), float("-inf")).triu(1)[None, None]
        places = torch.tensor([positions])
        rotary = self.language.rotary_emb(hidden[None], places)
        hidden = hidden[None]
        for index in which:
            layer = self.language.layers[index]
            hook = layer.self_attn.register_forward_hook(lambda _m, _i, out: seen.update(attention=out[1][0]))
            out = layer(hidden, attention_mask=mask, position_ids=places, position_embeddings=rotary)
            hidden = out[0] if isinstance(out, tuple) else out
            hook.remove()
        return hidden[0], seen.get("attention")

    @property
    def depth(self):
        return len(self.language.layers)

    def logits(self, hidden):
        return self.model.lm_head(self.language.norm(hidden))[-1]

    def shortened(self, visual, positions=None):
        """The answer to the prompt with these visual tokens in it."""
        hidden = torch.cat([self.before, visual, self.behind])
        positions = list(range(len(hidden))) if positions is None else positions
        return self.logits(self.layers(range(self.depth), hidden, positions)[0])

    def at(self, kept):
        """Positions of the prompt when these visual tokens keep theirs."""
        return [*range(self.start), *(self.start + i for i in kept), *range(self.end, self.length)]

    def whole(self):
        return torch.cat([self.before, self.projected, self.behind])


def top(scores, count):
    return sorted(torch.sort(scores, descending=True, stable=True).indices[:count].tolist())


def first_of_equals(x, k, dim, largest=True):
    """torch.topk, which of equal values takes any, with the lower index first."""
    values, indices = torch.sort(x, dim=dim, descending=largest, stable=True)
    return values.narrow(dim, 0, k), indices.narrow(dim, 0, k)


def baseline(asked):
    return asked.shortened(asked.projected), asked.n


def rounded_otherwise(features):
    """The same in f64, and as another order of the tower's sums might leave it: eight times a unit in the last place off, at random."""
    yield features.double()
    for seed in range(4):
        noise = torch.rand(features.shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1
        yield features * (1 + 2**-20 * noise)


def mask(sources, repository, keep, features, more):
    """The authors' mask of what stays, `keep` of each view, and whether rounding has no part in it."""
    (encode,) = cut(sources / repository / "llava/model/llava_arch.py", "encode_images", torch=torch)

    def chosen(features):
        shown = (features, *(x.to(features.dtype) for x in more))
        model = types.SimpleNamespace(get_vision_tower=lambda: lambda *_a, **_k: shown, mm_projector=lambda x: x)
        this = types.SimpleNamespace(
            get_model=lambda: model, get_visual_token_num=lambda: keep, get_important_ratio=lambda: 0.5, visual_token_num=keep
        )
        return encode(this, None)[1]

    kept = chosen(features)
    return kept, all(bool((kept == chosen(other)).all()) for other in rounded_otherwise(features))


def masks(repository, more):
    def answer(asked, sources):
        features = asked.features if repository != "CDPruner" else asked.projected[None]
        kept, sure = mask(sources, repository, KEEP, features, more(asked))
        return asked.shortened(asked.projected[kept[0]]), KEEP, sure

    return answer


def class_attention(asked):
    return (asked.out.attentions[-2][:, :, 0, 1:],)


def question(asked):
    text = torch.cat([asked.before, asked.behind]).mean(0, keepdim=True)
    return asked.projected[None], -text


def visionzip(asked, sources):
    (forward,) = cut(sources / "VisionZip/visionzip/clip_encoder.py", "forward", torch=torch)
    n = asked.n + 1
    metric = asked.k[-2].view(1, n, asked.heads, -1).transpose(1, 2).mean(1)

    class Tower:
        _info = {"dominant": 40 - 1, "contextual": 8}  # 48 in the proportion of 27 to 5, rounded
        vision_model = types.SimpleNamespace(encoder=types.SimpleNamespace(layers=[types.SimpleNamespace(metric=metric), None]))

        def __call__(self, *_args, **_kwargs):
            return asked.out

    tower = types.SimpleNamespace(vision_tower=Tower(), device="cpu", dtype=torch.float32)
    rows, _ = forward(tower, asked.pixels)
    return asked.shortened(asked.project(rows[0])), KEEP


def holov(asked, sources):
    (select,) = cut(sources / "HoloV/llava/model/utils.py", "HoloV", torch=torch)
    seen = asked.out.attentions[-2][:, :, 0, 1:].mean(dim=1).float()
    return asked.shortened(select(asked.projected[None], seen, num_patches=16, new_image_token_num=KEEP)[0]), KEEP


def prumerge(asked, sources):
    path = sources / "LLaVA-PruMerge/llava/model/multimodal_encoder/clip_encoder.py"
    import torch.nn.functional as F

    names = ["complement_idx", "hook_k", "hook_q", "outlier_dectection", "token_prune_merge_advanced"]
    *_, method = cut(path, *names, torch=torch, F=F, np=np, outputs={})
    k_proj, q_proj = torch.nn.Identity(), torch.nn.Identity()
    layer = types.SimpleNamespace(self_attn=types.SimpleNamespace(k_proj=k_proj, q_proj=q_proj))

    class Tower:
        # Theirs counts on 24 layers.
        vision_model = types.SimpleNamespace(encoder=types.SimpleNamespace(layers=[None] * 23 + [layer]))

        def __call__(self, *_args, **_kwargs):
            k_proj(asked.k[-1]), q_proj(asked.q[-1])
            return asked.out

    tower = types.SimpleNamespace(vision_tower=Tower(), device="cpu", dtype=torch.float32, select_layer=-2)
    tower.feature_select = lambda out: out.hidden_states[-2][:, 1:]
    rows = method(tower, asked.pixels)[0]
    return asked.shortened(asked.project(rows)), len(rows)


def fastv(asked, _sources):
    hidden, attention = asked.layers(range(2), asked.whole(), range(asked.length))
    kept = top(attention.mean(0)[-1, asked.start : asked.end], asked.n // 2)
    rows = asked.at(kept)
    return asked.logits(asked.layers(range(2, asked.depth), hidden[rows], rows)[0]), (2 * asked.n + (asked.depth - 2) * asked.n // 2) / asked.depth


def divprune(asked, _sources):
    unit = torch.nn.functional.normalize(asked.projected, dim=-1)
    distance = 1 - unit @ unit.T
    kept = [int(distance.fill_diagonal_(9).min(0).values.argmax())]
    while len(kept) < KEEP:
        nearest = distance[kept].min(0).values
        nearest[kept] = -1
        kept.append(int(nearest.argmax()))
    return asked.shortened(asked.projected[sorted(kept)]), KEEP


def halves(asked, _sources):
    text = torch.cat([asked.before, asked.behind]).mean(0, keepdim=True).numpy()
    half = asked.n // 2

    def chosen(visual):
        visual = visual.numpy()
        parts = [openvino(part, text.astype(visual.dtype), KEEP // 2) for part in (visual[:half], visual[half:])]
        return parts[0] + [half + i for i in parts[1]]

    kept = chosen(asked.projected)
    return asked.shortened(asked.projected[kept]), KEEP, all(kept == chosen(other) for other in rounded_otherwise(asked.projected))


def dart(asked, _sources):
    keep, text = asked.n // 2, torch.cat([asked.before, asked.behind])
    pivots = asked.projected.abs().sum(-1).topk(4).indices.tolist()
    kept = list(pivots)
    rows = [asked.projected[i] for i in pivots] + [text[i] for i in text.abs().sum(-1).topk(4).indices]
    for at, pivot in enumerate(rows):
        alike = torch.nn.functional.cosine_similarity(pivot[None], asked.projected)
        alike[kept] = 9
        kept += alike.argsort()[: -(-(keep - len(kept)) // (8 - at))].tolist()
    kept = sorted(kept)
    return asked.shortened(asked.projected[kept], asked.at(kept)), keep


def pyramiddrop(asked, _sources):
    hidden, n, seen = asked.whole(), asked.n, 0
    for layer in range(asked.depth):
        positions = list(range(len(hidden)))
        if layer > 0:
            # The layer is run to look at it, and then again on what is left.
            _, attention = asked.layers([layer], hidden, positions)
            kept = top(attention.mean(0)[-1, asked.start : asked.start + n], int(asked.n * 0.5**layer))
            hidden = torch.cat([hidden[: asked.start], hidden[[asked.start + i for i in kept]], hidden[asked.start + n :]])
            n = len(kept)
        hidden, _ = asked.layers([layer], hidden, list(range(len(hidden))))
        seen += n
    return asked.logits(hidden), seen / asked.depth


def sparsevlm(asked, sources):
    folder = sources / "SparseVLMs/llava/model/language_model"
    score = {}
    exec(compile((folder / "score.py").read_text(), "score.py", "exec"), score)
    patterns = {"b l r -> b l () r": lambda x: x[:, :, None], "b l r -> b () l r": lambda x: x[:, None]}
    einops = types.SimpleNamespace(rearrange=lambda x, pattern: patterns[pattern](x))
    # In f64 densities differ, and their noise on them, which would decide alone where all are tiny, is taken away.
    silent = types.SimpleNamespace(topk=first_of_equals, arange=torch.arange, rand=torch.zeros)
    (points,) = cut(folder / "utils.py", "index_points", torch=torch)
    (cluster,) = cut(folder / "utils.py", "cluster_and_merge", torch=silent, ein=einops, index_points=points)
    m_v_t = (asked.projected @ asked.behind.T).softmax(1).mean(0)[None]
    raters = torch.where(m_v_t > m_v_t.mean())
    # 300, 200 and 110 of 576, of this many.
    score["sparse_token_dict"][192] = [round(count * asked.n / 576) for count in (300, 200, 110)]
    hidden, n, seen = asked.whole(), asked.n, asked.n
    for layer in range(3):
        hidden, attention = asked.layers([layer], hidden, list(range(len(hidden))))
        mask, _, relation = score["attn_postprocess_topk"](attention[None], asked.start, n, asked.start + n, raters, (2, 6, 15)[layer])
        states = hidden[asked.start : asked.start + n]
        gone = torch.where(mask == 0)[1]
        count = int(gone.shape[0] * 0.3) + 1
        recycled = states[gone][relation[0][gone].topk(count)[1]]
        merged = cluster(recycled[None].double(), int(count / 10) + 1)[0].float()
        visual = torch.cat([states[mask[0]], merged])
        hidden = torch.cat([hidden[: asked.start], visual, hidden[asked.start + n :]])
        n = len(visual)
        seen += n
    hidden, _ = asked.layers([3], hidden, list(range(len(hidden))))
    return asked.logits(hidden), seen / asked.depth


def vtw(asked, _sources):
    hidden, _ = asked.layers(range(2), asked.whole(), range(asked.length))
    rows = asked.at([])
    return asked.logits(asked.layers(range(2, asked.depth), hidden[rows], rows)[0]), asked.n / 2


def tome(asked, sources):
    from typing import Callable, Tuple

    namespace = dict(torch=torch, math=math, Callable=Callable, Tuple=Tuple)
    match, weighted = cut(sources / "ToMe/tome/merge.py", "bipartite_soft_matching", "merge_wavg", **namespace)
    tower = asked.model.model.vision_tower
    vision = tower.vision_model if hasattr(tower, "vision_model") else tower
    x, size = vision.pre_layrnorm(vision.embeddings(asked.pixels)), None
    layers = vision.encoder.layers[:-1]
    for layer in layers:
        attention, n = layer.self_attn, x.shape[1]
        normed = layer.layer_norm1(x)
        q, k, v = (p(normed).view(1, n, asked.heads, -1).transpose(1, 2) for p in (attention.q_proj, attention.k_proj, attention.v_proj))
        # Their proportional attention.
        scores = q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5
        scores = scores if size is None else scores + size.log()[:, None, None, :, 0]
        x = x + attention.out_proj((scores.softmax(-1) @ v).transpose(1, 2).reshape(1, n, -1))
        # 144 to 48 in four blocks.
        merge, _ = match(k.mean(1), (asked.n - KEEP) // len(layers), class_token=True)
        x, size = weighted(merge, x, size)
        x = x + layer.mlp(layer.layer_norm2(x))
    return asked.shortened(asked.project(x[0, 1:])), KEEP


def lofi(asked, _sources):
    left, lengths, _ = np.linalg.svd(asked.projected.double().numpy(), full_matrices=False)
    held = np.cumsum(lengths**2) / (lengths**2).sum()
    rank = int(np.searchsorted(held, 0.9)) + 1
    kept = sorted(np.argsort(-(left[:, :rank] ** 2).sum(1), kind="stable")[:KEEP].tolist())
    return asked.shortened(asked.projected[kept]), KEEP


def blur(asked, _sources):
    size = asked.pixels.shape[-1]
    smaller = torch.nn.functional.interpolate(asked.pixels, size=size // 2, mode="area")
    pixels = torch.nn.functional.interpolate(smaller, size=size, mode="bilinear", align_corners=False)
    states = asked.model.model.vision_tower(pixels, output_hidden_states=True).hidden_states[-2]
    return asked.shortened(asked.project(states[0, 1:])), asked.n


def blind(asked, _sources):
    return asked.shortened(asked.projected[:0]), 0


class AskedNext(Asked):
    """A prompt about one picture in several views, whose visual tokens are not joined as LLaVA-NeXT joins them but as the authors do."""

    def __init__(self, model, case):
        from transformers import LlavaNextImageProcessorPil
        from transformers.models.llava_next.modeling_llava_next import get_anyres_image_grid_shape

        self.model, self.language = model, model.model.language_model
        folder = ROOT / "models" / "steady-llava-next"
        image = Image.open(NEXT / "images" / case["image"]).convert("RGB")
        inputs = LlavaNextImageProcessorPil.from_pretrained(folder)(image, return_tensors="pt")
        self.pixels = inputs["pixel_values"][0]
        ids = torch.tensor(case["input_ids"])
        visual = ids == model.config.image_token_id
        self.start, self.n, self.length = int(visual.nonzero()[0]), int(visual.sum()), len(ids)
        self.end = self.start + self.n
        keys, tower = {}, model.model.vision_tower
        layers = tower.vision_model.encoder.layers if hasattr(tower, "vision_model") else tower.encoder.layers
        hook = layers[-2].self_attn.k_proj.register_forward_hook(lambda _m, _i, out: keys.update(k=out))
        self.out = tower(self.pixels, output_hidden_states=True, output_attentions=True)
        hook.remove()
        self.k = [keys["k"], None]
        self.heads = model.config.vision_config.num_attention_heads
        self.features = self.out.hidden_states[-2][:, 1:]
        embeds = model.get_input_embeddings()(ids.clone().masked_fill(visual, 0))
        self.before, self.behind = embeds[: self.start], embeds[self.end :]
        side = model.config.vision_config.image_size
        self.tiles = get_anyres_image_grid_shape(inputs["image_sizes"][0], model.config.image_grid_pinpoints, side)
        self.grid = side // model.config.vision_config.patch_size

    def joined(self, features, mask):
        """The branch without padding of `prepare_inputs_labels_for_multimodal`, which three repositories by one author share."""
        features, (high, wide), side = self.project(features), self.tiles, self.grid
        tiles = features[1:].view(high, wide, side, side, -1).permute(0, 2, 1, 3, 4).flatten(0, 3)
        seen = mask[1:].view(high, wide, side, side).permute(0, 2, 1, 3).flatten(0, 3)
        return torch.cat([features[0][mask[0]], tiles[seen]])


def next_masks(repository, more):
    def answer(asked, sources):
        kept, sure = mask(sources, repository, 16, asked.features, more(asked))
        return asked.shortened(asked.joined(asked.features, kept)), int(kept.sum()), sure

    return answer


def next_visionzip(asked, sources):
    (forward,) = cut(sources / "VisionZip/visionzip/clip_encoder.py", "forward", torch=torch)
    views, n = asked.features.shape[0], asked.features.shape[1]
    metric = asked.k[0].view(views, n + 1, asked.heads, -1).transpose(1, 2).mean(1)

    class Tower:
        _info = {"dominant": 14 - 1, "contextual": 2}  # 16 in the proportion of 27 to 5, rounded: 2.5 to the even 2
        vision_model = types.SimpleNamespace(encoder=types.SimpleNamespace(layers=[types.SimpleNamespace(metric=metric), None]))

        def __call__(self, *_args, **_kwargs):
            return asked.out

    tower = types.SimpleNamespace(vision_tower=Tower(), device="cpu", dtype=torch.float32)
    rows, indices = forward(tower, asked.pixels)
    rows, kept = asked.project(rows), (indices.sort(1).values[:, 1:] - 1)
    # `restore_image_features_sorted`, which is written for 24 by 24 patches: what tiles keep as it is read, then their class tokens, then context.
    mask = torch.zeros(views - 1, n, dtype=torch.bool).scatter_(1, kept[1:], True)
    (high, wide), side = asked.tiles, asked.grid
    whole = torch.zeros(views - 1, n, rows.shape[-1])
    whole[mask] = rows[1:, 1:14].reshape(-1, rows.shape[-1])
    read = whole.view(high, wide, side, side, -1).permute(0, 2, 1, 3, 4).flatten(0, 3)
    seen = mask.view(high, wide, side, side).permute(0, 2, 1, 3).flatten(0, 3)
    visual = torch.cat([rows[0], read[seen], rows[1:, 0], rows[1:, 14:].reshape(-1, rows.shape[-1])])
    return asked.shortened(visual), len(visual)


NEXT = ROOT / "tests" / "reference" / "steady-llava-next"
NEXT_METHODS = {
    "fastervlm:keep=16": next_masks("FasterVLM", class_attention),
    "vispruner:keep=16": next_masks("VisPruner", class_attention),
    "visionzip:keep=16": next_visionzip,
}

METHODS = {
    "none": lambda asked, _sources: baseline(asked),
    "fastv:k=2,keep=0.5": fastv,
    "divprune:keep=48": divprune,
    "cdpruner:keep=48": masks("CDPruner", question),
    "cdpruner:keep=48,halves": halves,
    "dart:keep=0.5": dart,
    "holov:keep=48": holov,
    "visionzip:keep=48": visionzip,
    "prumerge": prumerge,
    "fastervlm:keep=48": masks("FasterVLM", class_attention),
    "vispruner:keep=48": masks("VisPruner", class_attention),
    "pyramiddrop": pyramiddrop,
    "sparsevlm:keep=0.333": sparsevlm,
    "vtw": vtw,
    "blind": blind,
    "tome:keep=48": tome,
    "lofi:keep=48": lofi,
    "blur": blur,
}


@torch.no_grad()
def main():
    sources = pathlib.Path(sys.argv[1])
    folder = ROOT / "models" / "steady-llava"
    model = LlavaForConditionalGeneration.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    lines = []

    def write(name, folder, asked, pictures, methods):
        cases = {case["id"]: case for case in json.loads((folder / "cases.json").read_text())["cases"]}
        for picture in pictures:
            seen = asked(cases[picture])
            for spec, method in methods.items():
                logits, tokens, *sure = method(seen, sources)
                row = {"model": name, "case": picture, "spec": spec, "visual_tokens": round(tokens, 4), "first": int(logits.argmax())}
                if sure == [False]:
                    # Of tokens that are alike theirs keeps others when numbers are rounded otherwise.
                    row["up_to_rounding"] = True
                lines.append(json.dumps(row | {"logits": [round(float(x), 4) for x in logits[::STRIDE]]}))
                print(row)

    write("steady-llava", CASES, lambda case: Asked(model, case), PICTURES, METHODS)
    folder = ROOT / "models" / "steady-llava-next"
    model = LlavaNextForConditionalGeneration.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    write("steady-llava-next", NEXT, lambda case: AskedNext(model, case), NEXT_PICTURES, NEXT_METHODS)
    (HERE / "reduced_answers.json").write_text("[\n" + ",\n".join(lines) + "\n]\n")


if __name__ == "__main__":
    main()
