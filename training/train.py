"""Trains an embedded checkpoint on the procedural world.

Two phases. First the vision tower alone, with read-outs of what every patch shows; then the whole model on questions, with
the read-outs kept at a small weight. The learning rate stays constant until it is time to stop, then falls to zero, so a
run may be ended whenever it is good enough. Interrupted, the same command goes on from the last snapshot.
"""

import argparse
import json
import math
import os
import random
import re
import sys
import time
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import torch
import torch.distributed as dist
import torch.multiprocessing as processes
import torch.nn.functional as F
import transformers

import readouts
from data import Batch, Packer, batches, stream
from easy_vqa import EasyFrames, EasyVqa, held_out
from evaluate import Scores, grey, score_batch
from export import export, write_provenance
from families import FAMILIES, family_of
from model import IMAGE, AuxiliaryHeads, Seen, Shape, look_loss, read
from muon import Muon
from text import load_tokenizer, save_tokenizer, train_tokenizer

# Images of the training split that are never trained on: the tests during training.
VALIDATION_START = 3_000_000
# The images of the hardest scenes, in both phases, are taken from here on.
EXTRA_START = 1_500_000
TEXT_IMAGES = 6_000
# Options that are no property of the run.
PLACES = ("--world", "--out", "--snapshots", "--init", "--easy-vqa")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--world", type=Path, required=True, help="the steady-world program")
    parser.add_argument("--family", choices=FAMILIES, default="llava", help="type of model")
    parser.add_argument("--out", type=Path, help="checkpoint folder to write (default: models/ and the family's name)")
    parser.add_argument("--snapshots", type=Path, help="where a run keeps its state (default: training/snapshots/ and the family's name)")
    parser.add_argument("--init", type=Path, help="start from this exported checkpoint, with fresh optimizer state; of another type it gives what both have in common")
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument("--first-image", type=int, default=0, help="first position of the training split to use")
    parser.add_argument("--vision-images", type=int, default=24_000, help="images of the first phase")
    parser.add_argument("--images", type=int, help="images of the second phase (default: the family's)")
    parser.add_argument("--basic-images", type=int, help="images of the second phase before the steps of an answer are read out and the hardest scenes asked about (default: the family's)")
    parser.add_argument("--stop-at", metavar="HH:MM", help="stop the second phase at this time, whatever it has seen")
    parser.add_argument("--decay", type=float, default=0.4, help="share of the second phase in which the rate falls")
    parser.add_argument("--levels", default="0:3000,1:3000,2", help="curriculum of the second phase: level:images,...,level")
    parser.add_argument("--vision-batch", type=int, default=48, help="images per step and worker of the first phase")
    parser.add_argument("--batch", type=int, default=14, help="images per step and worker of the second phase, extra ones included")
    parser.add_argument("--questions", type=int, default=18, help="questions asked per image, at most")
    parser.add_argument("--length", type=int, default=224, help="question tokens per image, at most")
    parser.add_argument("--lr", type=float, default=2e-3, help="AdamW: patch and position embeddings, norms, biases")
    parser.add_argument("--token-lr", type=float, default=5e-3, help="AdamW: token embeddings and the head over them")
    parser.add_argument("--matrix-lr", type=float, default=2e-2, help="Muon: the matrices inside the layers")
    parser.add_argument("--patch-weight", type=float, default=0.8, help="weight of the tower's losses in the second phase")
    parser.add_argument("--context-weight", type=float, default=0.5, help="weight of the context loss beside the patch loss")
    parser.add_argument("--look-weight", type=float, default=0.3, help="weight of the attention losses in the second phase")
    parser.add_argument("--look-layer", type=int, default=2, help="decoder layer whose first head learns to look")
    parser.add_argument("--extra", type=int, default=4, help="how many of --batch show the hardest scenes; the same share in the first phase")
    parser.add_argument("--extra-families", default="reading,diagram", help="families of these")
    parser.add_argument("--easy-vqa", type=Path, help="the unpacked package easy-vqa: its training half is asked about too")
    parser.add_argument("--easy", type=int, default=4, help="how many of --batch show easy-VQA's images, where it is given")
    parser.add_argument("--workers", type=int, help="processes that share a batch (default: one per core, or one on a GPU)")
    parser.add_argument("--vision-width", type=int, help="width of the tower (default: the family's)")
    parser.add_argument("--width", type=int, default=Shape.width)
    parser.add_argument("--mlp-width", type=int, default=Shape.mlp_width)
    parser.add_argument("--snapshot-minutes", type=float, default=5)
    parser.add_argument("--validation-images", type=int, default=256)
    options = parser.parse_args()
    family = FAMILIES[options.family]
    options.out = options.out or Path("models") / family.NAME
    options.snapshots = options.snapshots or Path("training/snapshots") / family.NAME
    options.vision_width = options.vision_width or family.VISION_WIDTH
    options.images = options.images or family.IMAGES
    options.basic_images = family.BASIC_IMAGES if options.basic_images is None else options.basic_images
    return options


class Run:
    """Everything that a snapshot holds, and the two kinds of step."""

    def __init__(self, options: argparse.Namespace, rank: int):
        self.options, self.rank = options, rank
        self.family = FAMILIES[options.family]
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        random.seed(options.seed)
        torch.manual_seed(options.seed)
        torch.set_float32_matmul_precision("high")
        self.snapshot_path = options.snapshots / "last.pt"
        self.log_path = options.snapshots / "log.jsonl"
        frames = stream(options.world, 0, 1, 1)
        self.header = header = frames.header
        frames.close()
        self.easy = EasyVqa(options.easy_vqa) if options.easy_vqa else None

        self.tokenizer = self.find_tokenizer()
        self.packer = Packer(self.tokenizer, self.family, header["planes"], options.length, options.questions)
        if options.init:
            self.model, self.tower_begun = initial(options.init, self.family, self.tokenizer)
        else:
            shape = Shape(options.vision_width, width=options.width, mlp_width=options.mlp_width)
            self.model, self.tower_begun = self.family.build(shape, self.tokenizer), False
        with torch.no_grad():
            seen = self.see(torch.zeros(1, 3, IMAGE, IMAGE))
        widths = (seen.features.shape[-1], seen.halfway.shape[-1], options.width)
        self.heads = AuxiliaryHeads(*widths, header["planes"], readouts.PLANES, header["image_labels"])
        self.model.to(self.device)
        self.heads.to(self.device)
        self.opening = torch.tensor(self.packer.opening, device=self.device)
        self.layout = self.packer.layout.to(self.device)

        # The same weights in every worker.
        everything = [*self.model.named_parameters(), *self.heads.named_parameters()]
        # The layers' matrices; tables of rows (tokens, positions, the head) are none.
        inside = [p for n, p in self.model.named_parameters() if p.dim() == 2 and "embed" not in n and "lm_head" not in n]
        chosen = {id(p) for p in inside}
        tokens = [p for n, p in everything if "embed_tokens" in n or "lm_head" in n]
        chosen |= {id(p) for p in tokens}
        outside = [p for _, p in everything if id(p) not in chosen]
        self.parameters = [p for _, p in everything]
        self.optimizers = [
            Muon(inside, lr=options.matrix_lr),
            torch.optim.AdamW(
                [{"params": tokens, "lr": options.token_lr}, {"params": outside}],
                lr=options.lr,
                betas=(0.9, 0.98),
                weight_decay=0.01,
            ),
        ]
        self.rates = [group["lr"] for optimizer in self.optimizers for group in optimizer.param_groups]
        self.average = {n: p.detach().clone() for n, p in self.model.named_parameters()}
        self.progress = {
            "steps": 0, "phase_steps": 0, "vision_images": 0, "images": 0, "questions": 0, "seconds": 0.0,
            "extra_images": 0, "easy_images": 0, "sessions": [],
        }  # fmt: skip
        self.resume()
        self.progress["sessions"].append({"arguments": choices(sys.argv[1:]), "from_step": self.progress["steps"]})

    def find_tokenizer(self):
        """The tokenizer of the checkpoint to go on from, of the snapshots, or a new one from the world's texts."""
        kept = self.options.snapshots / "tokenizer"
        for folder in (self.options.init, kept):
            if folder and (folder / "tokenizer.json").exists():
                return load_tokenizer(folder)
        if self.rank > 0:
            dist.barrier()
            return load_tokenizer(kept)
        dialect, texts = self.family.DIALECT, []
        frames = stream(self.options.world, 0, TEXT_IMAGES, 16)
        for frame in frames:
            for question in frame.about["questions"]:
                # The spelled-out boundary is where special tokens cut the text.
                texts += [dialect.opening, dialect.prompt(question["text"]), dialect.reply(question["answer"])]
        frames.close()
        save_tokenizer(train_tokenizer(texts, dialect), kept)
        if self.options.workers > 1:
            dist.barrier()
        return load_tokenizer(kept)

    # State

    def save(self) -> None:
        if self.rank > 0:
            return
        state = {
            "family": self.options.family,
            "model": self.model.state_dict(),
            "heads": self.heads.state_dict(),
            "average": self.average,
            "optimizers": [o.state_dict() for o in self.optimizers],
            "progress": self.progress,
            "random": torch.get_rng_state(),
        }
        part = self.snapshot_path.with_suffix(".part")
        torch.save(state, part)
        part.replace(self.snapshot_path)

    def resume(self) -> None:
        if not self.snapshot_path.exists():
            return
        state = torch.load(self.snapshot_path, map_location=self.device, weights_only=True)
        if state["family"] != self.options.family:
            raise SystemExit(f"{self.snapshot_path} is of the family {state['family']}, not {self.options.family}")
        self.model.load_state_dict(state["model"])
        self.heads.load_state_dict(state["heads"])
        self.average = state["average"]
        for optimizer, kept in zip(self.optimizers, state["optimizers"]):
            optimizer.load_state_dict(kept)
        self.progress = state["progress"]
        torch.set_rng_state(state["random"].cpu())
        print(f"going on from {self.snapshot_path}: {self.progress}", flush=True)

    def facts(self) -> dict:
        """What a model card says about the run."""
        return {
            "options": {k: v for k, v in vars(self.options).items() if f"--{k}" not in PLACES},
            "progress": self.progress,
            "device": self.device_name(),
            "parameters": sum(p.numel() for p in self.model.parameters()),
            "versions": f"torch {torch.__version__}, transformers {transformers.__version__}",
        }

    def device_name(self) -> str:
        if self.device.type == "cuda":
            return torch.cuda.get_device_name()
        model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
        return f"{self.options.workers} cores of {model[1] if model else 'a CPU'}"

    def log(self, **entry) -> None:
        if self.rank > 0:
            return
        entry = json.loads(json.dumps({"time": datetime.now().strftime("%H:%M:%S"), **entry}), parse_constant=lambda _: None)
        with self.log_path.open("a") as file:
            file.write(json.dumps(entry) + "\n")
        print(json.dumps(entry), flush=True)

    # Steps

    def step(self, loss: torch.Tensor, rate: float) -> None:
        loss.backward()
        self.share_gradients()
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        groups = [group for optimizer in self.optimizers for group in optimizer.param_groups]
        for group, base in zip(groups, self.rates):
            group["lr"] = base * rate
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.progress["steps"] += 1
        self.progress["phase_steps"] += 1
        # A running mean that forgets faster while it is young.
        keep = min(0.998, self.progress["phase_steps"] / (self.progress["phase_steps"] + 20))
        with torch.no_grad():
            names, values = zip(*self.model.named_parameters())
            torch._foreach_lerp_([self.average[n] for n in names], list(values), 1 - keep)

    def share_gradients(self) -> None:
        """Each worker saw its own images; all take the mean step."""
        if self.options.workers == 1:
            return
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        flat = torch.cat([g.flatten() for g in gradients])
        dist.all_reduce(flat)
        flat /= self.options.workers
        for gradient, mean in zip(gradients, flat.split([g.numel() for g in gradients])):
            gradient.copy_(mean.view_as(gradient))

    def agreed(self, number: float) -> float:
        """The first worker's number: clocks differ, weights must not."""
        if self.options.workers == 1:
            return number
        number = torch.tensor(number, dtype=torch.float64)
        dist.broadcast(number, 0)
        return number.item()

    def mine(self, source):
        """This worker's share of a stream of batches; an incomplete round is left out."""
        together = []
        for batch in source:
            together.append(batch)
            if len(together) == self.options.workers:
                yield together[self.rank]
                together = []

    def see(self, pixels: torch.Tensor) -> Seen:
        return self.family.see(self.model, pixels)

    def read(self, seen: Seen, batch: Batch, look_layer: int | None = None):
        """Final hidden states of the question tokens, and what the guided heads looked at."""
        where = (batch.positions, batch.mask(self.packer.prefix))
        return read(self.model, seen.visual(), self.opening, self.layout, batch.ids, *where, look_layer)

    def tower_loss(self, batch: Batch) -> tuple[Seen, torch.Tensor, dict]:
        """The tower's features, and what its read-outs say of them."""
        pixels = batch.pixels()
        seen = self.see(pixels)
        some = batch.labelled
        patch, right = self.heads.patch_loss(seen.features[some], batch.planes[some], derived=not self.basic())
        context = self.heads.context_loss(seen.halfway, pixels)
        return seen, patch + self.options.context_weight * context, {"patch": patch, "context": context, "right": right}

    def basic(self) -> bool:
        """Whether it is too early for the steps of an answer: read out from the start, they keep the tower from what they are made of."""
        return self.progress["images"] < self.options.basic_images

    def image_loss(self, seen: Seen, batch: Batch) -> torch.Tensor:
        if not seen.summary:
            return torch.zeros((), device=self.device)
        return self.heads.image_loss(seen.summary()[batch.labelled], batch.labels[batch.labelled])

    def vision_loss(self, batch: Batch) -> tuple[torch.Tensor, dict]:
        seen, loss, parts = self.tower_loss(batch)
        parts["image"] = self.image_loss(seen, batch)
        return loss + 0.2 * parts["image"], parts

    def whole_loss(self, batch: Batch) -> tuple[torch.Tensor, dict]:
        seen, tower, parts = self.tower_loss(batch)
        out, guided = self.read(seen, batch, self.options.look_layer)
        answered = batch.target >= 0
        logits, gold = self.model.lm_head(out[answered]), batch.target[answered]
        losses = F.cross_entropy(logits, gold, reduction="none")
        # Ends are learnt at once and tell little; they count less.
        weight = torch.where(gold == self.packer.end, 0.2, 1.0)
        answer = (losses * weight).sum() / weight.sum()
        look = look_loss(guided.named, batch.ends, batch.relevant)
        pick = look_loss(guided.option, batch.ends, batch.option, batch.own())
        letter = self.heads.letter_loss(guided.entering, batch.letter)
        loss = answer + self.options.look_weight * (look + pick + letter) + self.options.patch_weight * tower
        if self.progress["steps"] % 4 == 0:
            loss = loss + 0.2 * self.image_loss(seen, batch)
        return loss, {"answer": answer, "look": look, "pick": pick, "letter": letter, **parts}

    # Phases

    def vision_phase(self) -> None:
        options, progress = self.options, self.progress
        todo = options.vision_images - progress["vision_images"]
        if self.tower_begun or todo < options.vision_batch * options.workers:
            return
        start = options.first_image + progress["vision_images"]
        # As many of the hardest scenes among them as later on.
        hard = options.vision_batch * options.extra // options.batch
        source = batches(stream(options.world, start, todo, 0), self.packer, options.vision_batch - hard)
        clock = Clock(self, options.snapshot_minutes)
        for batch in self.with_extra(self.mine(source), hard, 0):
            loss, parts = self.vision_loss(batch.to(self.device))
            left = 1 - progress["vision_images"] / options.vision_images
            self.step(loss, warm(progress["phase_steps"]) * min(1.0, left / 0.3 + 0.05))
            seen = options.workers * len(batch.about)
            progress["vision_images"] += seen
            clock.tick("vision", seen, parts)
            if progress["vision_images"] + seen > options.vision_images:
                break
        source.close()
        progress["phase_steps"] = 0
        self.save()

    def whole_phase(self) -> None:
        options, progress = self.options, self.progress
        validation = self.validation_batches()
        stop = clock_time(options.stop_at) if options.stop_at else math.inf
        began = time.time()
        clock = Clock(self, options.snapshot_minutes, validation)
        for batch in self.with_easy(self.with_extra(self.levelled(), options.extra, options.questions)):
            left = self.agreed(self.left(began, stop))
            if left <= 0:
                break
            rate = min(1.0, left / options.decay)
            loss, parts = self.whole_loss(batch.to(self.device))
            self.step(loss, warm(progress["phase_steps"]) * rate)
            seen = options.workers * len(batch.about)
            progress["images"] += seen
            progress["questions"] += options.workers * sum(len(a["questions"]) for a in batch.about)
            clock.tick("whole", seen, parts)
        self.save()
        self.validate(validation)

    def left(self, began: float, stop: float) -> float:
        """Share of the phase that is still to come, by images, or by the clock where that is less."""
        options, progress = self.options, self.progress
        left = 1 - progress["images"] / options.images
        if math.isfinite(stop):
            left = min(left, (stop - time.time()) / max(stop - began, 1.0))
        return left

    def levelled(self):
        """Batches through the curriculum, from where the run stands."""
        options = self.options
        at = self.progress["images"]
        first = options.first_image + (0 if self.tower_begun else options.vision_images)
        begin = 0
        for part in options.levels.split(","):
            level, _, length = part.partition(":")
            end = min(options.images, begin + int(length)) if length else options.images
            if at < end:
                frames = stream(options.world, first + at, end - at, options.questions, int(level))
                for batch in self.mine(batches(frames, self.packer, options.batch - options.extra - self.easy_share())):
                    at += options.workers * options.batch
                    yield batch
                    if at >= end:
                        break
            begin = end

    def with_extra(self, source, size: int, questions: int):
        """The batches of a source, each with `size` images of the scenes that are hardest to read."""
        if not size:
            yield from source
            return
        hardest, asked = None, None
        for batch in source:
            now = 0 if self.basic() else questions
            if now != asked:
                hardest, asked = self.hardest(size, now), now
            extra = next(hardest)
            self.progress["extra_images"] += self.options.workers * size
            yield batch.joined(extra)

    def easy_share(self) -> int:
        return self.options.easy if self.easy else 0

    def with_easy(self, source):
        """The batches of a source, each with its share of easy-VQA's images."""
        if not self.easy:
            yield from source
            return
        frames = EasyFrames(self.easy, self.header, self.progress["easy_images"], self.options.seed)
        easy = self.mine(batches(frames, self.packer, self.options.easy))
        for batch in source:
            self.progress["easy_images"] += self.options.workers * self.options.easy
            yield batch.joined(next(easy))

    def hardest(self, size: int, questions: int):
        """Batches of the scenes that are hardest to read, from where the run stands."""
        options = self.options
        start = options.first_image + EXTRA_START + self.progress["extra_images"]
        frames = stream(options.world, start, 10**6, questions, families=options.extra_families)
        return self.mine(batches(frames, self.packer, size))

    def validation_batches(self) -> list[Batch]:
        frames = stream(self.options.world, VALIDATION_START, self.options.validation_images, self.options.questions)
        validation = list(self.mine(batches(frames, self.packer, 32)))
        if self.easy:
            frames = held_out(self.easy, self.header)
            together = [self.packer.pack(frames[at : at + 20]) for at in range(0, len(frames), 20)]
            validation += together[self.rank :: self.options.workers]
        return validation

    @torch.no_grad()
    def validate(self, validation: list[Batch]) -> None:
        """Per family, with the mean weights, seeing and blind."""
        running = {n: p.detach().clone() for n, p in self.model.named_parameters()}
        self.put(self.average)
        shares = {}
        for name, look in (("seeing", lambda batch: batch), ("blind", grey)):
            total = Scores()
            for batch in validation:
                shown = look(batch.to(self.device))
                total += score_batch(self.model, shown, self.read(self.see(shown.pixels()), shown)[0])
            if self.options.workers > 1:
                parts = [None] * self.options.workers
                dist.all_gather_object(parts, total)
                total = sum(parts, Scores())
            shares[name] = total.shares()
        self.put(running)
        self.log(progress=self.progress, accuracy=shares)

    @torch.no_grad()
    def put(self, weights: dict[str, torch.Tensor]) -> None:
        for name, parameter in self.model.named_parameters():
            parameter.copy_(weights[name])


def initial(folder: Path, family, tokenizer) -> tuple[torch.nn.Module, bool]:
    """The checkpoint in `folder`, or a new model of `family` with those of its weights that have the same place there; and whether its tower
    knows anything yet."""
    config = json.loads((folder / "config.json").read_text())
    model = family_of(config).Model.from_pretrained(folder, dtype=torch.float32)
    if family_of(config) is family:
        return model, True
    known = model.state_dict()
    model = family.build(family_of(config).shape_of(known), tokenizer)
    fresh = model.state_dict()
    shared = {name: weight for name, weight in known.items() if name in fresh and fresh[name].shape == weight.shape}
    lacking = fresh.keys() - shared.keys()
    tower = {name for name in lacking if "vision" in name or "visual" in name}
    rest = sorted(lacking - tower)
    if len(rest) > 1:
        raise SystemExit(f"{folder} is no start for a {family.TYPE} type: it lacks {', '.join(rest)}")
    model.load_state_dict(shared, strict=False)
    return model, not tower


class Clock:
    """Logs every half minute, saves and validates every few minutes."""

    def __init__(self, run: Run, snapshot_minutes: float, validation: list[Batch] | None = None):
        self.run, self.every, self.validation = run, 60 * snapshot_minutes, validation
        self.told = self.saved = self.last = time.time()
        self.images = 0

    def tick(self, phase: str, images: int, parts: dict) -> None:
        now = time.time()
        self.run.progress["seconds"] += now - self.last
        self.last = now
        self.images += images
        if now - self.told > 30:
            numbers = {k: [round(x, 3) for x in v.tolist()] if v.dim() else round(v.item(), 3) for k, v in parts.items()}
            counts = {k: self.run.progress[k] for k in ("steps", "vision_images", "images")}
            self.run.log(phase=phase, **counts, rate=round(self.images / (now - self.told), 1), **numbers)
            self.told, self.images = time.time(), 0
        if self.run.agreed(float(now - self.saved > self.every)):
            self.run.save()
            if self.validation:
                self.run.validate(self.validation)
            self.saved = time.time()


def choices(given: list[str]) -> list[str]:
    """Command-line arguments without those that only say where things lie on this machine."""
    kept = []
    for place, argument in enumerate(given):
        if argument.split("=")[0] in PLACES or place > 0 and given[place - 1] in PLACES:
            continue
        kept.append(argument)
    return kept


def warm(step: int) -> float:
    return min(1.0, (step + 1) / 100)


def clock_time(text: str) -> float:
    """The next time the clock shows HH:MM, in seconds."""
    hour, minute = (int(part) for part in text.split(":"))
    when = datetime.now().replace(hour=hour, minute=minute, second=0, microsecond=0).timestamp()
    return when if when > time.time() else when + 24 * 3600


def work(rank: int, options: argparse.Namespace) -> None:
    if options.workers > 1:
        torch.set_num_threads(1)
        meeting = (options.snapshots / "meeting").absolute()
        dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=options.workers)
    run = Run(options, rank)
    run.vision_phase()
    run.whole_phase()
    if rank == 0:
        run.put(run.average)
        export(run.family, run.model, run.tokenizer, options.out)
        write_provenance(options.out, run.facts(), options.init)
    if options.workers > 1:
        dist.destroy_process_group()


def main() -> None:
    options = arguments()
    options.snapshots.mkdir(parents=True, exist_ok=True)
    if options.workers is None:
        options.workers = 1 if torch.cuda.is_available() else os.cpu_count() or 1
    if options.workers == 1:
        work(0, options)
        return
    # One process per core: small matrices gain little from threads, and less on a busy machine.
    (options.snapshots / "meeting").unlink(missing_ok=True)
    processes.spawn(work, (options,), nprocs=options.workers)


if __name__ == "__main__":
    main()
