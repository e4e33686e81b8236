"""Times greedy generation in JAX: one jitted program for the prompt and the whole loop, bf16.

The counterpart of generate_torch.py with JAX's own means: layers stacked and scanned, a static
cache, the loop of decode steps inside the compiled program, attention by
jax.nn.dot_product_attention. Prints one JSON line.
"""

import argparse
import functools
import json
import time

import jax
import jax.numpy as jnp

from sizes import sizes_of, summary


def random_weights(sizes, key):
    heads, kv = sizes.heads * sizes.head, sizes.kv * sizes.head
    shapes = {
        "qkv": (sizes.depth, sizes.width, heads + 2 * kv),
        "out": (sizes.depth, heads, sizes.width),
        "gate_up": (sizes.depth, sizes.width, 2 * sizes.hidden),
        "down": (sizes.depth, sizes.hidden, sizes.width),
        "table": (sizes.vocab, sizes.width),
    }
    if not sizes.tied:
        shapes["head"] = (sizes.vocab, sizes.width)
    keys = jax.random.split(key, len(shapes))
    weights = {
        name: 0.02 * jax.random.normal(k, shape, jnp.bfloat16)
        for k, (name, shape) in zip(keys, shapes.items())
    }
    weights["norms"] = jnp.full((sizes.depth, 2, sizes.width), 1 - sizes.gain_offset, jnp.float32)
    weights["last_norm"] = jnp.full((sizes.width,), 1 - sizes.gain_offset, jnp.float32)
    return weights


def norm(sizes, x, gain):
    wide = x.astype(jnp.float32)
    scale = jax.lax.rsqrt(jnp.mean(wide * wide, -1, keepdims=True) + sizes.eps)
    return (wide * scale * (gain + sizes.gain_offset)).astype(x.dtype)


def rotate(x, cos, sin):
    first, second = jnp.split(x, 2, -1)
    return jnp.concatenate([first * cos - second * sin, second * cos + first * sin], -1)


def forward(sizes, positions, weights, cache, tokens, start):
    """Token after the last of `tokens` [B, T], which stand at start.. ; and the new cache."""
    batch, length = tokens.shape
    where = start + jnp.arange(length)
    powers = jnp.arange(0, sizes.head, 2) / sizes.head
    angles = where[:, None] * sizes.theta**-powers
    cos, sin = (f(angles)[:, None, :].astype(jnp.bfloat16) for f in (jnp.cos, jnp.sin))
    mask = (where[:, None] >= jnp.arange(positions)[None, :])[None, None]
    x = weights["table"][tokens]
    if sizes.scaled_embedding:
        x = x * jnp.bfloat16(sizes.width**0.5)
    act = jax.nn.silu if sizes.gate == "silu" else functools.partial(jax.nn.gelu, approximate=True)
    widths = [sizes.heads * sizes.head, (sizes.heads + sizes.kv) * sizes.head]

    def layer(x, parts):
        qkv, out, gate_up, down, norms, keys, values = parts
        q, k, v = jnp.split(norm(sizes, x, norms[0]) @ qkv, widths, -1)
        q, k, v = (part.reshape(batch, length, -1, sizes.head) for part in (q, k, v))
        keys = jax.lax.dynamic_update_slice(keys, rotate(k, cos, sin), (0, start, 0, 0))
        values = jax.lax.dynamic_update_slice(values, v, (0, start, 0, 0))
        mixed = jax.nn.dot_product_attention(rotate(q, cos, sin), keys, values, mask=mask)
        x = x + mixed.reshape(batch, length, -1) @ out
        gate, up = jnp.split(norm(sizes, x, norms[1]) @ gate_up, 2, -1)
        return x + (act(gate) * up) @ down, (keys, values)

    names = ("qkv", "out", "gate_up", "down", "norms")
    x, cache = jax.lax.scan(layer, x, tuple(weights[name] for name in names) + cache)
    last = norm(sizes, x[:, -1], weights["last_norm"])
    head = weights["table"] if sizes.tied else weights["head"]
    return jnp.argmax(last @ head.T, -1).astype(jnp.int32)[:, None], cache


def generate(sizes, positions, weights, prompt):
    batch, length = prompt.shape
    shape = (sizes.depth, batch, positions, sizes.kv, sizes.head)
    cache = (jnp.zeros(shape, jnp.bfloat16), jnp.zeros(shape, jnp.bfloat16))
    token, cache = forward(sizes, positions, weights, cache, prompt, 0)

    def step(carry, at):
        token, cache = carry
        following, cache = forward(sizes, positions, weights, cache, token, at)
        return (following, cache), token

    (token, _), tokens = jax.lax.scan(step, (token, cache), jnp.arange(length, positions - 1))
    return tokens, token


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("row", help="a row of rows.json, as JSON")
    parser.add_argument("--calls", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=60, help="stop earlier after this time")
    arguments = parser.parse_args()
    row = json.loads(arguments.row)
    sizes, key = sizes_of(row["model"]), jax.random.key(0)
    weights = jax.jit(functools.partial(random_weights, sizes))(key)
    shape = (row["batch"], row["prompt"])
    prompt = jax.random.randint(key, shape, 1, row["model"]["vocab_size"], jnp.int32)
    run = jax.jit(functools.partial(generate, sizes, row["max_length"]))
    for _ in range(2):
        jax.device_get(run(weights, prompt))
    times, begin = [], time.perf_counter()
    while len(times) < arguments.calls and time.perf_counter() - begin < arguments.seconds:
        start = time.perf_counter()
        jax.device_get(run(weights, prompt))
        times.append(1e3 * (time.perf_counter() - start))
    print(summary("jax", jax.__version__, times))


if __name__ == "__main__":
    main()
