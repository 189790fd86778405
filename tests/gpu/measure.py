"""What steady does on a real GPU, in one go: for machines that are lent for minutes.

    cargo build --release && cargo test --release -p steady-gpu --no-run && cargo xtask synthetic LARGE
    python tests/gpu/measure.py target/release/steady OUT --large LARGE --tests target/release/deps/conformance-* [--questions 300]

Needs Python and nothing else; on Linux the GPU's Vulkan driver and its loader. Each step is printed as it ends and kept in OUT/measured.json, so a run
that is cut off has told what it knew. Steps:

1. devices: what there is, and its pace.
2. conformance: every kernel against its definition in f64.
3. studies: the embedded models on the CPU and twice on the GPU: seconds, answers that differ though the CPU's margin is firm, equal bytes.
4. large: a checkpoint with the shapes of Qwen2-VL-2B (2.2 billion parameters, random weights, f16): seconds of a process's first answer, the first token
   of a prompt of about 1,400 tokens, decoding, all of it with 4-bit weights beside it; and in f16 once more by matrix units, if there are some.

`--device cpu --large tests/reference/tiny-qwen2-vl/published --side 100` goes the same way without a GPU, for trying this script.
"""

import argparse
import json
import os
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

# A first token with less between its two best candidates may be another on another device.
FIRM = 0.05
ACCELERATIONS = ["w4:rtn", "int8", "divprune:keep=0.33", "fastv:k=2,keep=0.5", "random:keep=0.33"]
START = time.time()


def say(step, /, **found):
    print(f"[{time.time() - START:6.1f} s] {step}:", json.dumps(found), flush=True)
    measured.setdefault(step, []).append(found)
    (options.out / "measured.json").write_text(json.dumps(measured, indent=1))


def run(*command):
    """Seconds, and what it printed; a failure is said and is no end."""
    start = time.time()
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode:
        say("failed", command=" ".join(str(word) for word in command), exit=done.returncode, stderr=done.stderr[-1500:])
    return time.time() - start, done.stdout if done.returncode == 0 else None


def devices():
    _, text = run(options.steady, "devices", "--json")
    if text:
        say("devices", **json.loads(text))


def conformance():
    for binary in options.tests:
        seconds, text = run(binary)
        said = [line for line in (text or "").splitlines() if line.startswith("test result")]
        say("conformance", binary=Path(binary).name, seconds=round(seconds, 1), result=said)


def study(model, device, folder):
    specs = [word for spec in options.accel for word in ("--accel", spec)]
    command = ["--models", model, "--device", device, "--questions", options.questions, "--control", "order", *specs, "--out", folder]
    seconds, text = run(options.steady, *command)
    return seconds, text is not None


def answers(folder):
    """By acceleration and question: the text, and the margin of its first token."""
    report = json.loads((folder / "report.json").read_text())
    questions = report["questions"]
    columns = {"baseline": [question["baseline"] for question in questions]}
    columns |= {column["spec"]: column["answers"] for column in report["accelerations"] + report["controls"]}
    return {
        (spec, question["id"]): (answer["text"], answer.get("margin"))
        for spec, given in columns.items()
        for question, answer in zip(questions, given, strict=True)
    }


def parquet(folder):
    return [file.read_bytes() for file in sorted((folder / "records").glob("*.parquet"))]


def studies():
    for model in options.models:
        folders = [options.out / f"{model}-{name}" for name in ("cpu", "gpu", "again")]
        devices = ["cpu", options.device, options.device]
        seconds = []
        for device, folder in zip(devices, folders):
            took, whole = study(model, device, folder)
            seconds.append(round(took, 1))
            if not whole:
                break
        else:
            cpu, gpu = answers(folders[0]), answers(folders[1])
            other = [key for key in cpu if cpu[key][0] != gpu[key][0]]
            firm = [[*key, *cpu[key], gpu[key][0]] for key in other if (cpu[key][1] or 0) > FIRM]
            say(
                "study", model=model, questions=options.questions, cpu_s=seconds[0], gpu_s=seconds[1], again_s=seconds[2], answers=len(cpu),
                other=len(other), other_though_firm=firm, same_bytes=parquet(folders[1]) == parquet(folders[2]),
            )


def picture(file, side):
    """A PNG of stripes."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + bytes((x * 7 + y * 13) % 256 for x in range(3 * side)) for y in range(side))
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def large():
    """With `f32` arithmetic, and where the GPU has matrix units once more by those."""
    if not options.large:
        return
    has_units = options.device == "gpu" and any("with matrix units" in str(found) for found in measured.get("devices", []))
    for units in ("", "cooperative") if has_units else ("",):
        os.environ["STEADY_MATRIX_UNITS"] = units
        timed(units)
    del os.environ["STEADY_MATRIX_UNITS"]


def timed(units):
    image = options.out / "image.png"
    picture(image, options.side)
    prompt = "<|vision_start|><|image_pad|><|vision_end|>What is this?"
    for spec in (None,) if units else (None, "w4:rtn"):
        by_length = {}
        # The first process compiles; the second finds what it left.
        for new in (1, 1, 65):
            # Under `random:keep=1` the baseline is asked once more, with everything in place.
            accelerations = ["--accel", "random:keep=1"] if spec is None else ["--accel", spec, "--accel", f"{spec}+random:keep=1"]
            dtype = "f32" if options.device == "cpu" else "f16"
            command = ["ask", "--model", options.large, "--image", image, "--prompt", prompt, "--device", options.device, "--dtype", dtype]
            seconds, text = run(options.steady, *command, "--max-new-tokens", new, "--json", *accelerations)
            if text is None:
                return
            by_length[new] = json.loads(text)["answers"]
            first = by_length[new][0]["timing"]
            say("process", units=units, accel=spec, tokens=new, seconds=round(seconds, 1), first_answer_ms=round(first["answer_ms"]))
        [one, many] = [by_length[new][-1] for new in (1, 65)]
        ms = many["timing"]["answer_ms"] - one["timing"]["answer_ms"]
        more = len(many["output_ids"]) - len(one["output_ids"])
        say(
            "large", units=units, accel=spec, prompt_tokens=len(one["input_ids"]), first_token_ms=round(one["timing"]["answer_ms"], 1),
            decode_tokens_per_s=round(more / ms * 1e3, 1) if more >= 32 else None,
        )


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("steady", type=Path)
parser.add_argument("out", type=Path)
parser.add_argument("--large", type=Path)
parser.add_argument("--side", type=int, default=1036, help="pixels of the large model's image, each way")
parser.add_argument("--tests", nargs="*", default=[])
parser.add_argument("--questions", type=int, default=300)
parser.add_argument("--models", nargs="*", default=["steady-llava", "steady-llava-next", "steady-qwen2-vl", "steady-qwen2.5-vl"])
parser.add_argument("--accel", nargs="*", default=ACCELERATIONS, help="accelerations and presets of the studies")
parser.add_argument("--device", default="gpu")
options = parser.parse_args()
options.out.mkdir(parents=True, exist_ok=True)
measured = {}
for step in (devices, conformance, studies, large):
    try:
        step()
    except Exception as problem:  # the next step may still tell something
        say("failed", in_step=step.__name__, problem=repr(problem))
sys.exit("failed" in measured)
