"""Runs all-MiniLM-L6-v2 over lists of texts: teacher.py <folder of the model> <list.json>…; writes <list>.npy beside each.

Mean pooling over at most 128 tokens, length 1, float16, a row a text. One thread; 200 to 400 short texts a second.
"""
import json
import os
import sys
import time

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
import jax
import jax.numpy as jnp
import numpy as np
from safetensors.numpy import load_file
from tokenizers import Tokenizer

MODEL, LISTS = sys.argv[1], sys.argv[2:]
LAYERS, HEADS, WIDTH = 6, 12, 384
MOST_TOKENS = 128
TOKENS_AT_ONCE = 2_048

tensors = load_file(os.path.join(MODEL, "model.safetensors"))
weights = {name: jnp.asarray(tensor) for name, tensor in tensors.items() if tensor.dtype == np.float32}
tokenizer = Tokenizer.from_file(os.path.join(MODEL, "tokenizer.json"))
tokenizer.no_padding()
tokenizer.enable_truncation(MOST_TOKENS)


def linear(x, name):
    return x @ weights[name + ".weight"].T + weights[name + ".bias"]


def layer_norm(x, name):
    mean = x.mean(-1, keepdims=True)
    variance = ((x - mean) ** 2).mean(-1, keepdims=True)
    return (x - mean) / jnp.sqrt(variance + 1e-12) * weights[name + ".weight"] + weights[name + ".bias"]


def heads(x):
    batch, length, _ = x.shape
    return x.reshape(batch, length, HEADS, WIDTH // HEADS).transpose(0, 2, 1, 3)


@jax.jit
def embed(ids, lengths):
    batch, length = ids.shape
    mask = jnp.arange(length)[None] < lengths[:, None]
    x = weights["embeddings.word_embeddings.weight"][ids]
    x += weights["embeddings.position_embeddings.weight"][:length]
    x = layer_norm(x + weights["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
    for layer in range(LAYERS):
        name = f"encoder.layer.{layer}."
        query, key, value = (heads(linear(x, name + "attention.self." + part)) for part in ("query", "key", "value"))
        scores = jnp.einsum("bhqd,bhkd->bhqk", query, key) / np.sqrt(WIDTH // HEADS)
        attention = jax.nn.softmax(jnp.where(mask[:, None, None], scores, -1e9), -1)
        context = jnp.einsum("bhqk,bhkd->bhqd", attention, value).transpose(0, 2, 1, 3).reshape(batch, length, WIDTH)
        x = layer_norm(x + linear(context, name + "attention.output.dense"), name + "attention.output.LayerNorm")
        hidden = jax.nn.gelu(linear(x, name + "intermediate.dense"), approximate=False)
        x = layer_norm(x + linear(hidden, name + "output.dense"), name + "output.LayerNorm")
    pooled = (x * mask[..., None]).sum(1) / lengths[:, None]
    return pooled / jnp.linalg.norm(pooled, axis=-1, keepdims=True)


def padded_length(tokens):
    """Few lengths, so that few shapes are compiled."""
    step = 1 if tokens <= 24 else 4 if tokens <= 48 else 16
    return -(-tokens // step) * step


for path in LISTS:
    with open(path) as file:
        tokens = [encoding.ids for encoding in tokenizer.encode_batch(json.load(file))]
    groups = {}
    for i in sorted(range(len(tokens)), key=lambda i: len(tokens[i])):
        groups.setdefault(padded_length(len(tokens[i])), []).append(i)
    vectors = np.zeros((len(tokens), WIDTH), np.float16)
    begun = time.time()
    for length, members in groups.items():
        size = max(8, TOKENS_AT_ONCE // length)
        for start in range(0, len(members), size):
            part = members[start : start + size]
            ids, lengths = np.zeros((size, length), np.int32), np.ones(size, np.int32)
            for row, i in enumerate(part):
                ids[row, : len(tokens[i])] = tokens[i]
                lengths[row] = len(tokens[i])
            vectors[part] = np.asarray(embed(ids, lengths))[: len(part)]
    np.save(path.removesuffix(".json") + ".npy", vectors)
    print(path, len(tokens), f"{time.time() - begun:.0f} s", flush=True)
