/** `npm run build`: JavaScript for the published package and the image, since Node runs no TypeScript under node_modules. */
import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { dirname, extname, join } from 'node:path'

const ROOT = join(import.meta.dirname, '..')
const OUT = join(ROOT, 'dist')
const PROGRAM = ['proxy', 'router', 'embeddings', 'cli', 'client']
/** Compiled already, or what others are compiled from. */
const NOT_READ_AT_RUN_TIME = new Set(['.ts', '.wat'])
/** Makes the tables; of it only what `qis space train` needs is compiled along. */
const WORKSHOP = join('embeddings', 'train')

function compile(project: string): void {
  execFileSync(join(ROOT, 'node_modules/.bin/tsc'), ['--project', join(ROOT, project)], { stdio: 'inherit' })
}

/** Tables, kernels, pages: all that lies beside the sources and is read from there. */
function copyAssets(): number {
  const assets = PROGRAM.flatMap(folder =>
    readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
      .filter(entry => entry.isFile() && !NOT_READ_AT_RUN_TIME.has(extname(entry.name)))
      .map(entry => join(entry.parentPath, entry.name).slice(ROOT.length + 1)),
  ).filter(path => !path.startsWith(WORKSHOP))
  for (const path of assets) {
    mkdirSync(dirname(join(OUT, path)), { recursive: true })
    copyFileSync(join(ROOT, path), join(OUT, path))
  }
  return assets.length
}

/** The compiler rewrites imports, but not the names of files that workers are started from. */
function refuseTypeScriptNames(): void {
  for (const name of readdirSync(OUT, { recursive: true, encoding: 'utf8' })) {
    if (!name.endsWith('.js')) continue
    const found = /new URL\(\s*(['"`])[^'"`]*\.ts\1/.exec(readFileSync(join(OUT, name), 'utf8'))
    if (found) throw new Error(`dist/${name} starts a TypeScript file (${found[0]}…); take extname(import.meta.url)`)
  }
}

rmSync(OUT, { recursive: true, force: true })
compile('tsconfig.build.json')
compile('tsconfig.client.json')
const assets = copyAssets()
refuseTypeScriptNames()
process.stdout.write(`dist: built, with ${assets} files that are read at run time\n`)
