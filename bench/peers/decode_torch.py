"""Times PyTorch on the CPU at the shapes of a 7B decoder: decode of one token and prefill.

Uses plain modules: a few layers of the full width stand for all 32, since each is the same work.
Weights are random bf16 values written to, so that every page is real. GB/s counts the weights of
the matmuls and the live keys and values, GFLOP/s two operations per weight and token (the causal
half of attention is counted too). Prints one JSON object.
"""

import argparse
import json
import os
import statistics
import time

import torch
from torch import nn

WIDTH, INNER, HEADS, KV_HEADS, HEAD = 4096, 14336, 32, 8, 128


def rotate(x, cos, sin):
    """Half rotation of [B, heads, T, HEAD] by tables [T, HEAD]."""
    first, second = x.chunk(2, -1)
    return x * cos + torch.cat((-second, first), -1) * sin


class Layer(nn.Module):
    """One decoder layer with grouped queries, RMSNorm and a gated MLP; caches keys and values."""

    def __init__(self, positions, dtype):
        super().__init__()

        def dense(columns, rows):
            return nn.Linear(columns, rows, bias=False, dtype=dtype)

        self.q, self.o = dense(WIDTH, HEADS * HEAD), dense(HEADS * HEAD, WIDTH)
        self.k, self.v = dense(WIDTH, KV_HEADS * HEAD), dense(WIDTH, KV_HEADS * HEAD)
        self.gate, self.up = dense(WIDTH, INNER), dense(WIDTH, INNER)
        self.down = dense(INNER, WIDTH)
        self.norm1 = nn.RMSNorm(WIDTH, dtype=dtype)
        self.norm2 = nn.RMSNorm(WIDTH, dtype=dtype)
        self.keys = torch.zeros(1, KV_HEADS, positions, HEAD, dtype=dtype)
        self.values = torch.zeros_like(self.keys)

    def attend(self, x, start, cos, sin):
        tokens = x.shape[1]

        def heads(projected, count):
            return projected.view(1, tokens, count, HEAD).transpose(1, 2)

        q = rotate(heads(self.q(x), HEADS), cos, sin)
        self.keys[:, :, start : start + tokens] = rotate(heads(self.k(x), KV_HEADS), cos, sin)
        self.values[:, :, start : start + tokens] = heads(self.v(x), KV_HEADS)
        mixed = nn.functional.scaled_dot_product_attention(
            q,
            self.keys[:, :, : start + tokens],
            self.values[:, :, : start + tokens],
            is_causal=tokens > 1,
            enable_gqa=True,
        )
        return self.o(mixed.transpose(1, 2).reshape(1, tokens, HEADS * HEAD))

    def forward(self, x, start, cos, sin):
        x = x + self.attend(self.norm1(x), start, cos, sin)
        hidden = self.norm2(x)
        return x + self.down(nn.functional.silu(self.gate(hidden)) * self.up(hidden))


def tables(start, tokens, dtype):
    frequencies = 10000.0 ** (-torch.arange(0, HEAD, 2) / HEAD)
    angles = torch.outer(torch.arange(start, start + tokens), frequencies).repeat(1, 2)
    return angles.cos().to(dtype), angles.sin().to(dtype)


def run(layers, x, start):
    cos, sin = tables(start, x.shape[1], x.dtype)
    for layer in layers:
        x = layer(x, start, cos, sin)
    return x


def timed(work, steps):
    """Seconds of each of `steps` calls; one call before them is not counted."""
    work()
    seconds = []
    for _ in range(steps):
        begin = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begin)
    return seconds


@torch.inference_mode()
def measure(options):
    dtype = getattr(torch, options.dtype)
    layers = [Layer(options.prompt + options.steps + 1, dtype) for _ in range(options.layers)]
    weights = sum(p.numel() for layer in layers for p in layer.parameters() if p.dim() == 2)
    size = torch.finfo(dtype).bits // 8
    prompt = torch.randn(1, options.prompt, WIDTH, dtype=dtype)
    token = torch.randn(1, 1, WIDTH, dtype=dtype)
    prefill = timed(lambda: run(layers, prompt, 0), options.prefill_steps)
    decode = timed(lambda: run(layers, token, options.prompt), options.steps)
    kept = 2 * KV_HEADS * HEAD * (options.prompt + 1) * options.layers
    attention = 2 * HEADS * HEAD * options.prompt**2 * options.layers
    return {
        "program": "pytorch " + torch.__version__,
        "threads": options.threads,
        "dtype": options.dtype,
        "layers": options.layers,
        "prompt_tokens": options.prompt,
        "prefill": {
            "ms": 1e3 * statistics.median(prefill),
            "gflops": (2 * weights * options.prompt + attention) / statistics.median(prefill) / 1e9,
        },
        "decode": {
            "ms_per_token": 1e3 * statistics.median(decode),
            "gbs": (weights + kept) * size / statistics.median(decode) / 1e9,
        },
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--prefill-steps", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--dtype", choices=["bfloat16", "float32"], default="bfloat16")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    print(json.dumps(measure(options), indent=1))


if __name__ == "__main__":
    main()
