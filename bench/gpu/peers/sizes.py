"""Sizes of the decoders of the generate rows, and what one row of a peer reports."""

import dataclasses
import json
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
    """From the `model` part of a row of rows.json, which has the keys of a config.json."""
    gemma = config["model_type"] == "gemma"
    heads = config["num_attention_heads"]
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
        theta=config.get("rope_theta", 10000.0),
    )


def summary(framework, version, milliseconds):
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
        }
    )
