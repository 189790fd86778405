"""llama.cpp as a peer, through `pip install xllamacpp==2026.10.11549`.

    python tests/peers/by_llama_cpp.py FOLDER PICTURE QUESTION THREADS

FOLDER holds model.gguf and mmproj.gguf. It says `ready`, then reads the number of tokens that an answer is to have and writes the seconds of it, line by line: picture,
prompt and all, nothing kept from the answer before.
"""

import base64
import sys
import time
from pathlib import Path

import xllamacpp


def main() -> None:
    folder, picture, question, threads = sys.argv[1:]
    params = xllamacpp.CommonParams()
    params.model.path, params.mmproj.path = f"{folder}/model.gguf", f"{folder}/mmproj.gguf"
    params.n_ctx, params.n_parallel, params.warmup, params.cache_prompt = 1024, 1, True, False
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = int(threads)
    params.sampling.temp = 0.0
    server = xllamacpp.Server(params)
    url = "data:image/png;base64," + base64.b64encode(Path(picture).read_bytes()).decode()
    content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": "\n" + question}]
    print("ready 0", flush=True)
    for line in sys.stdin:
        tokens = int(line)
        asked = {"messages": [{"role": "user", "content": content}], "max_tokens": tokens, "temperature": 0.0, "ignore_eos": True, "cache_prompt": False}
        start = time.perf_counter()
        reply = server.handle_chat_completions(asked)
        seconds = time.perf_counter() - start
        made = reply["usage"]["completion_tokens"]
        if made != tokens:
            sys.exit(f"asked for {tokens} tokens, llama.cpp made {made}")
        print(seconds, flush=True)


if __name__ == "__main__":
    main()
