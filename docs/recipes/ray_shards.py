"""A study as tasks of Ray, a shard each; Ray starts a task again whose worker died, and it goes on where it stopped.

    python docs/recipes/ray_shards.py --shards 8 --cpus 4 --gpus 0 -- --out runs/big --model DIR --accel w4:rtn

Every worker must see the folder of --out. Tried with Ray from PyPI; see docs/scale.md.
"""

import argparse
import subprocess
import sys

import ray


def shard(number: int, of: int, arguments: list[str]) -> str:
    command = ["steady", "run", *arguments, "--shard", f"{number}/{of}"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}\n{done.stderr}")
    return done.stdout.splitlines()[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", type=int, required=True, help="more than there are workers, and slow ones do not hold up the rest")
    parser.add_argument("--cpus", type=float, default=1, help="cores for each shard")
    parser.add_argument("--gpus", type=float, default=0, help="GPUs for each shard")
    parser.add_argument("study", nargs=argparse.REMAINDER, help="after --, what `steady run` is given, with --out")
    chosen = parser.parse_args()
    study = [word for word in chosen.study if word != "--"]
    out = study[study.index("--out") + 1]
    ray.init()
    # A shard that fails says why; only a worker that is lost is worth another try.
    task = ray.remote(num_cpus=chosen.cpus, num_gpus=chosen.gpus, max_retries=3)(shard)
    for line in ray.get([task.remote(number, chosen.shards, study) for number in range(1, chosen.shards + 1)]):
        print(line)
    sys.exit(subprocess.run(["steady", "merge", out]).returncode)


if __name__ == "__main__":
    main()
