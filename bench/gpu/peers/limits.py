"""What the machine can do, measured with PyTorch: the bandwidth of the device's memory, reading and
copying, and the rate of a large bf16 product of random numbers. Prints one JSON line."""

import argparse
import json
import time

import torch

RUNS = 10


def clock(device, work):
    """Seconds of work(), the least and the median of some runs."""
    times = []
    for run in range(RUNS + 3):
        if device == "cuda":
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            work()
            end.record()
            end.synchronize()
            seconds = begin.elapsed_time(end) * 1e-3
        else:
            start = time.perf_counter()
            work()
            seconds = time.perf_counter() - start
        if run >= 3:
            times.append(seconds)
    return min(times), sorted(times)[len(times) // 2]


def bandwidth(device, size):
    """GB/s of reading, and of copying (bytes read and written), over `size` bytes."""
    source = torch.randn(size // 4, device=device)
    target = torch.empty_like(source)
    read = [size / seconds / 1e9 for seconds in clock(device, source.sum)]
    copy = [2 * size / seconds / 1e9 for seconds in clock(device, lambda: target.copy_(source))]
    return {"read_gbs": read[0], "read_gbs_median": read[1],
            "copy_gbs": copy[0], "copy_gbs_median": copy[1]}


def product(device, order):
    """TFLOP/s of a product of two square bf16 matrices."""
    a, b = (torch.randn(order, order, device=device, dtype=torch.bfloat16) for _ in range(2))
    best, median = clock(device, lambda: a @ b)
    return {"bf16_tflops": 2e-12 * order**3 / best, "bf16_tflops_median": 2e-12 * order**3 / median}


def facts(device):
    found = {"torch": torch.__version__, "cuda": torch.version.cuda}
    if device == "cuda":
        gpu = torch.cuda.get_device_properties(0)
        found |= {"name": gpu.name, "multiprocessors": gpu.multi_processor_count,
                  "memory_bytes": gpu.total_memory, "sm": gpu.major * 10 + gpu.minor,
                  "l2_bytes": getattr(gpu, "L2_cache_size", None)}
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--bytes", type=int, default=4 << 30)
    parser.add_argument("--order", type=int, default=8192, help="of the matrices")
    arguments = parser.parse_args()
    device = arguments.device
    print(json.dumps({**facts(device), **bandwidth(device, arguments.bytes),
                      **product(device, arguments.order)}))


if __name__ == "__main__":
    main()
