"""Times a training step of the two image networks in PyTorch on the CPU; prints one JSON object.

The networks, the batch and the optimizer are those of tests/fixtures/image_nets.py; the images are
random, since the time does not depend on them.
"""

import argparse
import json
import os
import pathlib
import statistics
import sys
import time

import torch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests" / "fixtures"))
import image_nets as nets


def measure(name, steps):
    """Milliseconds of each step after five that are not counted."""
    torch.manual_seed(0)
    net = nets.NETS[name]()
    sgd = nets.optimizer(net, net.RATE)
    images = torch.rand(nets.BATCH, nets.PIXELS, nets.PIXELS, 1)
    labels = torch.randint(10, (nets.BATCH,))
    times = []
    for _ in range(steps + 5):
        begin = time.perf_counter()
        nets.step(net, sgd, images, labels)
        times.append(1e3 * (time.perf_counter() - begin))
    times = sorted(times[5:])
    p99 = times[min(len(times) - 1, int(0.99 * len(times)))]
    return {"mean": statistics.mean(times), "median": statistics.median(times), "p99": p99}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    result = {
        "program": "pytorch " + torch.__version__,
        "threads": options.threads,
        "batch": nets.BATCH,
        "step_ms": {name: measure(name, options.steps) for name in nets.NETS},
    }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
