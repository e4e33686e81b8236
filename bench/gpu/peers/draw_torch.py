"""The random weights of sinter in PyTorch, bit for bit, drawn on the device.

Element e of tensor t is word e mod 4 of Philox4x32-10 (Salmon et al., SC 2011) with the key `seed`
and the counter (e / 4, t): w = scale * (2u - 1), u of its upper 24 bits, rounded to bf16.
"""

import torch

from sizes import draw_scale

MULTIPLIERS = 0xD2511F53, 0xCD9E8D57
WEYL = 0x9E3779B9, 0xBB67AE85
WORD, ROUNDS, CHUNK = 0xFFFFFFFF, 10, 1 << 24


def high_low(product):
    """The halves of products of 32-bit numbers, of which int64 keeps all 64 bits."""
    return product >> 32 & WORD, product & WORD


def words(seed, ordinal, first, count, device):
    """[count, 4] words of the blocks from `first` on."""
    blocks = torch.arange(first, first + count, dtype=torch.int64, device=device)
    a, b = blocks & WORD, blocks >> 32
    c, d = torch.full_like(a, ordinal), torch.zeros_like(a)
    keys = [seed & WORD, seed >> 32 & WORD]
    for _ in range(ROUNDS):
        high_a, low_a = high_low(a * MULTIPLIERS[0])
        high_c, low_c = high_low(c * MULTIPLIERS[1])
        a, b, c, d = high_c ^ b ^ keys[0], low_c, high_a ^ d ^ keys[1], low_a
        keys = [key + step & WORD for key, step in zip(keys, WEYL)]
    return torch.stack((a, b, c, d), 1)


def draw(out, seed, tensor):
    """Fills a contiguous tensor with the weights of a description (sizes.py)."""
    if not tensor["init"]:
        out.fill_(tensor["fill"])
        return
    flat, scale = out.view(-1), torch.tensor(draw_scale(tensor), dtype=torch.float32)
    for first in range(0, flat.numel(), 4 * CHUNK):
        part = flat[first : first + 4 * CHUNK]
        drawn = words(seed, tensor["ordinal"], first // 4, -(-part.numel() // 4), out.device)
        unit = ((drawn.view(-1)[: part.numel()] >> 8) - (1 << 23)).float() * 2.0**-23
        part.copy_((unit * scale.to(out.device)).to(torch.bfloat16))


def draw_rows(out, seed, tensors):
    """Several matrices, their rows one after the other."""
    first = 0
    for tensor in tensors:
        draw(out[first : first + tensor["dims"][0]], seed, tensor)
        first += tensor["dims"][0]
