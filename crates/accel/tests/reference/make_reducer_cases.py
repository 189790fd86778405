"""What the authors' own selection code keeps and merges, on made-up features and attention.

    python crates/accel/tests/reference/make_reducer_cases.py SOURCES

writes reducer_cases.json beside itself. SOURCES holds a checkout of each repository in `REPOSITORIES`, in a folder of its name, at the commit
named there. No line of theirs is committed: functions are cut out of their files and run as they are, with stand-ins for the model around
them. What else was done is said at each method. Numbers come from `values`, which the Rust test computes too; they are exact in f32, so that
both sides see the same.

LoFi has no code: `lofi` is NumPy's SVD. The control `blur` is PyTorch's own resizing. DART is C++: the reference in the unit test of TensorRT-Edge-LLM's pruner is compiled with g++. CDPruner's `halves`, which are OpenVINO's, are
a transcription of its C++ into NumPy (`openvino` below), for want of its headers.

Last run with the versions recorded in the file.
"""

import ast
import json
import math
import pathlib
import subprocess
import sys
import tempfile
import types

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
    """The functions `names` of a file, wherever in it they are, as they are."""
    found = {node.name: node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}
    for name in names:
        node = found[name]
        node.decorator_list = []
        exec(compile(ast.Module([node], []), str(path), "exec"), namespace)
    return [namespace[name] for name in names]


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


def main():
    sources = pathlib.Path(sys.argv[1])
    methods = [divprune, visionzip, fastervlm, vispruner, cdpruner, halves, holov, prumerge, sparsevlm, dart, tome, lofi, blur]
    versions = {"python": sys.version.split()[0], "torch": torch.__version__, "numpy": np.__version__}
    cases = {method.__name__: list(method(sources)) for method in methods}
    lines = [f'"{name}": [\n' + ",\n".join(json.dumps(case) for case in of) + "\n]" for name, of in cases.items()]
    head = f'"versions": {json.dumps(versions)},\n"repositories": {json.dumps(REPOSITORIES, indent=1)},\n'
    (HERE / "reducer_cases.json").write_text("{\n" + head + ",\n".join(lines) + "\n}\n")
    print({name: len(of) for name, of in cases.items()})


if __name__ == "__main__":
    main()
