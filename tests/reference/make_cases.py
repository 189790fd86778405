"""Makes the reference cases: what transformers and Pillow compute, for the Rust code to be compared with.

    python tests/reference/make_cases.py                 everything
    python tests/reference/make_cases.py steady-llava    one part: pillow | torchvision | templates | variants | steady-* | tiny-*

Needs torch, torchvision, transformers and Pillow (versions of the last run: VERSIONS.json). Seeded: the same versions give the same
files. The `steady-*` parts read the checkpoint of that name in models/, ask it the first 120 questions of the pinned
suite too, and draw their pictures with the world's own generator (cargo, or the built one that `STEADY_WORLD` names), so
run them again whenever that checkpoint changes; the `tiny-*` parts make their checkpoints themselves.

Settings: CPU, f32, eager attention, greedy decoding with the checkpoint's generation_config; Pillow's image processors, but for the
part `torchvision`.
"""

import argparse
import platform
from pathlib import Path

import numpy
import PIL
import safetensors
import tokenizers
import torch
import transformers

import embedded
import pillow_cases
import template_cases
import tiny_llava
import tiny_llava_med
import tiny_llava_next
import tiny_llava_published
import tiny_qwen
import torchvision_cases
import variant_cases
from cases import write_json

HERE = Path(__file__).resolve().parent
PARTS = {
    "pillow": pillow_cases.make,
    "templates": template_cases.make,
    "tiny-llava": tiny_llava.make,
    "tiny-llava-med": tiny_llava_med.make,
    "tiny-llava-next-mistral": tiny_llava_next.make_mistral,
    "tiny-llava-next-vicuna": tiny_llava_next.make_vicuna,
    "tiny-llava-published": tiny_llava_published.make,
    "tiny-qwen2-vl": tiny_qwen.make_qwen2_vl,
    "tiny-qwen2_5-vl": tiny_qwen.make_qwen2_5_vl,
    "variants": variant_cases.make,
    **dict.fromkeys(embedded.CHECKPOINTS, embedded.make),
    # last: it asks the questions of the others' cases
    "torchvision": torchvision_cases.make,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=" | ".join(PARTS))
    parts = parser.parse_args().parts or list(PARTS)
    if unknown := [part for part in parts if part not in PARTS]:
        parser.error(f"unknown part {unknown[0]!r}; known: {', '.join(PARTS)}")
    torch.set_num_threads(1)
    transformers.utils.logging.set_verbosity_error()
    for part in parts:
        PARTS[part](HERE / part)
    write_json(
        HERE / "VERSIONS.json",
        {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "tokenizers": tokenizers.__version__,
            "safetensors": safetensors.__version__,
            "pillow": PIL.__version__,
            "numpy": numpy.__version__,
        },
    )


if __name__ == "__main__":
    main()
