"""The random weights of sinter in JAX, bit for bit; draw_torch.py describes them."""

import functools

import jax
import jax.numpy as jnp

from sizes import draw_scale

MULTIPLIERS = 0xD2511F53, 0xCD9E8D57
WEYL = 0x9E3779B9, 0xBB67AE85
WORD, ROUNDS = 0xFFFFFFFF, 10


def high_half(number, x):
    """The upper 32 bits of number * x, in 32-bit arithmetic."""
    low, high = number & 0xFFFF, number >> 16
    x_low, x_high = x & 0xFFFF, x >> 16
    first = x_high * jnp.uint32(low) + (x_low * jnp.uint32(low) >> 16)
    second = x_low * jnp.uint32(high) + (first & 0xFFFF)
    return x_high * jnp.uint32(high) + (first >> 16) + (second >> 16)


def words(seed, ordinal, blocks):
    """The four words of blocks (below 2^32)."""
    zeros = jnp.zeros_like(blocks)
    a, b, c, d = blocks, zeros, zeros + ordinal, zeros
    keys = [seed & WORD, seed >> 32 & WORD]
    for _ in range(ROUNDS):
        high_a, low_a = high_half(MULTIPLIERS[0], a), a * jnp.uint32(MULTIPLIERS[0])
        high_c, low_c = high_half(MULTIPLIERS[1], c), c * jnp.uint32(MULTIPLIERS[1])
        a, c = high_c ^ b ^ jnp.uint32(keys[0]), high_a ^ d ^ jnp.uint32(keys[1])
        b, d = low_c, low_a
        keys = [key + step & WORD for key, step in zip(keys, WEYL)]
    return a, b, c, d


@functools.partial(jax.jit, static_argnums=(0, 2))
def drawn(seed, ordinal, dims, scale):
    """A bf16 matrix whose number of columns is a multiple of 4."""
    shape = (*dims[:-1], dims[-1] // 4)
    blocks = jnp.arange(shape[0] * shape[1], dtype=jnp.uint32).reshape(shape)
    word = jnp.stack(words(seed, ordinal, blocks), -1).reshape(dims)
    unit = ((word >> 8).astype(jnp.int32) - (1 << 23)).astype(jnp.float32) * 2.0**-23
    return (unit * scale).astype(jnp.bfloat16)


def draw(seed, tensor):
    """The weights of a description (sizes.py)."""
    dims = tuple(tensor["dims"])
    if not tensor["init"]:
        return jnp.full(dims, tensor["fill"], jnp.bfloat16)
    return drawn(seed, jnp.uint32(tensor["ordinal"]), dims, jnp.float32(draw_scale(tensor)))
