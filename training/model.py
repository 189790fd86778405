"""What the model families share: sizes, first weights, read-outs of the tower, the training-time way through the decoder."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

IMAGE, PATCH = 144, 12
GRID = IMAGE // PATCH
VISUAL_TOKENS = GRID * GRID
# Side of the window around a patch that the context read-out guesses, in steps of three pixels.
CONTEXT = 10


@dataclass
class Shape:
    """Sizes that may be chosen; everything else follows the family. Widths are multiples of 32, as wide as a head."""

    vision_width: int
    vision_layers: int = 4  # that feed the decoder
    width: int = 128
    mlp_width: int = 384
    layers: int = 4


def decoder_sizes(shape: Shape, tokenizer) -> dict:
    """What the families' decoders have in common."""
    return dict(
        vocab_size=len(tokenizer),
        hidden_size=shape.width,
        intermediate_size=shape.mlp_width,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.width // 32,
        num_key_value_heads=shape.width // 32,
        max_position_embeddings=512,
    )


def rows_and_columns() -> tuple[torch.Tensor, torch.Tensor]:
    """Of every patch, row by row."""
    patches = torch.arange(VISUAL_TOKENS)
    return patches.div(GRID, rounding_mode="floor"), patches % GRID


def decoder(text: dict) -> str:
    """A decoder's sizes in words."""
    sizes = f"{text['num_hidden_layers']} layers, width {text['hidden_size']}, {text['num_attention_heads']} heads"
    return f"{sizes}, vocabulary {text['vocab_size']}"


@dataclass
class Seen:
    """What a tower makes of a batch of images."""

    features: torch.Tensor  # [batch, patches, width]: read by the read-outs
    halfway: torch.Tensor  # [batch, patches, width of the tower]: the same, halfway up
    visual: Callable[[], torch.Tensor]  # what the decoder gets, [batch, visual tokens, width]
    summary: Callable[[], torch.Tensor] | None  # [batch, width of the tower]: of the whole image, where there is a class token


@dataclass
class Layout:
    """Where an image and what comes before it stand in a prompt."""

    positions: torch.Tensor  # [axes, opening + visual tokens]: on one axis, or on the three of M-RoPE
    patches: torch.Tensor  # [patches]: index of the visual token that shows a patch of the picture, row by row

    def to(self, device) -> "Layout":
        return Layout(self.positions.to(device), self.patches.to(device))


@torch.no_grad()
def initialise(model: nn.Module, vision_layers: int, text_layers: int) -> None:
    """Matrices that keep the scale of what passes through them; what writes to a residual stream starts smaller the deeper
    the stack is."""
    for name, parameter in model.named_parameters():
        if parameter.dim() < 2 or "embed" in name:
            continue
        std = 1 / math.sqrt(parameter[0].numel())
        if name.endswith(RESIDUAL):
            std /= math.sqrt(2 * (vision_layers if "vis" in name else text_layers))
        parameter.normal_(0, std)
    model.model.language_model.embed_tokens.weight.normal_(0, 0.3)
    model.lm_head.weight.normal_(0, 0.02)


# What writes to a residual stream.
RESIDUAL = ("out_proj.weight", "o_proj.weight", "fc2.weight", "down_proj.weight", "attn.proj.weight")


class AuxiliaryHeads(nn.Module):
    """Training-time read-outs: what every patch shows, counts read off the class token, the letter of an option's words.

    They are dropped from the checkpoint. The first make the features useful long before answers could; the second give
    the class token of the last layer, which no LLaVA decoder reads, an attention map that means something.
    """

    def __init__(
        self,
        width: int,
        tower_width: int,
        text_width: int,
        planes: list[dict],
        derived: list[dict],
        image_labels: list[dict],
    ):
        super().__init__()
        self.patch_norm = nn.LayerNorm(width)
        self.patch = nn.ModuleList(nn.Linear(width, len(plane["classes"])) for plane in planes)
        self.image = nn.ModuleList(nn.Linear(tower_width, label["classes"]) for label in image_labels)
        self.context = nn.Linear(tower_width, CONTEXT * CONTEXT)
        self.derived = nn.ModuleList(nn.Linear(width, len(plane["classes"])) for plane in derived)
        self.letter = nn.Linear(text_width, 4)

    def patch_loss(self, features: torch.Tensor, planes: torch.Tensor, derived: bool) -> tuple[torch.Tensor, torch.Tensor]:
        """Cross-entropy over the planes, with the derived ones or without, and accuracy where they say something.

        Most patches show nothing (class 0) and some planes speak of a few patches only, so the patches with and without
        something to say are averaged apart.
        """
        hidden = self.patch_norm(features)
        losses, right = [], []
        for i, head in enumerate([*self.patch, *(self.derived if derived else ())]):
            logits, gold = head(hidden).flatten(0, 1), planes[:, i].flatten().long()
            loss, some = F.cross_entropy(logits, gold, reduction="none"), gold > 0
            full, empty = ((loss * part).sum() / part.sum().clamp(min=1) for part in (some, ~some))
            losses.append((2 * full + empty) / 3)
            right.append((logits.argmax(1) == gold)[some].float().mean())
        return torch.stack(losses).mean(), torch.stack(right).detach()

    def context_loss(self, middle: torch.Tensor, pixels: torch.Tensor) -> torch.Tensor:
        """Squared error of every patch's guess, halfway up the tower, at the grey levels around it.

        Letters and outlines lie across patches; this makes the lower layers gather neighbours, by position, long before a
        class would. `middle` [batch, patches, width]; the target is 30x30 pixels around the patch in steps of three, each
        window brought to mean 0 and contrast 1 (little contrast stays little, so that noise is no target).
        """
        grey = F.avg_pool2d(pixels.mean(1, keepdim=True), 3)
        step = PATCH // 3
        around = F.unfold(F.pad(grey, [(CONTEXT - step) // 2] * 4, "replicate"), CONTEXT, stride=step).transpose(1, 2)
        centred = around - around.mean(-1, keepdim=True)
        target = centred / (centred.std(-1, keepdim=True) + 0.15)
        return F.mse_loss(self.context(middle), target)

    def image_loss(self, pooled: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Cross-entropy of the image labels from the pooled class token."""
        return torch.stack([F.cross_entropy(h(pooled), labels[:, i].long()) for i, h in enumerate(self.image)]).mean()

    def letter_loss(self, entering: torch.Tensor, letter: torch.Tensor) -> torch.Tensor:
        """Cross-entropy of an option's letter from what the last layer's attention reads of its words: it is there that the
        answer looks at the option."""
        some = letter >= 0
        return F.cross_entropy(self.letter(entering[some]), letter[some], reduction="sum") / some.sum().clamp(min=1)


@dataclass
class Guided:
    """What a loss of its own is put on, besides the answers."""

    named: tuple[torch.Tensor, torch.Tensor]  # rotated queries of the questions, keys of the visual tokens, of one head
    option: tuple[torch.Tensor, torch.Tensor]  # rotated queries and keys of the questions, of a head of the last layer
    entering: torch.Tensor  # [batch, n, width]: what the last layer's attention reads of the questions


def read(
    model: nn.Module,
    visual: torch.Tensor,
    opening_ids: torch.Tensor,
    layout: Layout,
    ids: torch.Tensor,
    positions: torch.Tensor,
    mask: torch.Tensor,
    look_layer: int | None = None,
) -> tuple[torch.Tensor, Guided | None]:
    """Runs the decoder over one prefix per image and many questions behind it.

    `visual` [batch, visual tokens, width]; `opening_ids`: the tokens before the image, the same for all. `ids`, `positions`
    [batch, n]: the questions, one after the other, each with positions as if it alone followed the prefix. `mask`
    [batch, 1, n, prefix + n]: additive, a question sees the prefix and itself. Gives the final hidden states of the n question tokens; with `look_layer`, a layer
    before the last, also what is guided there and in the last.

    The prefix never sees a question, so in the last layer nobody needs its outputs and they are not computed.
    """
    decoder = model.model.language_model
    batch, questions = ids.shape
    opening = decoder.embed_tokens(opening_ids)[None].expand(batch, -1, -1)
    x = torch.cat([opening, visual, decoder.embed_tokens(ids)], 1)
    prefix = x.shape[1] - questions
    axes = len(layout.positions)
    where = torch.cat([layout.positions[:, None].expand(-1, batch, -1), positions.expand(axes, -1, -1)], 2)
    cos, sin = decoder.rotary_emb(x, where if axes > 1 else where[0])
    named = guided = None
    for index, layer in enumerate(decoder.layers):
        last = index == len(decoder.layers) - 1
        attention = layer.self_attn
        normed = layer.input_layernorm(x)
        split = lambda y: y.unflatten(-1, (-1, attention.head_dim)).transpose(1, 2)  # noqa: E731
        q, k = apply_rotary_pos_emb(split(attention.q_proj(normed)), split(attention.k_proj(normed)), cos, sin)
        v = split(attention.v_proj(normed))
        if index == look_layer:
            named = (q[:, 0, prefix:], k[:, 0, layout.patches])
        if last and named:
            guided = Guided(named, (q[:, 0, prefix:], k[:, 0, prefix:]), normed[:, prefix:])
        mixed = F.scaled_dot_product_attention(q[:, :, prefix:], k, v, attn_mask=mask)
        if last:
            x = x[:, prefix:]
        else:
            before = (y[:, :, :prefix] for y in (q, k, v))
            mixed = torch.cat([F.scaled_dot_product_attention(*before, is_causal=True), mixed], 2)
        x = x + attention.o_proj(mixed.transpose(1, 2).flatten(2))
        x = x + layer.mlp(layer.post_attention_layernorm(x))
    return decoder.norm(x), guided


def look_loss(
    looked: tuple[torch.Tensor, torch.Tensor],
    at: torch.Tensor,
    relevant: torch.Tensor,
    among: torch.Tensor | None = None,
) -> torch.Tensor:
    """Asks one attention head to find what matters to a question.

    `looked`: queries and keys. `at` [batch, k]: index of each question's last prompt token; `relevant` [batch, k, keys]: what
    it is to look at, `among` [batch, k, keys]: of these keys only. The loss is minus the log of the attention mass there.
    """
    q, k = looked
    q = q.gather(1, at[..., None].expand(-1, -1, q.shape[2]))
    scores = q @ k.transpose(1, 2) / math.sqrt(q.shape[2])
    if among is not None:
        scores = scores.masked_fill(~among, -1e4)
    logp = scores.log_softmax(-1)
    some = relevant.any(-1)
    mass = logp.masked_fill(~relevant, -1e4).logsumexp(-1)
    return -(mass * some).sum() / some.sum().clamp(min=1)
