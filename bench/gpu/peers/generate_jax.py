"""Times greedy generation in JAX: one jitted program for the prompt and the whole loop, bf16.

The counterpart of generate_torch.py with JAX's own means: layers stacked and scanned, a static
cache, the loop of decode steps inside the compiled program, attention by
jax.nn.dot_product_attention; the same weights, and the same check of them. Prints one JSON line.
"""

import argparse
import functools
import time

import jax
import jax.numpy as jnp

import draw_jax
from sizes import (HEAD, LAST_NORM, PARTS, TABLE, layer_tensors, read_row, relative_error, sizes_of,
                   summary)


def load(sizes, weights, seed):
    """The parts of all layers stacked, [depth, rows, columns], and the tensors outside of them."""

    def part_of(part, layer):
        drawn = [draw_jax.draw(seed, tensor) for tensor in layer_tensors(weights, part, layer)]
        return jnp.concatenate(drawn) if len(drawn) > 1 else drawn[0]

    loaded = {part: jnp.stack([part_of(part, layer) for layer in range(sizes.depth)])
              for part in PARTS}
    for name in (TABLE, LAST_NORM, HEAD):
        if name in weights:
            loaded[name] = draw_jax.draw(seed, weights[name])
    return loaded


def norm(sizes, x, gain):
    wide = x.astype(jnp.float32)
    scale = jax.lax.rsqrt(jnp.mean(wide * wide, -1, keepdims=True) + sizes.eps)
    return (wide * scale * (gain.astype(jnp.float32) + sizes.gain_offset)).astype(x.dtype)


def rotate(x, cos, sin):
    first, second = jnp.split(x, 2, -1)
    return jnp.concatenate([first * cos - second * sin, second * cos + first * sin], -1)


def hidden(sizes, positions, weights, cache, tokens, start):
    """What the last layer gives for `tokens` [B, T], which stand at start.. ; and the new cache."""
    batch, length = tokens.shape
    where = start + jnp.arange(length)
    powers = jnp.arange(0, sizes.head, 2) / sizes.head
    angles = where[:, None] * sizes.theta**-powers
    cos, sin = (f(angles)[:, None, :].astype(jnp.bfloat16) for f in (jnp.cos, jnp.sin))
    mask = (where[:, None] >= jnp.arange(positions)[None, :])[None, None]
    x = weights[TABLE][tokens]
    if sizes.scaled_embedding:
        x = x * jnp.bfloat16(sizes.width**0.5)
    act = jax.nn.silu if sizes.gate == "silu" else functools.partial(jax.nn.gelu, approximate=True)
    widths = [sizes.heads * sizes.head, (sizes.heads + sizes.kv) * sizes.head]

    def layer(x, parts):
        own, keys, values = parts
        q, k, v = jnp.split(norm(sizes, x, own["norm1"]) @ own["qkv"].T, widths, -1)
        q, k, v = (part.reshape(batch, length, -1, sizes.head) for part in (q, k, v))
        keys = jax.lax.dynamic_update_slice(keys, rotate(k, cos, sin), (0, start, 0, 0))
        values = jax.lax.dynamic_update_slice(values, v, (0, start, 0, 0))
        mixed = jax.nn.dot_product_attention(rotate(q, cos, sin), keys, values, mask=mask)
        x = x + mixed.reshape(batch, length, -1) @ own["out"].T
        gate, up = jnp.split(norm(sizes, x, own["norm2"]) @ own["gate_up"].T, 2, -1)
        return x + (act(gate) * up) @ own["down"].T, (keys, values)

    return jax.lax.scan(layer, x, ({part: weights[part] for part in PARTS}, *cache))


def logits(sizes, weights, x):
    head = weights[TABLE] if sizes.tied else weights[HEAD]
    return norm(sizes, x, weights[LAST_NORM]) @ head.T


def empty_cache(sizes, batch, positions):
    shape = (sizes.depth, batch, positions, sizes.kv, sizes.head)
    return jnp.zeros(shape, jnp.bfloat16), jnp.zeros(shape, jnp.bfloat16)


def generate(sizes, positions, weights, prompt):
    """[B, positions] tokens, the prompt included."""
    batch, length = prompt.shape

    def following(cache, tokens, start):
        x, cache = hidden(sizes, positions, weights, cache, tokens, start)
        token = jnp.argmax(logits(sizes, weights, x[:, -1]), -1)
        return token.astype(jnp.int32)[:, None], cache

    def step(carry, at):
        token, cache = carry
        return following(cache, token, at), token

    first = following(empty_cache(sizes, batch, positions), prompt, 0)
    (last, _), tokens = jax.lax.scan(step, first, jnp.arange(length, positions - 1))
    return jnp.concatenate([prompt, jnp.moveaxis(tokens[..., 0], 0, 1), last], 1)


def check(twin, seed):
    """The error of this model's logits against our CPU's, with few layers."""
    sizes, count = sizes_of(twin["config"]), len(twin["first"])
    weights, tokens = load(sizes, twin["weights"], seed), jnp.array([twin["first"]])

    @jax.jit
    def run(weights, tokens):
        x, _ = hidden(sizes, count, weights, empty_cache(sizes, 1, count), tokens, 0)
        return logits(sizes, weights, x)[0][:, jnp.array(twin["columns"])].astype(jnp.float32)

    return relative_error(run(weights, tokens).flatten().tolist(), twin["expected"])


def tokens_of_row(row):
    """Prompts as our `bench` makes them of ids, where a program has no tokenizer."""
    vocab = row["config"]["vocab_size"]
    return jnp.array([[(at + 1) * (number + 1) * 7919 % vocab for at in range(row["prompt"])]
                      for number in range(row["batch"])], jnp.int32)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("row", help="a row as sizes.py describes it, a JSON file")
    parser.add_argument("--calls", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=60, help="stop earlier after this time")
    arguments = parser.parse_args()
    row = read_row(arguments.row)
    error = check(row["twin"], row["seed"]) if row.get("twin") else None
    sizes = sizes_of(row["config"])
    weights, prompt = load(sizes, row["weights"], row["seed"]), tokens_of_row(row)
    run = jax.jit(functools.partial(generate, sizes, row["max_length"]))
    begin, times = time.perf_counter(), []
    for _ in range(2):
        tokens = jax.device_get(run(weights, prompt))
    ready = time.perf_counter()
    while len(times) < arguments.calls and time.perf_counter() - ready < arguments.seconds:
        start = time.perf_counter()
        tokens = jax.device_get(run(weights, prompt))
        times.append(1e3 * (time.perf_counter() - start))
    print(summary("jax", f"{jax.__version__} {jax.default_backend()}", times, twin_error=error,
                  ready_seconds=round(ready - begin, 1), tokens=tokens.tolist()))


if __name__ == "__main__":
    main()
