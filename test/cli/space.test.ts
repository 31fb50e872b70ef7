import assert from 'node:assert/strict'
import { cp, readFile, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { Writable } from 'node:stream'
import { suite, test } from 'node:test'
import { space } from '../../cli/commands/space.ts'
import { createProgress } from '../../cli/progress.ts'
import { readConfig } from '../../proxy/config.ts'
import { embedderSpace, shippedSpaces, spaceFolder } from '../../proxy/embedding.ts'
import { loadSpace } from '../../router/space.ts'
import { MINILM, withoutMiniLm } from '../embeddings/shared-data.ts'
import { until } from '../support/poll.ts'
import { qis, startQis } from '../support/qis.ts'
import { chat, startTestSidecar } from '../support/sidecar.ts'
import { tempFolder } from '../support/temp-folder.ts'
import { startUpstream } from '../support/upstream.ts'

const builtIn = spaceFolder(readConfig({}))

/** A folder of texts about a few things, and copies of a space to spoil. */
async function workplace() {
  const folder = await tempFolder()
  const path = (name: string) => join(folder.path, name)
  return {
    path,
    async writeCorpus(lines: number): Promise<string> {
      const asked = ['How do I renew', 'When must I pay for', 'Who may change', 'Why was I charged for', 'Where is']
      const things = ['a library card', 'the parking permit', 'my tax return', 'a fishing licence', 'the water bill']
      const texts = Array.from({ length: lines }, (_, i) =>
        [asked[i % 5], things[Math.floor(i / 5) % 5], `in district ${Math.floor(i / 25)}?`].join(' '),
      )
      await writeFile(path('texts.txt'), texts.join('\n'))
      return folder.path
    },
    async copyOf(file: string, change: (bytes: Buffer) => Buffer): Promise<string> {
      const copy = path('copy')
      await cp(builtIn, copy, { recursive: true })
      await writeFile(join(copy, file), change(await readFile(join(copy, file))))
      return copy
    },
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  }
}

const flipped = (bytes: Buffer) => {
  bytes.writeUInt8(bytes.readUInt8(1_000) ^ 1, 1_000)
  return bytes
}

suite('qis space verify', () => {
  test('finds every shipped space valid', async () => {
    const { code, out, err } = await qis(['space', 'verify', '--json'])
    assert.deepEqual([code, err], [0, ''])
    const verdicts = out
      .trim()
      .split('\n')
      .map(line => JSON.parse(line))
    assert.deepEqual(
      verdicts.map(({ folder, valid }) => [folder, valid]),
      shippedSpaces().map(folder => [folder, true]),
    )
  })

  for (const file of ['codebook.bin', 'counts.bin']) {
    test(`names ${file} where a bit of it is wrong, and ends with code 1`, async () => {
      await using work = await workplace()
      const { code, out } = await qis(['space', 'verify', builtIn, await work.copyOf(file, flipped)])
      assert.equal(code, 1)
      const [first, second] = out.split('\n')
      assert.match(first ?? '', /^valid/)
      assert.match(second ?? '', new RegExp(`^INVALID .*${file} does not match its hash`))
    })
  }

  test('names the manifest where it is none', async () => {
    await using work = await workplace()
    const copy = await work.copyOf('manifest.json', () => Buffer.from('{}'))
    const { code, out } = await qis(['space', 'verify', '--json', copy])
    assert.equal(code, 1)
    assert.match(JSON.parse(out).fault, /manifest\.json is not a space's manifest/)
  })
})

suite('qis space inspect', () => {
  test('says of the chosen space what its files say', async () => {
    const { code, out } = await qis(['space', 'inspect', '--json'])
    assert.equal(code, 0)
    const seen = JSON.parse(out)
    const space = await loadSpace(builtIn)
    const sum = (counts: Iterable<number>) => Array.from(counts).reduce((a, b) => a + b)
    assert.deepEqual([seen.folder, seen.id, seen.manifest.name], [builtIn, space.id, space.name])
    assert.deepEqual(seen.cells, Array.from(space.counts[0]))
    assert.equal(seen.referenceTexts, sum(space.counts[2]))
    const [two, three, four] = seen.prefixes
    assert.deepEqual([two.digits, three.digits, four.digits], [2, 3, 4])
    assert.equal(four.disclosed.k50, sum(space.counts[2].filter(count => count >= 50)) / seen.referenceTexts)
    assert.ok(four.disclosed.k50 < four.disclosed.k20 && four.disclosed.k20 < three.disclosed.k20)
  })

  test('takes the space from the settings or by name, and shows it to people', async () => {
    const names = shippedSpaces().map(folder => basename(folder))
    for (const name of names) {
      const [bySetting, byName] = await Promise.all([
        qis(['space', 'inspect'], { QIS_SPACE: name }),
        qis(['space', 'inspect', name]),
      ])
      assert.deepEqual(bySetting, byName)
      assert.match(byName.out, new RegExp(`^${name}, id [0-9a-f]{8}`))
      assert.match(byName.out, /^codebook\.bin +[\d,]+ bytes/m)
    }
    const unknown = await qis(['space', 'inspect', 'nonsense'])
    assert.equal(unknown.code, 1)
    assert.match(unknown.err, /there is no space nonsense.*one of/)
  })
})

suite('qis space explain', () => {
  const QUESTION = 'How do I change the PIN of my card?'

  test('says what the sidecar says of the same question, and how much may leave', async () => {
    await using upstream = await startUpstream()
    await using sidecar = await startTestSidecar(upstream.url)
    const asked = await chat(sidecar.data, QUESTION, { 'x-qis-debug': '1' })
    const { code, out } = await qis(['space', 'explain', QUESTION, '--json'])
    assert.equal(code, 0)
    const found = JSON.parse(out)
    assert.equal(found.code, asked.headers.get('x-qis-fingerprint'))
    assert.equal(found.cell, asked.headers.get('x-qis-cell'))
    assert.equal(found.nearestCells[0], found.cell)
    const counts: number[] = found.referenceTexts
    for (const k of [20, 50]) {
      const digits = 1 + counts.filter(count => count >= k).length
      assert.equal(found.disclosed[`k${k}`], digits < 2 ? null : found.code.slice(0, digits))
    }
    assert.equal(found.nearest, undefined)
  })

  test('finds the texts of a folder that are most like it', async () => {
    await using work = await workplace()
    await writeFile(work.path('a.txt'), 'Where does the Nile begin?\nHow can I change my card PIN?\n')
    await writeFile(work.path('b.txt'), `Is rain likely today?\n${QUESTION}\n`)
    const { out } = await qis(['space', 'explain', '--json', '--corpus', work.path(''), '--', QUESTION])
    const found = JSON.parse(out)
    assert.deepEqual(
      found.nearest.slice(0, 2).map(({ text }: { text: string }) => text),
      [QUESTION, 'How can I change my card PIN?'],
    )
    assert.ok(Math.abs(found.nearest[0].similarity - 1) < 1e-5)
    assert.equal(found.nearest[0].code, found.code)
    const shown = await qis(['space', 'explain', QUESTION, '--corpus', work.path('')])
    assert.match(shown.out, /^k = 20 +.*may leave/m)
    assert.match(shown.out, /^1\.000 .*How do I change the PIN/m)
  })

  test('says so where a text has no fingerprint, and asks for one text', async () => {
    const [blank, none, two] = await Promise.all([
      qis(['space', 'explain', '?!']),
      qis(['space', 'explain']),
      qis(['space', 'explain', 'not', 'quoted']),
    ])
    assert.deepEqual([blank.code, none.code, two.code], [1, 2, 2])
    assert.match(blank.err, /no fingerprint/)
    assert.match(two.err, /quote it; see qis space --help/)
  })
})

suite('qis space train', () => {
  test('makes a space from texts and a seed, and the sidecar takes it', async () => {
    await using work = await workplace()
    const corpus = await work.writeCorpus(2_500)
    const make = (out: string, seed: string) =>
      qis(['space', 'train', '--corpus', corpus, '--out', work.path(out), '--seed', seed, '--json'])
    const [first, other] = [await make('a', '1'), await make('b', '2')].map(made => {
      assert.equal(made.code, 0, made.err)
      return JSON.parse(made.out)
    })
    assert.deepEqual([first.sampled, first.counted, first.referenceTexts], [2_500, 2_500, 2_500])
    assert.notEqual(first.id, other.id)
    assert.equal(first.manifest.name, embedderSpace(readConfig({})))
    assert.deepEqual(
      first.manifest.embedder,
      JSON.parse(await readFile(join(builtIn, 'manifest.json'), 'utf8')).embedder,
    )

    await using upstream = await startUpstream()
    await using sidecar = await startTestSidecar(upstream.url, { QIS_SPACE: work.path('a') })
    const asked = await chat(sidecar.data, 'Where is my tax return?', { 'x-qis-debug': '1' })
    const told = await qis(['space', 'explain', 'Where is my tax return?', '--space', work.path('a'), '--json'])
    assert.equal(asked.headers.get('x-qis-fingerprint'), JSON.parse(told.out).code)

    const kept = await make('a', '3')
    assert.equal(kept.code, 2)
    assert.match(kept.err, /holds a space already/)
    assert.equal((await loadSpace(work.path('a'))).id, first.id)
  })

  test('makes one for MiniLM that the built-in embedder fits too', { skip: withoutMiniLm }, async () => {
    await using work = await workplace()
    const [corpus, space] = [await work.writeCorpus(2_000), work.path('own')]
    const minilm = ['--embedder', 'minilm', '--model', MINILM]
    const made = await qis(['space', 'train', '--corpus', corpus, '--out', space, ...minilm])
    assert.equal(made.code, 0, made.err)
    assert.equal((await loadSpace(space)).golden.length, 8)
    for (const embedder of [minilm, ['--embedder', 'static']]) {
      const told = await qis(['space', 'explain', 'Where is my tax return?', '--space', space, ...embedder])
      assert.equal(told.code, 0, told.err)
    }
  })

  test('says how many texts are missing, and what must be named', async () => {
    await using work = await workplace()
    const corpus = await work.writeCorpus(100)
    const few = await qis(['space', 'train', '--corpus', corpus, '--out', work.path('out')])
    assert.deepEqual([few.code, few.out], [1, ''])
    assert.match(few.err, /^qis: .*hold 100 distinct lines.*at least 2000\n$/)
    const unnamed = await qis(['space', 'train', '--corpus', corpus])
    assert.equal(unnamed.code, 2)
    assert.match(unnamed.err, /--corpus and --out must name/)
  })

  test('is broken off at once, also in its long middle, and leaves nothing behind', async () => {
    await using work = await workplace()
    const corpus = await work.writeCorpus(20_000)
    const terminal = writtenTo(true)
    const abort = new AbortController()
    const io = { out: terminal.stream, err: terminal.stream, env: {}, signal: abort.signal }
    const running = space.run(['train', '--corpus', corpus, '--out', work.path('out')], io)
    running.catch(() => undefined)
    await until('the codebook to be made', () => terminal.chunks.some(chunk => chunk.includes('codebook')), {
      deadlineMs: 60_000,
    })
    const reason = new Error('enough')
    abort.abort(reason)
    await assert.rejects(running, error => error === reason || (error as Error).cause === reason)
    assert.equal(terminal.chunks.at(-1), CLEARED)
    await assert.rejects(readFile(join(work.path('out'), 'manifest.json')), { code: 'ENOENT' })
  })

  test('ends with the exit code of SIGINT', async () => {
    await using work = await workplace()
    const corpus = await work.writeCorpus(20_000)
    await using running = startQis(['space', 'train', '--corpus', corpus, '--out', work.path('out')], {
      NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(SAYS_WHEN_IT_LISTENS)}`,
    })
    await until('the signal to be awaited', () => running.err() !== '')
    running.child.kill('SIGINT')
    assert.equal(await running.ended, 130)
    assert.equal(running.err(), 'SIGINT\n')
  })
})

/** What a command writes. */
function writtenTo(isTTY: boolean) {
  const chunks: string[] = []
  const stream = new Writable({
    write(chunk, _encoding, done) {
      chunks.push(String(chunk))
      done()
    },
  })
  return { chunks, stream: Object.assign(stream, { isTTY }) }
}

const CLEARED = '\r\u001b[K'
/** Before it listens, a signal would end the process as it ends any other. */
const SAYS_WHEN_IT_LISTENS = `process.on('newListener', name => name === 'SIGINT' && process.stderr.write(name + '\\n'))`

suite('progress', () => {
  const written = (isTTY: boolean) => {
    const { chunks, stream } = writtenTo(isTTY)
    const progress = createProgress(stream)
    for (let done = 0; done < 1_000; done++) progress.show('embedding', done, 1_000)
    progress.show('codebook', 0, 0)
    progress.clear()
    return chunks
  }

  test('is shown now and then at a terminal, and taken away', () => {
    const chunks = written(true)
    assert.ok(chunks.length >= 3 && chunks.length < 20, `${chunks.length} writes`)
    assert.equal(chunks[0], `${CLEARED}embedding 0 % of 1,000`)
    assert.deepEqual(chunks.slice(-2), [`${CLEARED}codebook …`, CLEARED])
  })

  test('is not written into a file', () => assert.deepEqual(written(false), []))
})
