/** Whatever happens to the process of the model, the one that holds it goes on, and never leaves it behind. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { describe, it } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { Embedder, EmbedderError } from '../../embeddings/embedder.ts'
import { createTransformersEmbedder, type TransformersOptions } from '../../embeddings/transformers.ts'
import { isRunning, watchChildren } from '../support/children.ts'
import { until } from '../support/poll.ts'
import { tempFolder } from '../support/temp-folder.ts'
import { missing, POTION } from './shared-data.ts'

const skip = missing(POTION)
const linux = process.platform !== 'linux' && 'it looks into /proc'
const UNAVAILABLE = { code: 'ERR_EMBEDDER_UNAVAILABLE' }
/** One run of a few hundred milliseconds. Where one must be met under way, others stand behind it, for whoever looks late. */
const LONG = Array.from({ length: 250 }, (_, i) => `text ${i} `.repeat(200))

/** An embedder, its latest process, and a way to wait until a lost one has been replaced. */
async function replaceable(options: Partial<TransformersOptions> = {}) {
  const watch = watchChildren()
  const lost: Error[] = []
  let replaced = 0
  const embedder = await createTransformersEmbedder({
    model: POTION,
    restartDelayMs: 1,
    maxWaiting: 20 * LONG.length,
    ...options,
    observer: { workerLost: cause => lost.push(cause), workerReplaced: () => replaced++ },
  })
  return {
    embedder,
    lost,
    child: () => watch.children.at(-1) as ChildProcess,
    replacedTimes: (times: number) => until('another process', () => replaced === times, { deadlineMs: 60_000 }),
    async [Symbol.asyncDispose]() {
      watch[Symbol.dispose]()
      await embedder[Symbol.asyncDispose]()
    },
  }
}

/** More runs than are done in any moment that a test may lose. */
const many = (embedder: Embedder) => Promise.allSettled(Array.from({ length: 20 }, () => embedder.embed(LONG)))

/** From one run on, none came back; those before it were whole. */
async function cutShort(runs: ReturnType<typeof many>): Promise<void> {
  const settled = await runs
  const failed = settled.flatMap(run => (run.status === 'rejected' ? [(run.reason as EmbedderError).code] : []))
  assert.ok(failed.length > 0, 'something was under way')
  assert.deepEqual(new Set(failed), new Set([UNAVAILABLE.code]))
  for (const run of settled.slice(0, settled.length - failed.length)) {
    assert.equal(run.status === 'fulfilled' && run.value.length, LONG.length)
  }
}

describe('the process of a model', { skip }, () => {
  it('can be killed in the middle of runs, fifty times, and costs only those', async () => {
    await using held = await replaceable()
    const { embedder } = held
    const before = await embedder.embed(['a'])
    for (let times = 1; times <= 50; times++) {
      const inFlight = many(embedder)
      // Each time at another moment of the run.
      await delay(times % 10)
      held.child().kill('SIGKILL')
      await cutShort(inFlight)
      await assert.rejects(embedder.embed(['c']), UNAVAILABLE)
      await held.replacedTimes(times)
      assert.deepEqual(await embedder.embed(['a']), before)
    }
    assert.match(held.lost[0]?.message ?? '', /the embedding process ended with SIGKILL/)
  })

  it('can be closed in the middle of a run', async () => {
    for (let moment = 0; moment < 10; moment++) {
      const held = await replaceable()
      const inFlight = many(held.embedder)
      await delay(moment)
      await held[Symbol.asyncDispose]()
      await cutShort(inFlight)
      // Asked to go, it went, and by itself.
      assert.equal(held.child().exitCode, 0)
    }
  })

  it('is gone with its embedder even when it was still being started', async () => {
    const held = await replaceable()
    const first = held.child()
    first.kill('SIGKILL')
    await until('the next process', () => held.child() !== first)
    await held[Symbol.asyncDispose]()
    assert.equal(held.child().signalCode, 'SIGKILL')
  })

  it('is replaced when it hangs', async () => {
    await using folder = await tempFolder()
    const model = await hangingModel(folder.path)
    await using held = await replaceable({ model, runDeadlineMs: 2_000 })
    const before = await held.embedder.embed(['b'])
    await assert.rejects(held.embedder.embed([HANGS]), { ...UNAVAILABLE, message: /a run took longer than 2000 ms/ })
    await held.replacedTimes(1)
    assert.deepEqual(await held.embedder.embed(['b']), before)
  })

  it('may run out of memory, and its last words are kept', async () => {
    const { NODE_OPTIONS } = process.env
    process.env.NODE_OPTIONS = '--max-old-space-size=100'
    try {
      await using held = await replaceable({ maxUnits: 20_000_000 })
      await assert.rejects(held.embedder.embed(['word '.repeat(4_000_000)]), UNAVAILABLE)
      assert.match(String(held.lost[0]?.cause), /heap/)
      await held.replacedTimes(1)
      assert.equal((await held.embedder.embed(['a'])).length, 1)
    } finally {
      if (NODE_OPTIONS === undefined) delete process.env.NODE_OPTIONS
      else process.env.NODE_OPTIONS = NODE_OPTIONS
    }
  })

  it('is the first that Linux ends when the machine is out of memory', { skip: linux }, async () => {
    await using held = await replaceable()
    assert.equal(await readFile(`/proc/${held.child().pid}/oom_score_adj`, 'utf8'), '1000\n')
  })

  it('stays when it is told to go by anybody but its parent', async () => {
    await using held = await replaceable()
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) held.child().kill(name)
    assert.equal((await held.embedder.embed(['a'])).length, 1)
    assert.deepEqual(held.lost, [])
  })

  it('is killed when it does not go by itself', async () => {
    const held = await replaceable()
    held.child().kill('SIGSTOP')
    await held[Symbol.asyncDispose]()
    assert.equal(held.child().signalCode, 'SIGKILL')
  })

  it('is gone soon after its parent was killed', { skip: linux }, async () => {
    await using parent = await startParent(POTION)
    await parent.kill()
    await until('the end of the orphan', () => !isRunning(parent.child))
  })

  it('is gone soon after its parent was killed even when it hangs', { skip: linux }, async () => {
    await using folder = await tempFolder()
    await using parent = await startParent(await hangingModel(folder.path), `void embedder.embed(['${HANGS}'])`)
    await parent.kill()
    await until('the end of the orphan', () => !isRunning(parent.child))
  })

  it('answers while its parent drains after Ctrl-C, and both end without a word', { skip: linux }, async () => {
    await using parent = await startParent(
      POTION,
      `process.once('SIGINT', async () => {
        console.log((await embedder.embed(['a'])).length)
        await embedder[Symbol.asyncDispose]()
        clearInterval(alive)
      })`,
    )
    const closed = once(parent.process, 'close')
    process.kill(-parent.pid, 'SIGINT')
    assert.deepEqual(await closed, [0, null])
    assert.deepEqual(parent.said, ['1'])
    assert.equal(parent.complaints(), '')
    assert.ok(!isRunning(parent.child))
  })

  it('comes up even when Ctrl-C meets it before it can have heard of signals', { skip: linux }, async () => {
    const whileLoading = `process.on('SIGINT', () => undefined); process.kill(0, 'SIGINT')`
    await using parent = await startParent(POTION, '', { whileLoading })
    assert.equal(parent.complaints(), '')
  })

  it('is not profiled when its parent is', { skip: linux }, async () => {
    await using folder = await tempFolder()
    const end = `process.once('SIGINT', async () => {
      await embedder[Symbol.asyncDispose]()
      clearInterval(alive)
    })`
    await using parent = await startParent(POTION, end, { args: ['--cpu-prof', `--cpu-prof-dir=${folder.path}`] })
    const closed = once(parent.process, 'close')
    parent.process.kill('SIGINT')
    await closed
    assert.equal((await readdir(folder.path)).length, 1)
  })
})

const HANGS = 'a'.repeat(60)

/** A copy of the model whose tokenizer needs for ever to see that there is no b in `HANGS`. */
async function hangingModel(folder: string): Promise<string> {
  const model = join(folder, 'model')
  await cp(POTION, model, { recursive: true })
  const file = join(model, 'tokenizer.json')
  const tokenizer = JSON.parse(await readFile(file, 'utf8'))
  tokenizer.pre_tokenizer = {
    type: 'Sequence',
    pretokenizers: [
      { type: 'Split', pattern: { Regex: '(a+)+b' }, behavior: 'Isolated', invert: false },
      tokenizer.pre_tokenizer,
    ],
  }
  await writeFile(file, JSON.stringify(tokenizer))
  return model
}

/** A process, leader of a group of its own, that holds an embedder and then does what `script` says. */
async function startParent(model: string, script = '', { args = [] as string[], whileLoading = '' } = {}) {
  const program = `
    import { createTransformersEmbedder } from ${JSON.stringify(import.meta.resolve('../../embeddings/transformers.ts'))}
    import { watchChildren } from ${JSON.stringify(import.meta.resolve('../support/children.ts'))}
    using watch = watchChildren()
    const loading = createTransformersEmbedder({ model: ${JSON.stringify(model)} })
    ${whileLoading}
    const embedder = await loading
    const alive = setInterval(() => undefined, 1_000)
    ${script}
    console.log(watch.children[0].pid)`
  const child = spawn(process.execPath, [...args, '--input-type=module-typescript', '--eval', program], {
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', chunk => {
    stderr += chunk
  })
  const said: string[] = []
  const lines = createInterface(child.stdout).on('line', line => said.push(line))
  await Promise.race([once(lines, 'line'), once(child, 'close')])
  const pid = Number(said.shift())
  assert.ok(isRunning(pid), stderr)
  return {
    process: child,
    pid: child.pid as number,
    child: pid,
    said,
    complaints: () => stderr,
    async kill() {
      const exited = once(child, 'exit')
      child.kill('SIGKILL')
      await exited
    },
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.signalCode === null) await this.kill()
      if (isRunning(pid)) process.kill(pid, 'SIGKILL')
    },
  }
}
