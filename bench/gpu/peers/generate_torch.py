"""Times greedy generation in PyTorch: plain modules, bf16, SDPA, a static cache, compiled steps.

One call is what a row of Table 2 times: a prompt, then one token after another until max_length
positions are full. Prefill and decode step are compiled once each (torch.compile, max-autotune
where asked for, with CUDA graphs on a GPU); the chosen token stays on the device and goes into the
next step, so the host never waits within a call. Weights are random: every kernel does the same
work for any values. Prints one JSON line.
"""

import argparse
import json
import time

import torch
from torch import nn
from torch.nn import functional

from sizes import sizes_of, summary


class Norm(nn.Module):
    def __init__(self, sizes):
        super().__init__()
        self.gain = nn.Parameter(torch.zeros(sizes.width) + (1.0 - sizes.gain_offset))
        self.offset, self.eps = sizes.gain_offset, sizes.eps

    def forward(self, x):
        wide = x.float()
        scale = torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.eps)
        return (wide * scale * (self.gain + self.offset)).to(x.dtype)


def rotate(x, cos, sin):
    """Half rotation of [B, heads, T, head] by tables [T, head]."""
    first, second = x.chunk(2, -1)
    return x * cos + torch.cat((-second, first), -1) * sin


class Layer(nn.Module):
    def __init__(self, sizes, batch, positions, device):
        super().__init__()

        def dense(columns, rows):
            return nn.Linear(columns, rows, bias=False)

        self.sizes = sizes
        self.qkv = dense(sizes.width, (sizes.heads + 2 * sizes.kv) * sizes.head)
        self.out = dense(sizes.heads * sizes.head, sizes.width)
        self.gate_up = dense(sizes.width, 2 * sizes.hidden)
        self.down = dense(sizes.hidden, sizes.width)
        self.norm1, self.norm2 = Norm(sizes), Norm(sizes)
        shape = (batch, sizes.kv, positions, sizes.head)
        self.register_buffer("keys", torch.zeros(shape, dtype=torch.bfloat16, device=device))
        self.register_buffer("values", torch.zeros(shape, dtype=torch.bfloat16, device=device))

    def attend(self, x, where, cos, sin, mask):
        s, (batch, tokens, _) = self.sizes, x.shape
        widths = [s.heads * s.head, s.kv * s.head, s.kv * s.head]
        q, k, v = self.qkv(x).split(widths, -1)

        def heads(part, count):
            return part.view(batch, tokens, count, s.head).transpose(1, 2)

        self.keys.index_copy_(2, where, rotate(heads(k, s.kv), cos, sin))
        self.values.index_copy_(2, where, heads(v, s.kv))
        mixed = functional.scaled_dot_product_attention(
            rotate(heads(q, s.heads), cos, sin),
            self.keys,
            self.values,
            attn_mask=mask,
            enable_gqa=s.kv != s.heads,
        )
        return self.out(mixed.transpose(1, 2).reshape(batch, tokens, s.heads * s.head))

    def forward(self, x, where, cos, sin, mask):
        x = x + self.attend(self.norm1(x), where, cos, sin, mask)
        gate, up = self.gate_up(self.norm2(x)).chunk(2, -1)
        act = functional.silu if self.sizes.gate == "silu" else self.gelu
        return x + self.down(act(gate) * up)

    @staticmethod
    def gelu(x):
        return functional.gelu(x, approximate="tanh")


class Decoder(nn.Module):
    def __init__(self, sizes, batch, positions, device):
        super().__init__()
        self.sizes, self.positions = sizes, positions
        self.table = nn.Embedding(sizes.vocab, sizes.width)
        layers = [Layer(sizes, batch, positions, device) for _ in range(sizes.depth)]
        self.layers = nn.ModuleList(layers)
        self.norm = Norm(sizes)
        self.head = None if sizes.tied else nn.Linear(sizes.width, sizes.vocab, bias=False)
        powers = torch.arange(0, sizes.head, 2, device=device) / sizes.head
        angles = torch.outer(torch.arange(positions, device=device), sizes.theta**-powers)
        angles = angles.repeat(1, 2)
        self.register_buffer("cos", angles.cos().to(torch.bfloat16), persistent=False)
        self.register_buffer("sin", angles.sin().to(torch.bfloat16), persistent=False)

    def forward(self, tokens, where):
        """The token after the last of `tokens` [B, T], which stand at positions `where` [T]."""
        mask = where[:, None] >= torch.arange(self.positions, device=where.device)[None, :]
        x = self.table(tokens)
        if self.sizes.scaled_embedding:
            x = x * self.sizes.width**0.5
        cos, sin = self.cos[where], self.sin[where]
        for layer in self.layers:
            x = layer(x, where, cos, sin, mask)
        last = self.norm(x[:, -1])
        table = self.table.weight if self.head is None else self.head.weight
        return functional.linear(last, table).argmax(-1, keepdim=True)


def synchronize(device):
    if device == "cuda":
        torch.cuda.synchronize()


def generate(prefill, step, prompt, positions, device):
    """One call: [B, positions] tokens, the prompt included."""
    length = prompt.shape[1]
    token = prefill(prompt, torch.arange(length, device=device)).clone()
    tokens = [prompt, token]
    for at in range(length, positions - 1):
        token = step(token, torch.full((1,), at, device=device)).clone()
        tokens.append(token)
    return torch.cat(tokens, 1).cpu()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("row", help="a row of rows.json, as JSON")
    parser.add_argument("--calls", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=60, help="stop earlier after this time")
    parser.add_argument("--mode", default="default", help="of torch.compile; eager: none")
    parser.add_argument("--device", default="cuda")
    arguments = parser.parse_args()
    row = json.loads(arguments.row)
    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16)
    device, positions = arguments.device, row["max_length"]
    with torch.device(device), torch.inference_mode():
        model = Decoder(sizes_of(row["model"]), row["batch"], positions, device)
        prompt = torch.randint(1, row["model"]["vocab_size"], (row["batch"], row["prompt"]))
        prefill, step = model, model
        if arguments.mode != "eager":
            prefill = torch.compile(model, mode=arguments.mode)
            step = torch.compile(model, mode=arguments.mode)
        for _ in range(2):
            generate(prefill, step, prompt, positions, device)
        times, begin = [], time.perf_counter()
        while len(times) < arguments.calls and time.perf_counter() - begin < arguments.seconds:
            synchronize(device)
            start = time.perf_counter()
            generate(prefill, step, prompt, positions, device)
            times.append(1e3 * (time.perf_counter() - start))
    print(summary("torch", f"{torch.__version__} {arguments.mode}", times))


if __name__ == "__main__":
    main()
