import assert from 'node:assert/strict'
import { cp, mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { createStaticEmbedder } from '../../embeddings/static.ts'
import { createTransformersEmbedder } from '../../embeddings/transformers.ts'
import { readConfig } from '../../proxy/config.ts'
import { createEmbedding } from '../../proxy/embedding.ts'
import { project } from '../../router/fingerprint.ts'
import { loadSpace, type SpaceManifest } from '../../router/space.ts'
import { cosine } from '../contracts/embedder.ts'
import { MINILM, missing, POTION, SPACES, withoutMiniLm } from '../embeddings/shared-data.ts'
import { chat, postFeedback, startTestSidecar } from '../support/sidecar.ts'
import { tempFolder } from '../support/temp-folder.ts'
import { startUpstream } from '../support/upstream.ts'

const builtIn = createStaticEmbedder().space

/** What the settings make, and what was logged as a warning. */
async function embedding(settings: Record<string, string>) {
  const warnings: string[] = []
  const quiet = () => undefined
  const logger = { debug: quiet, info: quiet, warn: (_: unknown, message = '') => void warnings.push(message) }
  const made = await createEmbedding(readConfig({ QIS_DATA: '/nowhere', ...settings }), logger)
  return { ...made, warnings, [Symbol.asyncDispose]: () => made.embedder[Symbol.asyncDispose]() }
}

/** The built-in space under another id. */
async function spaceOfOurOwn(folder: string): Promise<string> {
  await cp(join(SPACES, builtIn), folder, { recursive: true })
  const file = join(folder, 'manifest.json')
  const manifest = JSON.parse(await readFile(file, 'utf8')) as SpaceManifest
  await writeFile(file, JSON.stringify({ ...manifest, version: 2 }))
  return folder
}

describe('a model that cannot be had', () => {
  const settings = { QIS_EMBEDDER: 'minilm', QIS_EMBEDDER_MODEL: '/no/such/folder' }

  test('keeps the node from starting, and the message names the folder and the way out', async () => {
    await assert.rejects(embedding(settings), {
      code: 'ERR_EMBEDDER_UNAVAILABLE',
      message: /there is no model folder \/no\/such\/folder; .*QIS_EMBEDDER_FALLBACK=static .* in the same space/,
    })
  })

  test('is replaced by the built-in embedder only when that is asked for, and loudly: MiniLM in the same space', async () => {
    await using folder = await tempFolder()
    const space = await spaceOfOurOwn(join(folder.path, 'space'))
    for (const chosen of [{}, { QIS_SPACE: space }]) {
      await using fallen = await embedding({ ...settings, ...chosen, QIS_EMBEDDER_FALLBACK: 'static' })
      assert.deepEqual([fallen.embedder.space, fallen.embedder.inline], [builtIn, true])
      assert.equal(fallen.space.id, (await loadSpace(chosen.QIS_SPACE ?? join(SPACES, builtIn))).id)
      assert.match(fallen.warnings.join(), /QIS_EMBEDDER=minilm CANNOT BE HAD.*shares what it learns as before/)
    }
  })

  test('of another space is replaced in the built-in one', async () => {
    const other = { QIS_EMBEDDER: 'transformers', QIS_EMBEDDER_MODEL: '/no/such/folder', QIS_SPACE: 'potion-base-2m' }
    await assert.rejects(embedding(other), { message: /QIS_EMBEDDER_FALLBACK=static .* in a space of its own/ })
    await using fallen = await embedding({ ...other, QIS_EMBEDDER_FALLBACK: 'static' })
    assert.deepEqual([fallen.embedder.space, fallen.space.name], [builtIn, builtIn])
    assert.match(fallen.warnings.join(), /CANNOT BE HAD.*shares nothing with nodes of space potion-base-2m/)
  })
})

test('a node that fell back says so in its status, and advises', async () => {
  await using upstream = await startUpstream()
  await using sidecar = await startTestSidecar(upstream.url, {
    QIS_EMBEDDER: 'minilm',
    QIS_EMBEDDER_MODEL: '/no/such/folder',
    QIS_EMBEDDER_FALLBACK: 'static',
  })
  const { space } = (await (await fetch(`${sidecar.admin}/qis/status`)).json()) as { space: { name: string } }
  assert.equal(space.name, builtIn)
  assert.ok((await chat(sidecar.data, 'Which fee is charged?')).headers.get('x-qis-receipt'))
})

describe('a model that is not the one its space was made for', { skip: missing(POTION) }, () => {
  /** A copy of potion's space that says what the embedder must make of two texts: what it does, or each other's. */
  async function spaceWithGolden(folder: string, swapped: boolean): Promise<string> {
    await cp(join(SPACES, 'potion-base-2m'), folder, { recursive: true })
    const space = await loadSpace(folder)
    const texts = ['How much ibuprofen may an adult take?', 'Write a function that reverses a list']
    await using embedder = await createTransformersEmbedder({ model: POTION })
    const vectors = (await embedder.embed(texts)).map(vector =>
      Buffer.from(Int8Array.from(project(space, vector), component => Math.round(127 * component)).buffer),
    )
    if (swapped) vectors.reverse()
    const file = join(folder, 'manifest.json')
    const manifest = JSON.parse(await readFile(file, 'utf8')) as SpaceManifest
    manifest.golden = texts.map((text, i) => ({ text, vector: vectors[i]?.toString('base64') ?? '' }))
    await writeFile(file, JSON.stringify(manifest))
    return folder
  }

  test('is refused when its vectors are not those of the space, with or without a fallback', async () => {
    await using folder = await tempFolder()
    const space = await spaceWithGolden(join(folder.path, 'space'), true)
    const settings = { QIS_EMBEDDER: 'transformers', QIS_EMBEDDER_MODEL: POTION, QIS_SPACE: space }
    const refused = {
      code: 'ERR_CONFIG_INVALID',
      message: /not the one that space potion-base-2m was made for: .* agree to -?0\.\d\d, and 0\.95 is asked/,
    }
    await assert.rejects(embedding(settings), refused)
    await assert.rejects(embedding({ ...settings, QIS_EMBEDDER_FALLBACK: 'static' }), refused)
  })

  test('and the right one is taken', async () => {
    await using folder = await tempFolder()
    const space = await spaceWithGolden(join(folder.path, 'space'), false)
    await using made = await embedding({
      QIS_EMBEDDER: 'transformers',
      QIS_EMBEDDER_MODEL: POTION,
      QIS_SPACE: space,
      QIS_EMBEDDER_FALLBACK: 'static',
    })
    assert.deepEqual([made.space.golden.length, made.embedder.dimensions, made.warnings], [2, 64, []])
  })
})

describe('MiniLM in the space of the built-in embedder', () => {
  test('sees texts where the built-in embedder sees them', { skip: withoutMiniLm }, async () => {
    await using taught = await embedding({ QIS_EMBEDDER: 'minilm', QIS_EMBEDDER_MODEL: MINILM })
    await using own = await embedding({})
    assert.equal(taught.space.id, own.space.id)
    const texts = ['How do I reset my password?', 'What is the boiling point of ethanol?', 'Book me a table for two']
    const [left, right] = await Promise.all([taught, own].map(({ embedder }) => embedder.embed(texts)))
    const likeness = (i: number, j: number) => {
      const [a, b] = [left?.[i], right?.[j]].map(vector =>
        project(own.space, vector ?? new Float32Array(own.space.inputDimensions)),
      )
      return cosine(a, b)
    }
    for (const i of texts.keys()) {
      assert.ok(likeness(i, i) > 0.7, `${texts[i]}: ${likeness(i, i)}`)
      assert.ok(likeness(i, i) > likeness(i, (i + 1) % 3) + 0.4)
    }
  })

  const fallbacks = [{}, { QIS_EMBEDDER_FALLBACK: 'static' }]

  test('is refused when it is another model, by the length of its vectors', { skip: missing(POTION) }, async () => {
    for (const fallback of fallbacks) {
      await assert.rejects(embedding({ QIS_EMBEDDER: 'minilm', QIS_EMBEDDER_MODEL: POTION, ...fallback }), {
        code: 'ERR_CONFIG_INVALID',
        message: /the model of QIS_EMBEDDER_MODEL is not all-MiniLM-L6-v2: its vectors have 64 dimensions, and not 384/,
      })
    }
  })

  test('is refused when it is another model of the same size, by what it does', { skip: withoutMiniLm }, async () => {
    await using folder = await tempFolder()
    const model = await misreadingMiniLm(join(folder.path, 'model'))
    for (const fallback of fallbacks) {
      await assert.rejects(embedding({ QIS_EMBEDDER: 'minilm', QIS_EMBEDDER_MODEL: model, ...fallback }), {
        code: 'ERR_CONFIG_INVALID',
        message: /not the one that space sense-1 was made for: .* agree to 0\.[0-8]\d, and 0\.95 is asked/,
      })
    }
  })

  test('is refused a space that it has no way into', async () => {
    await assert.rejects(
      embedding({ QIS_EMBEDDER: 'minilm', QIS_EMBEDDER_MODEL: MINILM, QIS_SPACE: 'potion-base-2m' }),
      { code: 'ERR_CONFIG_INVALID', message: /QIS_SPACE must be .*: the manifest of potion-base-2m names no teacher/ },
    )
  })
})

/** The same network, but each word's number is another word's: what a model of this size with another training is like. */
async function misreadingMiniLm(folder: string): Promise<string> {
  await mkdir(folder)
  for (const name of ['onnx', 'config.json', 'tokenizer_config.json']) {
    await symlink(join(MINILM, name), join(folder, name))
  }
  const tokenizer = JSON.parse(await readFile(join(MINILM, 'tokenizer.json'), 'utf8')) as {
    model: { vocab: Record<string, number> }
  }
  const { vocab } = tokenizer.model
  const words = Object.keys(vocab).filter(word => /^[a-z]+$/.test(word))
  const numbers = words.map(word => vocab[word] as number).reverse()
  words.forEach((word, i) => {
    vocab[word] = numbers[i] as number
  })
  await writeFile(join(folder, 'tokenizer.json'), JSON.stringify(tokenizer))
  return folder
}

test('QIS_EMBEDDER=minilm needs no more than its model, and advises on other words', {
  skip: withoutMiniLm,
}, async () => {
  await using upstream = await startUpstream()
  await using sidecar = await startTestSidecar(upstream.url, {
    QIS_EMBEDDER: 'minilm',
    QIS_EMBEDDER_MODEL: MINILM,
    QIS_ADVICE_DEADLINE_MS: '10000',
  })
  const first = await chat(sidecar.data, 'How do I reset my password?')
  const receipt = first.headers.get('x-qis-receipt')
  assert.equal((await postFeedback(sidecar.data, { receipt, rating: 'down' })).status, 202)
  const confidence = async (question: string) =>
    Number((await chat(sidecar.data, question)).headers.get('x-qis-confidence') ?? Number.NaN)
  assert.ok((await confidence('I forgot my password, how do I set a new one?')) < 0.5)
  assert.ok(!((await confidence('Who was the first man on the moon?')) < 0.45), 'another question')
})
