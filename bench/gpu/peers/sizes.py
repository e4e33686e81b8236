"""What the peers share: sizes of the decoders, their bounds, names of their weights, what a row
reports.

A row is a JSON file that bench/gpu/run writes:

    {"config": {a config.json}, "weights": FILE, "seed": 1,
     "batch": 1, "prompt": 6, "max_length": 50,
     "twin": {"config", "weights", "first": [ID...], "logits": FILE, "columns": [...]}}

`weights` lists the tensors of the checkpoint that sinter would read, and how it draws them at
random: {name: {"ordinal", "init", "fill", "dims"}}. `twin` is the same model with fewer layers, a
text, and the logits that a CPU computed for it and what follows: some columns of every position.
"""

import array
import dataclasses
import json
import math
import pathlib
import statistics


@dataclasses.dataclass(frozen=True)
class Sizes:
    width: int
    depth: int
    heads: int
    kv: int
    head: int
    hidden: int
    vocab: int
    gate: str  # "silu" or "gelu_tanh"
    tied: bool
    scaled_embedding: bool  # times sqrt(width)
    gain_offset: float  # RMSNorm multiplies by gain + offset
    eps: float
    theta: float = 10000.0


def sizes_of(config):
    gemma = config["model_type"] == "gemma"
    heads = config["num_attention_heads"]
    nested = config.get("rope_parameters") or {}
    return Sizes(
        width=config["hidden_size"],
        depth=config["num_hidden_layers"],
        heads=heads,
        kv=config.get("num_key_value_heads", heads),
        head=config.get("head_dim", config["hidden_size"] // heads),
        hidden=config["intermediate_size"],
        vocab=config["vocab_size"],
        gate="gelu_tanh" if gemma else "silu",
        tied=config.get("tie_word_embeddings", gemma),
        scaled_embedding=gemma,
        gain_offset=1.0 if gemma else 0.0,
        eps=config["rms_norm_eps"],
        theta=config.get("rope_theta", nested.get("rope_theta", 10000.0)),
    )


def least_ms(row, gbs, tflops):
    """Least milliseconds of a call of a row: weights and live cache once a pass, or the operations
    at the full rate. One pass takes the prompt, one each further token but the last."""
    s = sizes_of(row["config"])
    layer = s.width * s.head * (2 * s.heads + 2 * s.kv) + 3 * s.width * s.hidden
    weights = layer * s.depth + s.vocab * s.width
    cache = 2 * s.kv * s.head * s.depth * row["batch"]
    total = 0.0
    for at in range(row["prompt"], row["max_length"]):
        tokens = row["batch"] * (row["prompt"] if at == row["prompt"] else 1)
        read = 2 * (weights + cache * at) / (1e6 * gbs)
        total += max(read, 2 * weights * tokens / (1e9 * tflops))
    return total


PARTS = {  # of a layer: what is multiplied as one matrix, by names in the checkpoint
    "qkv": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "out": ("self_attn.o_proj",),
    "gate_up": ("mlp.gate_proj", "mlp.up_proj"),
    "down": ("mlp.down_proj",),
    "norm1": ("input_layernorm",),
    "norm2": ("post_attention_layernorm",),
}
TABLE, LAST_NORM, HEAD = "model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"


def layer_tensors(weights, part, layer):
    """The descriptions of a part's tensors; their rows follow each other."""
    return [weights[f"model.layers.{layer}.{name}.weight"] for name in PARTS[part]]


def draw_scale(tensor):
    """Half the range of the uniform distribution with this standard deviation, as an f32."""
    return f32(math.sqrt(3.0) * f32(tensor["init"]))


def f32(number):
    return array.array("f", [number])[0]


def read_row(path):
    """A row, its files relative to the folder of the file."""
    folder, row = pathlib.Path(path).parent, json.loads(pathlib.Path(path).read_text())
    for facts in (row, row.get("twin") or row):
        facts["weights"] = json.loads((folder / facts["weights"]).read_text())
    twin = row.get("twin")
    if twin:
        expected = array.array("f")
        expected.frombytes((folder / twin["logits"]).read_bytes())
        twin["expected"] = expected[: len(twin["first"]) * len(twin["columns"])]
    return row


def relative_error(got, expected):
    """Root mean square of the difference over that of what was expected; flat sequences."""
    squares = sum(value * value for value in expected)
    return math.sqrt(sum((a - b) ** 2 for a, b in zip(got, expected, strict=True)) / squares)


def summary(framework, version, milliseconds, **more):
    """One JSON line: the calls of a row, in milliseconds."""
    ordered = sorted(milliseconds)
    return json.dumps(
        {
            "framework": framework,
            "version": version,
            "calls": len(ordered),
            "mean_ms": statistics.fmean(ordered),
            "median_ms": statistics.median(ordered),
            "worst_ms": ordered[-1],
            **more,
        }
    )
