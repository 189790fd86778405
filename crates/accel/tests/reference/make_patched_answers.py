"""First-token logits of a tiny random LLaVA when its decoder is the authors' own forward pass.

    python crates/accel/tests/reference/make_patched_answers.py SOURCES

writes patched_answers.json beside itself. SOURCES as in make_reducer_cases.py. The forward passes of FastV, PyramidDrop and VTW are cut out of the
authors' files and run as they are; what they call a decoder layer is transformers' own, eager, behind the interface that they were written for.

The model is tests/reference/tiny-llava, of random weights, its two decoder layers four times over, so that there is room for three stages. Its two
heads of keys are given to PyramidDrop's four heads of queries one by one, which the authors' code does not do.
"""

import json
import pathlib
import sys
import types

import torch
import transformers
from make_reducer_cases import AROUND, HERE, REPOSITORIES, cut, lower_index_first
from transformers import CLIPImageProcessorPil, LlavaForConditionalGeneration
from transformers.image_utils import load_image

REFERENCE = HERE.parents[3] / "tests" / "reference" / "tiny-llava"
PROMPTS = ["larger", "wide", "tall", "grey"]
TIMES = 4
SPECS = [
    "fastv:k=1,keep=13", "fastv:k=2,keep=2", "fastv:k=5,keep=7", "fastv:k=3,keep=25",
    "pyramiddrop", "pyramiddrop:ratio=0.8", "pyramiddrop:layers=1/2/7",
    "vtw:k=4", "vtw:k=1", "vtw:k=7", "vtw:k=3,positions=renumber",
]  # fmt: skip


def load():
    """The checkpoint with its decoder layers repeated; each layer is its own, since it knows its place."""
    model = LlavaForConditionalGeneration.from_pretrained(REFERENCE / "checkpoint", dtype=torch.float32, attn_implementation="eager").eval()
    model.model.language_model.layers = torch.nn.ModuleList([*model.model.language_model.layers] * TIMES)
    return model


class Layer:
    """A layer of transformers, called and looked into as the authors' code does."""

    def __init__(self, language, index):
        layer, attention, config = language.layers[index], language.layers[index].self_attn, language.config
        self.language, self.layer, self.input_layernorm = language, layer, layer.input_layernorm
        heads, kept = config.num_attention_heads, config.num_key_value_heads

        def each(projection):
            return lambda hidden: projection(hidden).unflatten(-1, (kept, -1)).repeat_interleave(heads // kept, 2).flatten(2)

        def turned(values, seq_len):
            cos, sin = language.rotary_emb(values, torch.arange(seq_len)[None])
            return cos[0], sin[0]

        self.self_attn = types.SimpleNamespace(
            layer_idx=index, q_proj=attention.q_proj, k_proj=each(attention.k_proj), v_proj=each(attention.v_proj),
            num_heads=heads, num_key_value_heads=heads, head_dim=config.head_dim, rotary_emb=turned,
        )  # fmt: skip

    def __call__(self, hidden_states, position_ids, **_):
        n, seen = hidden_states.shape[1], {}
        self.rows = n
        mask = torch.full((n, n), float("-inf")).triu(1)[None, None]
        hook = self.layer.self_attn.register_forward_hook(lambda _m, _i, out: seen.update(attention=out[1]))
        rotary = self.language.rotary_emb(hidden_states, position_ids)
        out = self.layer(hidden_states, attention_mask=mask, position_ids=position_ids, position_embeddings=rotary)
        hook.remove()
        return (out[0] if isinstance(out, tuple) else out), seen["attention"]


def answer(sources, model, prompt, spec):
    """The logits of the first token, and the number of visual tokens in each layer."""
    ids = torch.tensor(prompt["input_ids"])
    visual = ids == model.config.image_token_id
    start, n = int(visual.nonzero()[0]), int(visual.sum())
    processor = CLIPImageProcessorPil.from_pretrained(REFERENCE / "checkpoint")
    pixels = processor(load_image(str(REFERENCE / "images" / prompt["image"])), return_tensors="pt")["pixel_values"]
    seen = {}
    hook = model.model.multi_modal_projector.register_forward_hook(lambda _m, _i, out: seen.update(projected=out))
    model.get_image_features(pixels)
    hook.remove()
    embeds = model.get_input_embeddings()(ids.clone().masked_fill(visual, 0))
    embeds[visual] = seen["projected"].reshape(n, -1)

    language = model.model.language_model
    layers = [Layer(language, index) for index in range(len(language.layers))]
    name, _, rest = spec.partition(":")
    given = dict(part.split("=") for part in rest.split(",") if part)
    # `use_cache` off; with flash attention the masks are left to the layers.
    config = types.SimpleNamespace(output_attentions=False, output_hidden_states=False, use_cache=False, use_return_dict=True)
    this = types.SimpleNamespace(layers=layers, config=config, gradient_checkpointing=False, training=False, _use_flash_attention_2=True, norm=language.norm)
    if name == "fastv":
        path = sources / "FastV/src/transformers/src/transformers/models/llama/modeling_llama.py"
        (forward,) = cut(path, "LlamaModel.forward", logger=None, **AROUND)
        this.use_fast_v, this.fast_v_inplace, this._prepare_decoder_attention_mask = True, True, lambda *_: None
        this.fast_v_sys_length, this.fast_v_image_token_length = start, n
        this.fast_v_agg_layer, this.fast_v_attention_rank = int(given["k"]), int(given["keep"])
    elif name == "pyramiddrop":
        path = sources / "PyramidDrop/llava/model/modeling_llama_pdrop.py"
        causal = lambda _mask, shape, *_, **__: torch.full((1, 1, shape[1], shape[1]), torch.finfo(torch.float32).min).triu(1)
        names = ["rotate_half", "apply_rotary_pos_emb", "LlamaModel.pdrop_rank_drop", "LlamaModel.pdrop_forward"]
        *_, rank_drop, forward = cut(path, *names, **AROUND, IGNORE_INDEX=-100, _prepare_4d_causal_attention_mask=causal)
        ratio = float(given.get("ratio", 0.5))
        this.layer_list = [int(layer) for layer in given.get("layers", "2/4/6").split("/")]
        this.image_token_ratio_list = [1.0, ratio, ratio**2, ratio**3]
        this.image_tokens, this.image_token_posi, this.prompt_len = [n], [start], [len(ids) - n]
        this.pdrop_rank_drop = lambda **given: rank_drop(this, **given)
    else:
        chosen = types.SimpleNamespace(use_vtw=True, findk=False, mode="vtw", image_token_nums=n, system_token_nums=start)
        (forward,) = cut(sources / "VTW/llava/model/language_model/VTW.py", "VTWLlamaModel.forward", temp_cache=chosen, **AROUND)
        chosen.k, chosen.pe_type = int(given["k"]), given.get("positions", "keep")
    with lower_index_first():
        out = forward(this, inputs_embeds=embeds[None], output_attentions=name == "fastv")
    hidden = (out[0] if isinstance(out, tuple) else out).last_hidden_state
    return model.lm_head(hidden)[0, -1], [layer.rows - (len(ids) - n) for layer in layers]


@torch.no_grad()
def main():
    sources, model = pathlib.Path(sys.argv[1]), load()
    prompts = {case["id"]: case for case in json.loads((REFERENCE / "cases.json").read_text())["cases"]}
    rows = []
    for prompt in PROMPTS:
        for spec in SPECS:
            logits, visual = answer(sources, model, prompts[prompt], spec)
            # Every fourth is committed.
            rows.append({"case": prompt, "spec": spec, "visual": visual, "logits": [round(float(logit), 5) for logit in logits[::4]]})
    versions = {"python": sys.version.split()[0], "torch": torch.__version__, "transformers": transformers.__version__}
    head = {"versions": versions, "repositories": {name: REPOSITORIES[name] for name in ("FastV", "PyramidDrop", "VTW")}}
    lines = ",\n".join(json.dumps(row) for row in rows)
    (HERE / "patched_answers.json").write_text(json.dumps(head)[:-1] + f', "answers": [\n{lines}\n]}}\n')
    print(len(rows))


if __name__ == "__main__":
    main()
