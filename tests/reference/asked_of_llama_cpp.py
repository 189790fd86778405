"""What llama.cpp makes of the files that `steady quantize --format gguf` writes.

    python tests/reference/asked_of_llama_cpp.py STEADY

STEADY is the built program. Needs torch, transformers and `pip install llama-cpp-python==0.3.36 sentencepiece==0.2.3`.

* Three embedded models in Q8_0 are loaded and asked the ten `world-` questions of their reference cases; how many answers are those of `steady ask` is printed. They need not
  all be: llama.cpp rounds activations and has its own way with pixels.
* steady-llava gets a vocabulary of SentencePiece's, trained on the lines of the documentation; llama.cpp's tokens of each line are those of SentencePiece, and of
  `tokenizer.json` by transformers where the line names no special token, which llama.cpp then reads as text.

Last run with transformers 5.23.0 and torch 2.15.0 on a CPU.
"""

import base64
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import sentencepiece
import torch
from llama_cpp import Llama
from llama_cpp.llama_chat_format import MTMDChatHandler
from transformers import LlavaForConditionalGeneration, PreTrainedTokenizerFast

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "tests" / "reference"
# What stands between a picture and its question, where a template does not put it.
BETWEEN = {"steady-llava": "\n", "steady-qwen2-vl": "", "steady-qwen2.5-vl": ""}
MORE = ["héllo wörld 你好 🙂", "   three   spaces", " leading", "tab\tnew", "USER: how many circles? ASSISTANT:", "1234567890", ""]


def write(model: Path, out: Path) -> Path:
    subprocess.run([sys.argv[1], "quantize", "--model", str(model), "--accel", "q8_0", "--format", "gguf", "--out", str(out)], check=True, capture_output=True)
    return out


def ask(model: str, folder: Path) -> None:
    handler = MTMDChatHandler(str(folder / "mmproj.gguf"), verbose=False, use_gpu=False)
    llama = Llama(str(folder / "model.gguf"), chat_handler=handler, n_ctx=512, verbose=False)
    cases = [case for case in json.loads((REFERENCE / model / "cases.json").read_text())["cases"] if case["id"].startswith("world-")]
    alike, others = 0, []
    for case in cases:
        picture, question = REFERENCE / model / "images" / case["image"], case["question"]
        url = "data:image/png;base64," + base64.b64encode(picture.read_bytes()).decode()
        content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": BETWEEN[model] + question}]
        said = llama.create_chat_completion(messages=[{"role": "user", "content": content}], temperature=0.0, max_tokens=12, repeat_penalty=1.0)
        there = said["choices"][0]["message"]["content"].strip()
        command = [sys.argv[1], "ask", "--model", str(folder), "--image", str(picture), "--question", question, "--device", "cpu", "--json"]
        here = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["answers"][0]["text"].strip()
        alike += there == here
        others += [] if there == here else [(case["id"], there, here)]
    print(f"{model}: {alike} of {len(cases)} answers are those of steady; others (case, llama.cpp, steady): {others}", flush=True)


def with_sentencepiece(lines: list[str], folder: Path) -> tuple[Path, sentencepiece.SentencePieceProcessor]:
    prefix = folder / "pieces"
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_prefix=str(prefix),
        vocab_size=2000,
        model_type="bpe",
        byte_fallback=True,
        split_digits=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        allow_whitespace_only_pieces=True,
        max_sentence_length=10_000,
        minloglevel=2,
    )
    pieces = sentencepiece.SentencePieceProcessor(model_file=f"{prefix}.model")
    vocabulary = {pieces.id_to_piece(token): token for token in range(pieces.get_piece_size())}
    # As transformers' converters make merges: every split of a piece into two, by the piece's rank and then by the halves'.
    plain = [piece for piece, token in vocabulary.items() if not (pieces.is_control(token) or pieces.is_byte(token) or pieces.is_unknown(token))]
    splits = [(piece[:at], piece[at:], vocabulary[piece]) for piece in plain for at in range(1, len(piece)) if piece[:at] in vocabulary and piece[at:] in vocabulary]
    splits.sort(key=lambda split: (split[2], vocabulary[split[0]], vocabulary[split[1]]))
    published, checkpoint = REFERENCE / "tiny-llava-published" / "checkpoint", folder / "checkpoint"
    shutil.copytree(ROOT / "models" / "steady-llava", checkpoint)
    shutil.copy(published / "tokenizer_config.json", checkpoint)
    tokenizer = json.loads((published / "tokenizer.json").read_text())
    count = len(vocabulary)
    for added in tokenizer["added_tokens"]:
        added["id"], count = (vocabulary[added["content"]], count) if added["content"] in vocabulary else (count, count + 1)
    ids = {added["content"]: added["id"] for added in tokenizer["added_tokens"]}
    tokenizer["model"] |= {"vocab": vocabulary, "merges": [[left, right] for left, right, _ in splits]}
    (checkpoint / "tokenizer.json").write_text(json.dumps(tokenizer, ensure_ascii=False))
    rows = count + 64 - count % 64
    model = LlavaForConditionalGeneration.from_pretrained(ROOT / "models" / "steady-llava", dtype=torch.float16)
    model.resize_token_embeddings(rows)
    model.save_pretrained(checkpoint)
    config = json.loads((ROOT / "models" / "steady-llava" / "config.json").read_text())
    special = {"bos_token_id": ids["<s>"], "eos_token_id": ids["</s>"], "pad_token_id": ids["<pad>"]}
    config["text_config"] |= special | {"vocab_size": rows}
    config |= {key: value for key, value in (special | {"image_token_index": ids["<image>"], "image_token_id": ids["<image>"], "vocab_size": rows}).items() if key in config}
    (checkpoint / "config.json").write_text(json.dumps(config))
    (checkpoint / "generation_config.json").write_text(json.dumps({"bos_token_id": ids["<s>"], "eos_token_id": ids["</s>"]}))
    return checkpoint, pieces


def tokens(folder: Path) -> None:
    files = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "ARCHITECTURE.md", ROOT / "README.md"]
    lines = [line for file in files for line in file.read_text().split("\n") if line.strip()]
    checkpoint, pieces = with_sentencepiece(lines, folder)
    llama = Llama(str(write(checkpoint, folder / "gguf") / "model.gguf"), n_ctx=64, verbose=False)
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(checkpoint / "tokenizer.json"))
    special = [token for token in tokenizer.get_added_vocab()]
    compared = 0
    for line in lines + MORE:
        found = llama.tokenize(line.encode(), add_bos=True, special=False)
        assert found[1:] == pieces.encode(line), f"SentencePiece: {line!r}"
        if not any(token in line for token in special):
            compared += 1
            assert found == tokenizer(line)["input_ids"], f"transformers: {line!r}"
    print(f"llama.cpp's tokens of {len(lines + MORE)} lines are SentencePiece's, and of {compared} those of transformers")


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for model in BETWEEN:
            ask(model, write(ROOT / "models" / model, folder / model))
        tokens(folder)


if __name__ == "__main__":
    main()
