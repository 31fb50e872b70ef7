/** Holds the layout: two leaves that do not know each other, one joiner, a command line on top, short files. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join, posix, relative } from 'node:path'
import { describe, it } from 'node:test'

const ROOT = join(import.meta.dirname, '..')
const MAX_LINES = 400

interface Source {
  /** From the repository's root, with slashes. */
  path: string
  text: string
}

/** Which folders a folder may import from; packages and Node itself are open to all. The first match counts. */
const MAY_IMPORT: [folder: string, from: string[]][] = [
  // Makes the tables that both leaves read; only the command line imports it.
  ['embeddings/train/', ['embeddings/', 'router/space.ts', 'router/products.ts', 'router/fingerprint.ts']],
  ['embeddings/', ['embeddings/']],
  ['router/', ['router/']],
  ['proxy/', ['proxy/', 'embeddings/', 'router/']],
  ['cli/', ['cli/', 'proxy/', 'embeddings/', 'router/']],
  // Goes into applications, which have nothing else of ours.
  ['client/', ['client/']],
]
/** Gets the environment from its process and hands it on. */
const READS_ENVIRONMENT = ['proxy/config.ts', 'proxy/main.ts', 'cli/main.ts']
const WORKSHOP = 'embeddings/train/'

/** `from '…'`, `import '…'`, `import('…')` and `new URL('…', import.meta.url)`; of a template, what stands before its first gap. */
const REFERENCE = /(?:\bfrom\s*|\bimport\s*\(?\s*|\bnew URL\(\s*)(['"`])(\.[^'"`$]*)/g

function violations(sources: readonly Source[]): string[] {
  return sources.flatMap(source => [...wrongImports(source), ...environmentReads(source), ...excess(source)])
}

function wrongImports({ path, text }: Source): string[] {
  const allowed = MAY_IMPORT.find(([folder]) => path.startsWith(folder))?.[1] ?? []
  return [...text.matchAll(REFERENCE)]
    .map(([, , reference = '']) => posix.join(posix.dirname(path), reference))
    .filter(target => {
      if (target.startsWith(WORKSHOP) && !path.startsWith(WORKSHOP) && !path.startsWith('cli/')) return true
      return !allowed.some(folder => target.startsWith(folder))
    })
    .map(target => `${path} imports ${target}`)
}

function environmentReads({ path, text }: Source): string[] {
  const reads =
    /\bprocess\s*(?:\.\s*env\b|\[\s*['"`]env)|\benv\b[^;\n]*\bfrom\s*'node:process'|\{[^}]*\benv\b[^}]*\}\s*=\s*process\b/
  return !READS_ENVIRONMENT.includes(path) && reads.test(text) ? [`${path} reads the environment`] : []
}

function excess({ path, text }: Source): string[] {
  const lines = text.split('\n').length
  return lines > MAX_LINES ? [`${path} has ${lines} lines`] : []
}

function readSources(): Source[] {
  return ['proxy', 'router', 'embeddings', 'cli', 'client'].flatMap(folder =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
      .filter(name => name.endsWith('.ts'))
      .map(name => join(ROOT, folder, name))
      .map(file => ({ path: relative(ROOT, file).replaceAll('\\', '/'), text: readFileSync(file, 'utf8') })),
  )
}

describe('the folders', () => {
  const sources = readSources()

  it('import one another in one direction only, and stay short', () => {
    assert.ok(sources.length > 50)
    assert.deepEqual(violations(sources), [])
  })

  it('are read by their imports: every kind of reference is seen', () => {
    const seen = sources.flatMap(({ text }) => [...text.matchAll(REFERENCE)].map(match => match[0]))
    assert.ok(seen.some(reference => reference.startsWith('from')))
    assert.ok(seen.some(reference => reference.startsWith('new URL')))
    assert.ok(seen.length > 100)
  })
})

describe('the checker', () => {
  const planted: [path: string, text: string, fault?: string][] = [
    [
      'embeddings/static.ts',
      "import { loadSpace } from '../router/space.ts'",
      'embeddings/static.ts imports router/space.ts',
    ],
    ['embeddings/a.ts', "import type { X } from '../proxy/app.ts'", 'embeddings/a.ts imports proxy/app.ts'],
    [
      'router/a.ts',
      "import {\n  type Embedder,\n} from '../embeddings/embedder.ts'",
      'router/a.ts imports embeddings/embedder.ts',
    ],
    ['router/network/a.ts', "export * from '../../proxy/app.ts'", 'router/network/a.ts imports proxy/app.ts'],
    ['router/a.ts', "import '../proxy/main.ts'", 'router/a.ts imports proxy/main.ts'],
    ['router/a.ts', "await import('../proxy/main.ts')", 'router/a.ts imports proxy/main.ts'],
    ['router/a.ts', `new Worker(new URL(\`../proxy/w.\${x}\`, import.meta.url))`, 'router/a.ts imports proxy/w.'],
    [
      'proxy/a.ts',
      "import { kMeans } from '../embeddings/train/codebook.ts'",
      'proxy/a.ts imports embeddings/train/codebook.ts',
    ],
    ['proxy/a.ts', "import { run } from '../demo/main.ts'", 'proxy/a.ts imports demo/main.ts'],
    ['proxy/a.ts', "import '../cli/main.ts'", 'proxy/a.ts imports cli/main.ts'],
    ['router/a.ts', "await import('../cli/commands.ts')", 'router/a.ts imports cli/commands.ts'],
    ['client/a.ts', "import type { X } from '../router/outcome.ts'", 'client/a.ts imports router/outcome.ts'],
    ['embeddings/train/a.ts', "import '../../cli/command.ts'", 'embeddings/train/a.ts imports cli/command.ts'],
    ['cli/commands/a.ts', "import '../../demo/main.ts'", 'cli/commands/a.ts imports demo/main.ts'],
    ['cli/commands/a.ts', 'process.env.HOME', 'cli/commands/a.ts reads the environment'],
    ['embeddings/train/a.ts', "import '../../router/router.ts'", 'embeddings/train/a.ts imports router/router.ts'],
    ['proxy/a.ts', 'const port = process.env.PORT', 'proxy/a.ts reads the environment'],
    ['proxy/a.ts', "process['env'].PORT", 'proxy/a.ts reads the environment'],
    ['router/a.ts', "import { env } from 'node:process'", 'router/a.ts reads the environment'],
    ['router/a.ts', 'const { env } = process', 'router/a.ts reads the environment'],
    ['proxy/a.ts', '\n'.repeat(MAX_LINES), 'proxy/a.ts has 401 lines'],
    ['proxy/config.ts', 'process.env.PORT'],
    ['cli/main.ts', 'process.env'],
    ['cli/a.ts', "import { x } from '../proxy/config.ts'\nimport { y } from '../embeddings/train/codebook.ts'"],
    [
      'proxy/a.ts',
      "import { a } from './b.ts'\nimport { c } from '../router/c.ts'\nimport { d } from '../embeddings/d.ts'",
    ],
    ['router/a.ts', "import { Worker } from 'node:worker_threads'\nimport { x } from './network/x.ts'"],
    ['embeddings/train/a.ts', "import { project } from '../../router/fingerprint.ts'"],
  ]
  for (const [path, text, fault] of planted) {
    it(`finds ${fault ?? `nothing wrong in ${path}: ${text.slice(0, 40)}`}`, () => {
      assert.deepEqual(violations([{ path, text }]), fault === undefined ? [] : [fault])
    })
  }
})
