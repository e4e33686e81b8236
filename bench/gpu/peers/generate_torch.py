"""Times greedy generation in PyTorch: plain modules, bf16, SDPA, a static cache, compiled steps.

One call is what a row of Table 2 times: a prompt, then one token after another until max_length
positions are full. Prefill and decode step are compiled once each (torch.compile in the mode that
is asked for, with CUDA graphs in all but `default`); the chosen token stays on the device and goes
into the next step, so the host never waits within a call. Weights are random, and those of our
programs: before it is timed, the model with fewer layers must give the logits of our CPU. Prints
one JSON line.
"""

import argparse
import sys
import time

import torch
from torch import nn
from torch.nn import functional

import draw_torch
from sizes import (HEAD, LAST_NORM, PARTS, TABLE, layer_tensors, read_row, relative_error, sizes_of,
                   summary)


def empty(*dims):
    return nn.Parameter(torch.empty(dims), requires_grad=False)


class Norm(nn.Module):
    def __init__(self, sizes):
        super().__init__()
        self.gain = empty(sizes.width)
        self.offset, self.eps = sizes.gain_offset, sizes.eps

    def forward(self, x):
        wide = x.float()
        scale = torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.eps)
        return (wide * scale * (self.gain.float() + self.offset)).to(x.dtype)


def rotate(x, cos, sin):
    """Half rotation of [B, heads, T, head] by tables [T, head]."""
    first, second = x.chunk(2, -1)
    return x * cos + torch.cat((-second, first), -1) * sin


class Layer(nn.Module):
    def __init__(self, sizes, batch, positions):
        super().__init__()
        self.sizes = sizes
        self.qkv = empty((sizes.heads + 2 * sizes.kv) * sizes.head, sizes.width)
        self.out = empty(sizes.width, sizes.heads * sizes.head)
        self.gate_up = empty(2 * sizes.hidden, sizes.width)
        self.down = empty(sizes.width, sizes.hidden)
        self.norm1, self.norm2 = Norm(sizes), Norm(sizes)
        shape = (batch, sizes.kv, positions, sizes.head)
        self.register_buffer("keys", torch.zeros(shape))
        self.register_buffer("values", torch.zeros(shape))

    def attend(self, x, where, cos, sin, mask):
        s, (batch, tokens, _) = self.sizes, x.shape
        widths = [s.heads * s.head, s.kv * s.head, s.kv * s.head]
        q, k, v = functional.linear(x, self.qkv).split(widths, -1)

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
        return functional.linear(mixed.transpose(1, 2).flatten(2), self.out)

    def forward(self, x, where, cos, sin, mask):
        x = x + self.attend(self.norm1(x), where, cos, sin, mask)
        gate, up = functional.linear(self.norm2(x), self.gate_up).chunk(2, -1)
        if self.sizes.gate == "silu":
            mixed = functional.silu(gate) * up
        else:
            mixed = functional.gelu(gate, approximate="tanh") * up
        return x + functional.linear(mixed, self.down)


class Decoder(nn.Module):
    def __init__(self, sizes, batch, positions):
        super().__init__()
        self.sizes, self.positions = sizes, positions
        self.table = empty(sizes.vocab, sizes.width)
        self.layers = nn.ModuleList(Layer(sizes, batch, positions) for _ in range(sizes.depth))
        self.norm = Norm(sizes)
        self.head = self.table if sizes.tied else empty(sizes.vocab, sizes.width)
        powers = torch.arange(0, sizes.head, 2, dtype=torch.float32) / sizes.head
        angles = torch.outer(torch.arange(positions, dtype=torch.float32), sizes.theta**-powers)
        angles = angles.repeat(1, 2)
        self.register_buffer("cos", angles.cos().to(self.table.dtype))
        self.register_buffer("sin", angles.sin().to(self.table.dtype))

    def load(self, weights, seed):
        """The weights of our programs; `weights` describes the tensors of the checkpoint."""
        for number, layer in enumerate(self.layers):
            for part in PARTS:
                whole = getattr(layer, part)
                draw_torch.draw_rows(whole.gain.data if part.startswith("norm") else whole.data,
                                     seed, layer_tensors(weights, part, number))
        for whole, name in ((self.table, TABLE), (self.norm.gain, LAST_NORM), (self.head, HEAD)):
            if name in weights:
                draw_torch.draw(whole.data, seed, weights[name])
        return self

    def hidden(self, tokens, where):
        mask = where[:, None] >= torch.arange(self.positions, device=where.device)[None, :]
        x = functional.embedding(tokens, self.table)
        if self.sizes.scaled_embedding:
            x = x * self.sizes.width**0.5
        cos, sin = self.cos[where], self.sin[where]
        for layer in self.layers:
            x = layer(x, where, cos, sin, mask)
        return x

    def logits(self, x):
        return functional.linear(self.norm(x), self.head)

    def forward(self, tokens, where):
        """The token after the last of `tokens` [B, T], which stand at positions `where` [T]."""
        return self.logits(self.hidden(tokens, where)[:, -1]).argmax(-1, keepdim=True)


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


def check(twin, seed, device):
    """The error of this model's logits against our CPU's, with few layers."""
    count = len(twin["first"])
    with torch.device(device):
        model = Decoder(sizes_of(twin["config"]), 1, count).load(twin["weights"], seed)
    tokens = torch.tensor([twin["first"]], device=device)
    logits = model.logits(model.hidden(tokens, torch.arange(count, device=device)))[0]
    got = logits[:, torch.tensor(twin["columns"], device=device)].float().flatten().tolist()
    return relative_error(got, twin["expected"])


def tokens_of_row(row):
    """Prompts as our `bench` makes them of ids, where a program has no tokenizer."""
    vocab = row["config"]["vocab_size"]
    return torch.tensor([[(at + 1) * (number + 1) * 7919 % vocab for at in range(row["prompt"])]
                         for number in range(row["batch"])])


def measure(row, device, arguments):
    """Milliseconds of each call, seconds of those that compile, and the tokens of the last."""
    positions, mode = row["max_length"], arguments.mode
    with torch.device(device):
        model = Decoder(sizes_of(row["config"]), row["batch"], positions)
        model.load(row["weights"], row["seed"])
    prompt = tokens_of_row(row).to(device)
    prefill = step = model
    if mode != "eager":
        prefill = torch.compile(model, mode=mode, fullgraph=True, dynamic=False)
        step = torch.compile(model, mode=mode, fullgraph=True, dynamic=False)
    begin, times = time.perf_counter(), []
    for _ in range(3):
        tokens = generate(prefill, step, prompt, positions, device)
    ready = time.perf_counter()
    while len(times) < arguments.calls and time.perf_counter() - ready < arguments.seconds:
        synchronize(device)
        start = time.perf_counter()
        tokens = generate(prefill, step, prompt, positions, device)
        times.append(1e3 * (time.perf_counter() - start))
    return times, ready - begin, tokens


def skipped_graphs():
    """How often torch.compile went without a CUDA graph, where it counts that."""
    counters = sys.modules.get("torch._dynamo.utils")
    return counters.counters["inductor"]["cudagraph_skips"] if counters else None


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("row", help="a row as sizes.py describes it, a JSON file")
    parser.add_argument("--calls", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=60, help="stop earlier after this time")
    parser.add_argument("--mode", default="default", help="of torch.compile; eager: none")
    parser.add_argument("--device", default="cuda")
    arguments = parser.parse_args()
    row, device = read_row(arguments.row), arguments.device
    torch.set_default_dtype(torch.bfloat16)
    with torch.no_grad():
        error = check(row["twin"], row["seed"], device) if row.get("twin") else None
        times, ready, tokens = measure(row, device, arguments)
    print(summary("torch", f"{torch.__version__} {arguments.mode}", times, twin_error=error,
                  ready_seconds=round(ready, 1), cudagraph_skips=skipped_graphs(),
                  tokens=tokens.tolist()))


if __name__ == "__main__":
    main()
