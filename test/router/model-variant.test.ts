import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { MODEL_PATTERN, modelFamily, modelVariant, UNKNOWN_MODEL } from '../../router/model-variant.ts'

describe('a model variant', () => {
  const names: Record<string, string> = {
    // hub ids and their quantised editions
    'meta-llama/Llama-3.1-8B-Instruct': 'llama-3.1-8b-instruct',
    'hugging-quants/Llama-3.1-8B-Instruct-AWQ-INT4': 'llama-3.1-8b-instruct',
    'RedHatAI/Llama-3.1-8B-Instruct-FP8-dynamic': 'llama-3.1-8b-instruct',
    'RedHatAI/Llama-3.1-8B-Instruct-quantized.w4a16': 'llama-3.1-8b-instruct',
    'Qwen/Qwen2.5-7B-Instruct-GPTQ-Int4': 'qwen2.5-7b-instruct',
    'mlx-community/Qwen2.5-7B-Instruct-4bit': 'qwen2.5-7b-instruct',
    'Qwen/Qwen3-32B-FP8': 'qwen3-32b',
    // Ollama
    'llama3.1:8b-instruct-q4_K_M': 'llama3.1:8b-instruct',
    'llama3.1:latest': 'llama3.1',
    'phi3:3.8b-mini-4k-instruct-fp16': 'phi3:3.8b-mini-4k-i~ebd3',
    'hf.co/bartowski/Qwen2.5-7B-Instruct-GGUF:Q4_K_M': 'qwen2.5-7b-instruct',
    // llama.cpp serves a file
    '/models/Meta-Llama-3-8B-Instruct.Q4_K_M.gguf': 'meta-llama-3-8b-instruct',
    'qwen2.5-7b-instruct-iq4_xs.gguf': 'qwen2.5-7b-instruct',
    'gemma-2-9b-it-Q8_0.gguf': 'gemma-2-9b-it',
    // what is no quantisation stays
    'gpt-4o-mini': 'gpt-4o-mini',
    'mixtral:8x7b': 'mixtral:8x7b',
    'text-int8-writer': 'text-int8-writer',
    awq: 'awq',
    // odd names
    '': UNKNOWN_MODEL,
    'org/': UNKNOWN_MODEL,
    ':latest': UNKNOWN_MODEL,
    'My Model (v2)': 'my-model--v2-',
    modèle: 'mod-le',
  }
  for (const [name, variant] of Object.entries(names)) {
    it(`of ${JSON.stringify(name)} is ${variant}`, () => assert.equal(modelVariant(name), variant))
  }

  it('over 24 bytes keeps 19 and tells the rest apart by a hash of the whole', () => {
    const long = 'mixtral-8x22b-instruct-v0.1-medical'
    const digest = createHash('sha256').update(long).digest('hex').slice(0, 4)
    assert.equal(modelVariant(`org/${long}`), `mixtral-8x22b-instr~${digest}`)
    assert.notEqual(modelVariant(`org/${long}`), modelVariant(`org/${long}-2`))
    assert.equal(modelVariant('x'.repeat(24)), 'x'.repeat(24))
    assert.equal(modelVariant('x'.repeat(25)).length, 24)
  })

  it('is found after the last slash, also behind letters that composition makes shorter', () => {
    assert.equal(modelVariant('e\u0301quipe/mistral-7b'), 'mistral-7b')
    assert.equal(modelVariant(`${'e\u0301'.repeat(20)}/mistral-7b`), 'mistral-7b')
  })

  it('is the same however its accents are composed', () => {
    assert.equal(modelVariant('mode\u0300le'), modelVariant('mod\u00e8le'))
  })

  it('follows the aliases of a site', () => {
    const aliases = new Map([['house-model', 'llama-3.1-8b-instruct']])
    assert.equal(modelVariant('House-Model', aliases), 'llama-3.1-8b-instruct')
    assert.equal(modelVariant('acme/house-model-awq', aliases), 'llama-3.1-8b-instruct')
    assert.equal(modelVariant('other', aliases), 'other')
  })

  it('of a name without end takes no time', () => {
    const began = performance.now()
    for (const suffix of ['_q4', '-awq']) {
      assert.match(modelVariant(`${suffix.repeat(300_000)}!`), new RegExp(MODEL_PATTERN))
      assert.match(modelVariant(`org/x${suffix.repeat(300_000)}`), new RegExp(MODEL_PATTERN))
    }
    assert.ok(performance.now() - began < 10_000)
  })

  it('may always stand in a packet', () => {
    const name = fc.oneof(fc.string({ unit: 'binary' }), fc.string({ unit: 'grapheme', maxLength: 60 }), fc.webPath())
    fc.assert(fc.property(name, text => assert.match(modelVariant(text), new RegExp(MODEL_PATTERN))))
    fc.assert(
      fc.property(name, alias => {
        assert.match(modelVariant('house', new Map([['house', alias]])), new RegExp(MODEL_PATTERN))
      }),
    )
  })

  it('of a variant is that variant', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.string({ minLength: 25, maxLength: 60 })), text => {
        const variant = modelVariant(text)
        assert.equal(modelVariant(variant), variant)
      }),
    )
  })
})

describe('a model family', () => {
  it('is what makers keep across sizes and versions', () => {
    assert.equal(modelFamily('llama-3.1-8b-instruct'), 'llama')
    assert.equal(modelFamily('llama3.1:8b'), 'llama')
    assert.equal(modelFamily('qwen2.5-7b'), 'qwen')
    assert.equal(modelFamily('01-yi'), '01-yi')
  })
})
