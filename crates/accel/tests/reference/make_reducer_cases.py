"""What the authors' own selection code keeps and merges, on made-up features and attention.

    python crates/accel/tests/reference/make_reducer_cases.py SOURCES [METHOD..]

writes reducer_cases.json beside itself; of the methods that are named, where some are, and the cases of the others stay. SOURCES holds a checkout of each repository in `REPOSITORIES`, in a folder of its name, at the commit
named there. No line of theirs is committed: functions are cut out of their files and run as they are, with stand-ins for the model around
them. What else was done is said at each method. Numbers come from `values`, which the Rust test computes too; they are exact in f32, so that
both sides see the same.

LoFi has no code: `lofi` is NumPy's SVD. The control `blur` is PyTorch's own resizing. DART is C++: the reference in the unit test of TensorRT-Edge-LLM's pruner is compiled with g++. CDPruner's `halves`, which are OpenVINO's, are
a transcription of its C++ into NumPy (`openvino` below), for want of its headers.

Last run with the versions recorded in the file.
"""

import ast
import contextlib
import decimal
import json
import math
import pathlib
import subprocess
import sys
import tempfile
import types
import typing
from unittest import mock

import numpy as np
import torch
import torch.nn.functional as F

HERE = pathlib.Path(__file__).parent
REPOSITORIES = {
    "divprune": "vbdi/divprune 799e2d950aa01ba7860907f5a6d86061f885dca6",
    "VisionZip": "dvlab-research/VisionZip 3151f6df4fca36a4cd1c985e5956e725b1f9ad02",
    "FasterVLM": "Theia-4869/FasterVLM f5d5f12037e105a51865ecb4b28a73cd86eb4921",
    "VisPruner": "Theia-4869/VisPruner aefa01adc7c7ce6334e880c88225e90cede760d1",
    "CDPruner": "Theia-4869/CDPruner 9541616c40fcd5625de1cdb8ea6c33c129eb7864",
    "HoloV": "obananas/HoloV 1d2e65e961e698ff0e7d5bb4625489177dd9deba",
    "LLaVA-PruMerge": "42Shawn/LLaVA-PruMerge 097c04116a58465e4bcb58cec44a94018a68ff1a",
    "SparseVLMs": "Gumpest/SparseVLMs 26a5f48813c46cd1c7364160354e7fdd3febaa67",
    "ToMe": "facebookresearch/ToMe af95e4b1befa172dadccd8c81e223b10090f9579",
    "FastV": "pkunlp-icler/FastV d1659729b5bf1be225e99ee15783deeea80f63b1",
    "PyramidDrop": "Cooperx521/PyramidDrop 6444f304aee4b7edcb022839fb9e8cd07859704a",
    "VTW": "lzhxmu/VTW a3d8cfc3c3f8c957b02b504f85e140d633c30453",
    "TensorRT-Edge-LLM": "NVIDIA/TensorRT-Edge-LLM, the unit test of visualTokenPruner.h, as pruner_test.cpp",
}


def words(seed, count):
    """splitmix64 (Steele et al., 2014)."""
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def values(seed, count):
    """`count` multiples of 1/1024 in [-2, 2): the upper 12 bits."""
    return ((words(seed, count) >> np.uint64(52)).astype(np.float32) - 2048) / 1024


def tensor(seed, *shape):
    return torch.from_numpy(values(seed, math.prod(shape)).reshape(shape).copy())


def attention(seed, *shape):
    """In (0, 1], as attention is; it need not sum to one. The upper 23 bits, so that hardly two are equal: theirs leaves ties to the sort."""
    numbers = ((words(seed, math.prod(shape)) >> np.uint64(41)).astype(np.float32) + 1) / 2**23
    return torch.from_numpy(numbers.reshape(shape).copy())


def cut(path, *names, **namespace):
    """The functions `names` of a file, wherever in it they are, as they are; `Class.name` where several are called so."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    functions = lambda nodes: [node for node in nodes if isinstance(node, ast.FunctionDef)]
    found = {node.name: node for node in functions(nodes)}
    found |= {f"{of.name}.{node.name}": node for of in nodes if isinstance(of, ast.ClassDef) for node in functions(of.body)}
    for name in names:
        node = found[name]
        node.decorator_list = []
        exec(compile(ast.Module([node], []), str(path), "exec"), namespace)
    return [namespace[name.split(".")[-1]] for name in names]


def indices(mask):
    return torch.where(mask[0])[0].tolist()


def rounded(rows):
    return [round(float(x), 6) for x in rows.flatten()]


def divprune(sources):
    """The last `twins` rows are the first ones once more."""
    path = sources / "divprune/LLaVA/llava/model/llava_arch.py"
    similarity, select = cut(path, "pairwise_cosine_similarity", "DivPrune", torch=torch)
    this = types.SimpleNamespace(pairwise_cosine_similarity=lambda matrix: similarity(None, matrix))
    for seed, (n, d, keep, twins) in enumerate(
        [(36, 4, keep, 0) for keep in (1, 2, 3, 5, 9, 12, 18, 24, 35, 36)]
        + [(n, 8, keep, 0) for n, keep in ((64, 21), (50, 25), (100, 33), (144, 48), (576, 64), (576, 192))]
        + [(n, 6, keep, twins) for n, keep, twins in ((40, 8, 8), (40, 13, 12), (60, 20, 20), (81, 27, 27), (144, 48, 48), (144, 72, 24))]
    ):
        rows = tensor(seed, n - twins, d)
        kept, _ = select(this, torch.cat([rows, rows[:twins]]), n, threshold_ratio=keep / n)
        yield {"n": n, "d": d, "keep": keep, "twins": twins, "seed": seed, "kept": sorted(kept.tolist())}


def visionzip(sources):
    (forward,) = cut(sources / "VisionZip/visionzip/clip_encoder.py", "forward", torch=torch)
    for seed, (n, d, heads, keep) in enumerate(
        [(36, 4, 2, keep) for keep in (2, 3, 4, 7, 10, 13, 20, 30, 35)]
        + [(n, 6, 3, keep) for n, keep in ((64, 32), (50, 25), (49, 48), (100, 33), (576, 64), (576, 128), (576, 192))]
        + [(n, 4, 4, keep) for n, keep in ((25, 5), (25, 6), (30, 16), (81, 27))]
        + [(n, 8, 2, keep) for n, keep in ((144, 48), (144, 96), (40, 8), (60, 59))]
    ):
        # Features, attention and keys have the class token in front. Keys are given with heads averaged: their mean is the metric.
        features, scores, keys = tensor(seed, 1, n + 1, d), attention(seed + 1000, 1, heads, n), tensor(seed + 2000, 1, n, d)
        contextual = round(keep * 5 / 32)
        if contextual == 0:
            continue  # theirs divides by it
        full = torch.zeros(1, heads, n + 1, n + 1)
        full[:, :, 0, 1:] = scores
        metric = torch.cat([torch.zeros(1, 1, d), keys], 1)
        layer = types.SimpleNamespace(metric=metric)
        out = types.SimpleNamespace(attentions=[full, None], hidden_states=[features, None])

        class Tower:
            _info = {"dominant": keep - contextual - 1, "contextual": contextual}
            vision_model = types.SimpleNamespace(encoder=types.SimpleNamespace(layers=[layer, None]))

            def __call__(self, *_args, **_kwargs):
                return out

        tower = types.SimpleNamespace(vision_tower=Tower(), device="cpu", dtype=torch.float32)
        rows, kept = forward(tower, torch.zeros(1))
        yield {"n": n, "d": d, "heads": heads, "keep": keep, "seed": seed, "kept": sorted(i - 1 for i in kept[0].tolist() if i), "rows": rounded(rows)}


def by_mask(sources, repository, shapes, more):
    """The `encode_images` of three repositories by one author, which answer with a mask."""
    (encode,) = cut(sources / repository / "llava/model/llava_arch.py", "encode_images", torch=torch)
    for seed, shape in enumerate(shapes):
        n, d, heads, keep = shape[:4]
        features = tensor(seed, 1, n, d)
        seen = (features, *more(seed, shape))
        model = types.SimpleNamespace(get_vision_tower=lambda seen=seen: lambda *_a, **_k: seen, mm_projector=lambda x: x)
        this = types.SimpleNamespace(
            get_model=lambda model=model: model,
            get_visual_token_num=lambda keep=keep: keep,
            get_important_ratio=lambda shape=shape: shape[4],
            visual_token_num=keep,
        )
        try:
            mask = encode(this, None)[1]
        except (RuntimeError, IndexError):
            assert repository == "VisPruner"  # an odd number to be thinned out, or a round that drops more than it compares
            continue
        yield {"n": n, "d": d, "heads": heads, "keep": keep, "important": shape[4], "seed": seed, "kept": indices(mask)}


def looked(seed, shape):
    return (attention(seed + 1000, 1, shape[2], shape[0]),)


def fastervlm(sources):
    shapes = [(n, 3, heads, keep, 0) for n in (25, 36, 100, 576) for heads in (1, 4) for keep in (1, 8, n // 2, n)]
    return by_mask(sources, "FasterVLM", shapes, looked)


def vispruner(sources):
    # The order of all similarities decides what is compared next, so that with more tokens rounding does.
    shapes = [(n, 8, 4, keep, r) for n in (36, 64, 100) for keep in (8, 16, n // 4, n // 2) for r in (0.25, 0.5, 0.75, 1.0)]
    return by_mask(sources, "VisPruner", shapes, looked)


def cdpruner(sources):
    # What stands in for CLIP's projections are the features and the text below, whose sign is turned as theirs is turned once more.
    shapes = [(n, d, 1, keep, 0) for n in (20, 36, 64, 144) for d in (24, 160) for keep in (1, 5, n // 4, n // 2) if keep <= d // 2]
    return by_mask(sources, "CDPruner", shapes, lambda seed, shape: (tensor(seed, 1, shape[0], shape[1]), -tensor(seed + 1000, 1, shape[1])))


def openvino(visual, text, keep):
    """kernel_builder.cpp at 195290c (`create_conditional_kernel_model`) and fast_dpp.cpp at 004607f (`select_single_batch`)."""
    eps = visual.dtype.type(1e-6)
    norm = lambda x: x / np.sqrt((x * x).sum(-1, keepdims=True) + eps)
    visual, text = norm(visual), norm(text)
    mean = (visual @ text.T).mean(-1)
    relevance = (mean - mean.min()) / (mean.max() - mean.min() + eps)
    kernel = relevance[:, None] * (visual @ visual.T) * relevance[None]
    gains, factor, chosen = np.diagonal(kernel).copy(), [], []
    for _ in range(keep):
        best = int(np.argmax(gains))
        row = kernel[best].copy()
        for before in factor:
            if abs(before[best]) >= eps:
                row -= before[best] * before
        row /= np.sqrt(gains[best] + eps)
        gains = gains - row * row
        gains[chosen + [best]] = -np.inf
        chosen.append(best)
        factor.append(row)
    return sorted(chosen)


def halves(_sources):
    """cdpruner.cpp at 0379957 with `split_threshold` 1, by which every image is split; an odd count is rounded up."""
    for seed, (n, d, keep) in enumerate((n, 160, keep) for n in (20, 37, 64, 145) for keep in (2, 5, 8, n // 4, n // 2)):
        visual, text = values(seed, n * d).reshape(n, d), values(seed + 1000, d).reshape(1, d)
        count, half = keep + keep % 2, n // 2
        kept = openvino(visual[:half], text, count // 2) + [half + i for i in openvino(visual[half:], text, count - count // 2)]
        yield {"n": n, "d": d, "keep": keep, "seed": seed, "kept": kept}


def holov(sources):
    (select,) = cut(sources / "HoloV/llava/model/utils.py", "HoloV", torch=torch)
    shapes = [(n, parts, keep) for n, parts in ((36, 16), (37, 4), (144, 16), (576, 16)) for keep in (2, 9, n // 9, n // 4, n // 2, n - 3)]
    for seed, (n, parts, keep) in enumerate(shapes):
        features, seen = tensor(seed, 1, n, 8), attention(seed + 1000, 1, 2, n).mean(dim=1).float()
        rows = select(features, seen, num_patches=parts, new_image_token_num=keep)[0]
        # Which of the features each row is; no two are equal, and what was filled up is none.
        same = (rows[:, None] == features[0][None]).all(-1)
        standing = [int(row.nonzero()[0]) for row in same if row.any()]
        yield {"n": n, "d": 8, "heads": 2, "keep": keep, "parts": parts, "seed": seed, "standing": standing}


def prumerge(sources):
    path = sources / "LLaVA-PruMerge/llava/model/multimodal_encoder/clip_encoder.py"
    names = ["complement_idx", "hook_k", "hook_q", "outlier_dectection", "token_prune_merge_advanced", "token_prune_merge_advanced_plus"]
    *_, plain, plus = cut(path, *names, torch=torch, F=F, np=np, outputs={})
    for seed in range(24):
        method, n, d = ((plain, 100, 3), (plain, 576, 2), (plus, 576, 2))[seed % 3]
        features, keys, queries = tensor(seed, 1, n + 1, d), tensor(seed + 1000, 1, n + 1, d), tensor(seed + 2000, 1, n + 1, d)
        # A query that makes some keys stand out.
        queries = queries * (4 + seed % 5)
        k_proj, q_proj = torch.nn.Identity(), torch.nn.Identity()
        layer = types.SimpleNamespace(self_attn=types.SimpleNamespace(k_proj=k_proj, q_proj=q_proj))

        class Tower:
            vision_model = types.SimpleNamespace(encoder=types.SimpleNamespace(layers=[layer] * 24))

            def __call__(self, *_args, **_kwargs):
                k_proj(keys), q_proj(queries)
                return types.SimpleNamespace(hidden_states=[features, None])

        tower = types.SimpleNamespace(vision_tower=Tower(), device="cpu", dtype=torch.float32, select_layer=-2)
        tower.feature_select = lambda out: out.hidden_states[-2][:, 1:]
        try:
            rows = method(tower, torch.zeros(1))
        except ZeroDivisionError:
            continue  # nothing stands out
        case = {"n": n, "d": d, "seed": seed, "plus": method is plus, "times": 4 + seed % 5, "tokens": rows.shape[1]}
        # Every row would be much to commit: their sums, and the first and the last row.
        yield case | {"sums": rounded(rows.sum(-1)), "first": rounded(rows[0, 0]), "last": rounded(rows[0, -1])}


def sparsevlm(sources):
    folder = sources / "SparseVLMs/llava/model/language_model"
    score = {}
    exec(compile((folder / "score.py").read_text(), "score.py", "exec"), score)
    patterns = {"b l r -> b l () r": lambda x: x[:, :, None], "b l r -> b () l r": lambda x: x[:, None]}
    einops = types.SimpleNamespace(rearrange=lambda x, pattern: patterns[pattern](x))
    # Two tokens that are each other's nearest are equally dense, and their noise tells which one counts as denser. Here it falls with the
    # index, and in f64 it decides nothing else.
    falling = lambda shape, **kind: (torch.arange(shape[-1], 0, -1, **kind) * 1e-9).expand(shape)
    silent = types.SimpleNamespace(**{name: getattr(torch, name) for name in ("topk", "arange", "float32")}, rand=falling)
    (points,) = cut(folder / "utils.py", "index_points", torch=torch)
    (cluster,) = cut(folder / "utils.py", "cluster_and_merge", torch=silent, ein=einops, index_points=points)
    budgets = {192: (0, 1, 2), 128: (0, 1, 2), 96: (0, 1, 2), 64: (0, 1, 2)}
    seed = 0
    for target, steps in budgets.items():
        score["RETAIN_TOKN"] = target
        for step in steps:
            for left, words, d in ((576, 12, 4), (140, 7, 4)):
                seed += 1
                layer = (2, 6, 15)[step]
                seen, states = attention(seed, 1, 1, words, left), tensor(seed + 1000, 1, left, d)
                visual, text = tensor(seed + 2000, 1, 576, d), tensor(seed + 3000, 1, words, d)
                # modelling_sparse_llama.py, "Select Text Raters", as it stands there.
                m_v_t = visual @ text.transpose(1, 2)
                m_v_t = m_v_t.softmax(2).mean(1)
                raters = torch.where(m_v_t > m_v_t.mean())
                rows = torch.zeros(1, 1, left + words, left + words)
                rows[:, :, left:, :left] = seen
                mask, merges, relation = score["attn_postprocess_topk"](rows, 0, left, left, raters, layer)
                assert merges
                # "merge and cluster", as it stands there.
                gone = torch.where(mask == 0)[1]
                states_gone = states[:, gone]
                count = int(gone.shape[0] * 0.3) + 1
                recycled = states_gone[:, relation[0][gone].topk(count)[1]]
                merged = cluster(recycled.double(), int(recycled.shape[1] / 10) + 1)
                yield {
                    "target": target, "step": step, "n": left, "words": words, "d": d, "seed": seed,
                    "raters": raters[1].tolist(), "kept": indices(mask), "merged": rounded(merged),
                }  # fmt: skip


def dart(sources):
    text = (sources / "TensorRT-Edge-LLM/pruner_test.cpp").read_text()
    start = text.index("std::vector<int32_t> referenceSelect")
    function = text[start : text.index("struct PrunerHarness")]
    program = """
    #include <algorithm>
    #include <cmath>
    #include <cstdint>
    #include <cstdio>
    #include <numeric>
    #include <set>
    #include <vector>
    namespace rt { struct VisualPrunerConfig { float reductionRatio; int32_t minVisualTokens{16}, pivotImageTokens{4}, pivotTextTokens{4}; }; }
    constexpr int32_t kImageTokenId = 151655;
    %s
    int main() {
        int32_t before, visual, behind, hidden; rt::VisualPrunerConfig cfg{};
        while (std::scanf("%%d %%d %%d %%d %%f %%d %%d", &before, &visual, &behind, &hidden, &cfg.reductionRatio, &cfg.pivotImageTokens,
                          &cfg.pivotTextTokens) == 7) {
            std::vector<int32_t> ids(before, 1); ids.insert(ids.end(), visual, kImageTokenId); ids.insert(ids.end(), behind, 1);
            std::vector<float> embeds(ids.size() * hidden);
            for (auto& value : embeds) if (std::scanf("%%f", &value) != 1) return 1;
            for (auto i : referenceSelect(embeds, (int32_t) ids.size(), hidden, ids, cfg)) std::printf("%%d ", i);
            std::printf("\\n");
        }
    }
    """ % function
    shapes = [(6, n, 9, d, ratio, image, words) for n in (15, 16, 40, 144) for d in (5, 32) for ratio, image, words in (
        (0.25, 4, 4), (0.5, 4, 4), (0.75, 2, 0), (0.875, 0, 3), (0.9375, 8, 8))]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        source, binary = pathlib.Path(folder, "select.cpp"), pathlib.Path(folder, "select")
        source.write_text(program)
        subprocess.run(["g++", "-O1", "-std=c++17", "-o", binary, source], check=True)
        stdin = []
        for seed, (before, n, behind, d, ratio, image, words) in enumerate(shapes):
            # The visual tokens come first of `values`, then the text.
            numbers = values(seed, (n + before + behind) * d).reshape(-1, d)
            ordered = np.concatenate([numbers[n : n + before], numbers[:n], numbers[n + before :]])
            stdin.append(" ".join(map(str, (before, n, behind, d, ratio, image, words, *ordered.flatten().tolist()))))
        lines = subprocess.run([binary], input="\n".join(stdin), capture_output=True, text=True, check=True).stdout.splitlines()
    for seed, ((before, n, behind, d, ratio, image, words), line) in enumerate(zip(shapes, lines, strict=True)):
        kept = [int(i) - before for i in line.split()]
        case = {"before": before, "n": n, "behind": behind, "d": d, "share": 1 - ratio, "image": image, "text": words, "seed": seed}
        yield case | {"kept": [i for i in kept if 0 <= i < n]}


def tome(sources):
    from typing import Callable, Tuple

    path = sources / "ToMe/tome/merge.py"
    namespace = dict(torch=torch, math=math, Callable=Callable, Tuple=Tuple, do_nothing=None)
    (match,) = cut(path, "bipartite_soft_matching", **namespace)
    shapes = [(n, r) for n in (16, 25, 36, 100, 144, 576) for r in (1, n // 8, n // 4, n // 2)]
    for seed, (n, r) in enumerate(shapes):
        # A key for the class token, which is compared with nothing, and then the patches'.
        metric = torch.cat([torch.ones(1, 1, 8), tensor(seed, 1, n, 8)], 1)
        merge, _ = match(metric, r, class_token=True)
        # Of each token that is left, which it is made of.
        parts = merge(torch.eye(n + 1)[None], mode="sum")[0]
        assert parts[0].tolist() == [1.0] + [0.0] * n
        yield {"n": n, "d": 8, "r": r, "seed": seed, "into": (parts[1:, 1:].argmax(0)).tolist()}


def lofi(_sources):
    shapes = [(n, d, energy) for n, d in ((20, 6), (36, 36), (40, 90), (60, 80), (144, 24)) for energy in (0.3, 0.6, 0.9, 0.99, 1.0)]
    for seed, (n, d, energy) in enumerate(shapes):
        rows = values(seed, n * d).reshape(n, d).astype(np.float64)
        left, lengths, _ = np.linalg.svd(rows, full_matrices=False)
        held = np.cumsum(lengths**2) / (lengths**2).sum()
        rank = min(int(np.searchsorted(held, energy)) + 1, len(lengths))
        leverage = (left[:, :rank] ** 2).sum(1)
        keep = n // 3
        if rank == n:
            continue  # all weigh 1
        yield {"n": n, "d": d, "energy": energy, "keep": keep, "seed": seed, "kept": sorted(np.argsort(-leverage, kind="stable")[:keep].tolist())}


def blur(_sources):
    shapes = [(12, 16, 0.25), (13, 9, 0.25), (16, 16, 0.0625), (10, 14, 0.5), (7, 5, 0.01), (9, 9, 0.9)]
    for seed, (height, width, keep) in enumerate(shapes):
        size = [max(round(side * math.sqrt(keep)), 1) for side in (height, width)]
        smaller = F.interpolate(tensor(seed, 1, 1, height, width), size=size, mode="area")
        back = F.interpolate(smaller, size=(height, width), mode="bilinear", align_corners=False)
        yield {"height": height, "width": width, "keep": keep, "seed": seed, "values": rounded(back)}


# What the forward passes of these three repositories name beside torch; typing for their annotations.
AROUND = dict(torch=torch, nn=torch.nn, math=math, random=None, BaseModelOutputWithPast=types.SimpleNamespace, **vars(typing))


@contextlib.contextmanager
def lower_index_first():
    """torch.topk takes any of equal values. Here it takes the lower index, which is one of those, and says what it was shown."""
    shown = []

    def topk(scores, count):
        shown.append(scores)
        values, order = torch.sort(scores, descending=True, stable=True)
        return types.SimpleNamespace(values=values[:count], indices=order[:count])

    with mock.patch.object(torch.Tensor, "topk", topk):
        yield shown


class Layer:
    """Stands for a decoder layer: its states say which token of the prompt each row is, and it notes them and their positions."""

    def __init__(self, index, attention=None):
        self.self_attn, self.attention, self.seen = types.SimpleNamespace(layer_idx=index), attention, []

    def __call__(self, hidden_states, position_ids, **_):
        self.seen.append((hidden_states[0, :, 0].long().tolist(), position_ids[0].tolist()))
        return hidden_states, self.attention


def decoder(layers, **more):
    """A model of these layers, as the three forward passes expect it."""
    fixed = dict(gradient_checkpointing=False, training=False, _use_flash_attention_2=True, norm=lambda hidden: hidden)
    config = types.SimpleNamespace(output_attentions=False, output_hidden_states=False, use_cache=False, use_return_dict=True)
    return types.SimpleNamespace(layers=layers, config=config, **fixed, **more)


def prompt(length):
    return torch.arange(length, dtype=torch.float32)[None, :, None]


def fastv(sources):
    """`fast_v_inplace`, which drops tokens; with `levels` attention has so many values alone."""
    path = sources / "FastV/src/transformers/src/transformers/models/llama/modeling_llama.py"
    (forward,) = cut(path, "LlamaModel.forward", logger=None, **AROUND)
    shapes = [(4, 36, 6, 2, 2, keep, 0) for keep in (1, 2, 5, 9, 18, 35, 36)]
    shapes += [(3, 49, 5, 4, k, 24, 0) for k in (1, 3, 5)] + [(35, 576, 24, 8, 2, keep, 0) for keep in (64, 144, 288)]
    shapes += [(4, 36, 6, 2, 2, keep, 2) for keep in (1, 4, 17, 30)] + [(0, 25, 3, 4, 1, 12, 1), (0, 25, 3, 4, 1, 1, 1)]
    shapes += [(5, 144, 9, 4, 2, keep, levels) for keep in (16, 48, 72) for levels in (4, 8)]
    for seed, (before, n, behind, heads, k, keep, levels) in enumerate(shapes):
        length = before + n + behind
        looked = attention(seed, 1, heads, n)
        looked = torch.ceil(looked * levels) / levels if levels else looked
        # Every other row and every other layer are of other numbers.
        layers = [Layer(index, attention(seed + 1000 * (index + 1), 1, heads, length, length)) for index in range(6)]
        layers[k - 1].attention[:, :, -1, before : before + n] = looked
        this = decoder(layers, use_fast_v=True, fast_v_inplace=True, fast_v_sys_length=before, fast_v_image_token_length=n)
        this.fast_v_attention_rank, this.fast_v_agg_layer, this._prepare_decoder_attention_mask = keep, k, lambda *_: None
        with lower_index_first():
            forward(this, inputs_embeds=prompt(length), output_attentions=True)
        for layer in layers:
            (rows, positions), = layer.seen
            assert positions == rows and len(rows) == length - (n - keep if layer.self_attn.layer_idx >= k else 0)
        kept = [row - before for row in rows if before <= row < before + n]
        yield {"before": before, "n": n, "behind": behind, "heads": heads, "k": k, "keep": keep, "levels": levels, "seed": seed, "kept": kept}


def pyramiddrop(sources):
    """Published layers of 32. Queries and keys are of made-up numbers, without rotary positions; of `twins` visual tokens the last ones have those of the first."""
    path = sources / "PyramidDrop/llava/model/modeling_llama_pdrop.py"
    causal = lambda _mask, shape, *_, **__: torch.full((1, 1, shape[1], shape[1]), torch.finfo(torch.float32).min).triu(1)
    around = AROUND | dict(IGNORE_INDEX=-100, _prepare_4d_causal_attention_mask=causal)
    *_, rank_drop, forward = cut(path, "rotate_half", "apply_rotary_pos_emb", "LlamaModel.pdrop_rank_drop", "LlamaModel.pdrop_forward", **around)
    heads, d, layer_list = 4, 4, [8, 16, 24]
    shapes = [(4, n, 6, ratio, 0) for n in (8, 36, 49, 144) for ratio in ("0.5", "0.8", "1")]
    shapes += [(2, 64, 9, "0.25", 0), (2, 144, 9, "0.25", 0), (35, 576, 24, "0.5", 0)]
    # Shares as one types them, whose products with these counts are whole numbers.
    shapes += [(3, n, 5, ratio, 0) for n, ratio in ((100, "0.7"), (125, "0.6"), (100, "0.3"), (1000, "0.3"))]
    shapes += [(4, n, 6, ratio, twins) for n, ratio, twins in ((8, "0.5", 4), (36, "0.5", 18), (36, "0.8", 12), (144, "0.5", 72), (144, "0.7", 48))]
    for seed, (before, n, behind, ratio, twins) in enumerate(shapes):
        length = before + n + behind

        class Looking(Layer):
            def __init__(self, index):
                super().__init__(index)
                if index in layer_list:
                    rows = tensor(seed + 1000 * (layer_list.index(index) + 1), length, heads * d)
                    rows[before + n - twins : before + n] = rows[before : before + twins]
                    self.input_layernorm = lambda hidden: rows[hidden[..., 0].long()]
                    same = lambda hidden: hidden
                    turned = lambda values, seq_len: (torch.ones(seq_len, d), torch.zeros(seq_len, d))
                    of = dict(num_heads=heads, num_key_value_heads=heads, head_dim=d, rotary_emb=turned)
                    self.self_attn = types.SimpleNamespace(layer_idx=index, q_proj=same, k_proj=same, v_proj=same, **of)

        layers = [Looking(index) for index in range(32)]
        this = decoder(layers, image_tokens=[n], image_token_posi=[before], prompt_len=[before + behind], layer_list=layer_list)
        # As the authors' scripts have it: typed shares of all, one in front.
        this.image_token_ratio_list = [1.0, *(float(decimal.Decimal(ratio) ** stage) for stage in (1, 2, 3))]
        this.pdrop_rank_drop = lambda **given: rank_drop(this, **given)
        with lower_index_first() as shown:
            forward(this, inputs_embeds=prompt(length))
        left = [layer.seen[0] for layer in layers]
        assert all(positions == list(range(len(rows))) for rows, positions in left), "counted anew"
        kept = [[row - before for row in left[layer][0] if before <= row < before + n] for layer in layer_list]
        for scores, of in zip(shown, kept):
            ordered = sorted(scores.tolist(), reverse=True)
            if len(of) < len(ordered):
                # A budget ends between clearly different scores or between equal ones, so that rounding decides nothing.
                first, second = ordered[len(of) - 1 : len(of) + 1]
                assert first == second or first - second > 1e-5 * first, (seed, first, second)
        yield {"before": before, "n": n, "behind": behind, "heads": heads, "d": d, "ratio": float(ratio), "twins": twins, "seed": seed, "kept": kept}


def vtw(sources):
    """What each layer sees, and where their search begins and ends."""
    path = sources / "VTW/llava/model/language_model/VTW.py"
    chosen = types.SimpleNamespace(use_vtw=True, findk=False, mode="vtw")
    (forward,) = cut(path, "VTWLlamaModel.forward", temp_cache=chosen, **AROUND)
    shapes = [(before, n, behind, k, depth) for before, n, behind, k, depth in (
        (35, 576, 24, 15, 32), (35, 576, 24, 1, 32), (35, 576, 24, 31, 32), (4, 36, 6, 5, 8), (0, 25, 3, 2, 4), (5, 1, 1, 3, 4),
        (1, 144, 2, 1, 2), (7, 49, 9, 20, 40), (2, 9, 1, 16, 32), (3, 4, 40, 12, 24))]  # fmt: skip
    for before, n, behind, k, depth in shapes:
        for positions in ("keep", "renumber"):
            chosen.pe_type, chosen.k, chosen.image_token_nums, chosen.system_token_nums = positions, k, n, before
            layers = [Layer(index) for index in range(depth)]
            forward(decoder(layers), inputs_embeds=prompt(before + n + behind))
            visual = [sum(before <= row < before + n for row in layer.seen[0][0]) for layer in layers]
            yield {"before": before, "n": n, "behind": behind, "k": k, "depth": depth, "positions": positions,
                   "visual": visual, "stands": layers[-1].seen[0][1]}  # fmt: skip
    chosen.findk = True
    layers = [Layer(index) for index in range(32)]
    forward(decoder(layers), inputs_embeds=prompt(35 + 576 + 24))
    # One pass for each layer that is tried, and one of the whole.
    passes = range(len(layers[0].seen) - 1)
    tried = [next(index for index, layer in enumerate(layers) if len(layer.seen[at][0]) == 35 + 24) for at in passes]
    yield {"depth": 32, "tried": tried}


def main():
    sources, named = pathlib.Path(sys.argv[1]), sys.argv[2:]
    methods = [divprune, visionzip, fastervlm, vispruner, cdpruner, halves, holov, prumerge, sparsevlm, dart, tome, lofi, blur, fastv, pyramiddrop, vtw]
    versions = {"python": sys.version.split()[0], "torch": torch.__version__, "numpy": np.__version__}
    before = json.loads((HERE / "reducer_cases.json").read_text()) if named else {}
    assert not named or before["versions"] == versions, "the other methods' cases were made with other versions"
    of = lambda method: before[method.__name__] if named and method.__name__ not in named else list(method(sources))
    cases = {method.__name__: of(method) for method in methods}
    lines = [f'"{name}": [\n' + ",\n".join(json.dumps(case) for case in of) + "\n]" for name, of in cases.items()]
    head = f'"versions": {json.dumps(versions)},\n"repositories": {json.dumps(REPOSITORIES, indent=1)},\n'
    (HERE / "reducer_cases.json").write_text("{\n" + head + ",\n".join(lines) + "\n}\n")
    print({name: len(of) for name, of in cases.items()})


if __name__ == "__main__":
    main()
