import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { dirname, join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { promisify } from 'node:util'
import { createPracticeModel } from '../../proxy/practice/server.ts'
import { startTestSidecar, type TestSidecar } from '../support/sidecar.ts'
import { tempFolder } from '../support/temp-folder.ts'

const ROOT = join(import.meta.dirname, '../..')
const EXAMPLES = join(ROOT, 'examples/clients')
const DEADLINE_MS = 60_000
/** A folder with a node_modules of further clients, too many and too large to be ours. */
const MORE_CLIENTS = process.env.QIS_TEST_CLIENTS
const PYTHON = process.env.QIS_TEST_PYTHON ?? 'python3'

const run = promisify(execFile)

function installed(name: string): string | undefined {
  const places = [ROOT, ...(MORE_CLIENTS === undefined ? [] : [MORE_CLIENTS])]
  return places.map(place => join(place, 'node_modules', name)).find(folder => existsSync(folder))
}

/** The examples in a folder of their own, beside the packages that they import. */
async function application(packages: readonly string[]) {
  const folder = await tempFolder()
  cpSync(EXAMPLES, folder.path, { recursive: true })
  writeFileSync(join(folder.path, 'package.json'), '{"type":"module"}')
  const modules = join(folder.path, 'node_modules')
  for (const name of new Set(packages)) {
    const found = installed(name)
    if (found === undefined) continue
    mkdirSync(dirname(join(modules, name)), { recursive: true })
    symlinkSync(found, join(modules, name))
  }
  const ours = join(modules, 'qis-sidecar')
  mkdirSync(join(ours, 'dist/client'), { recursive: true })
  cpSync(join(ROOT, 'package.json'), join(ours, 'package.json'))
  const client = readFileSync(join(ROOT, 'client/index.ts'), 'utf8')
  writeFileSync(join(ours, 'dist/client/index.js'), stripTypeScriptTypes(client))
  return folder
}

const examples: { file: string; command: string; needs: readonly string[] }[] = [
  { file: 'openai-node.js', command: process.execPath, needs: ['openai'] },
  { file: 'openai-node-stream.js', command: process.execPath, needs: ['openai'] },
  { file: 'vercel-ai-sdk.js', command: process.execPath, needs: ['ai', '@ai-sdk/openai-compatible'] },
  { file: 'langchain.js', command: process.execPath, needs: ['@langchain/openai', '@langchain/core'] },
  { file: 'openai_python.py', command: PYTHON, needs: [] },
  { file: 'curl.sh', command: 'bash', needs: [] },
]

function whyNot(file: string, needs: readonly string[]): string | false {
  const missing = needs.find(name => installed(name) === undefined)
  if (missing !== undefined) return `${missing} is not installed; QIS_TEST_CLIENTS names a folder that has it`
  if (file.endsWith('.sh') && spawnSync('curl', ['--version']).error) return 'curl is not installed'
  if (file.endsWith('.py') && spawnSync(PYTHON, ['-c', 'import openai']).status !== 0) {
    return 'there is no Python with openai; QIS_TEST_PYTHON names one'
  }
  return false
}

suite('the examples for clients', () => {
  const parts = new AsyncDisposableStack()
  let sidecar: TestSidecar
  let folder: string
  before(async () => {
    const model = parts.use(createPracticeModel())
    sidecar = parts.use(await startTestSidecar(await model.listen()))
    folder = parts.use(await application(examples.flatMap(({ needs }) => needs))).path
  })
  after(() => parts.disposeAsync())

  for (const { file, command, needs } of examples) {
    test(`${file} asks, reads the headers and gives feedback`, { skip: whyNot(file, needs) }, async () => {
      const { stdout } = await run(command, [file], {
        cwd: folder,
        env: { ...process.env, SIDECAR: sidecar.data },
        timeout: DEADLINE_MS,
      })
      assert.match(stdout, /confidence (?:unknown evidence none|0\.\d\d evidence (?:low|moderate|high))/)
      assert.match(stdout, /feedback accepted|"status":"accepted"/)
    })
  }

  test('are all of them tried here, and shown in docs/clients.md as they are', () => {
    assert.deepEqual(readdirSync(EXAMPLES).sort(), examples.map(({ file }) => file).sort())
    const page = readFileSync(join(ROOT, 'docs/clients.md'), 'utf8')
    for (const { file } of examples)
      assert.ok(page.includes(`\n${readFileSync(join(EXAMPLES, file), 'utf8')}\`\`\``), file)
  })
})
