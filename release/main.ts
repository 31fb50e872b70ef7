/** `npm run release`: everything that a version is published as, in out/: the tarball, what it is made of, and their hashes. */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { billOfMaterials } from './bill.ts'

const ROOT = join(import.meta.dirname, '..')
const OUT = join(ROOT, 'out')
const { name, version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Record<string, string>

function run(command: string, ...args: string[]): string {
  return execFileSync(command, args, {
    cwd: ROOT,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
}

const changed = run('git', 'status', '--porcelain')
if (changed !== '') throw new Error(`what is released must be committed first:\n${changed}`)
const dated = new RegExp(`^## ${version?.replaceAll('.', '\\.')} \\(\\d{4}-\\d\\d-\\d\\d\\)$`, 'm')
if (!dated.test(readFileSync(join(ROOT, 'CHANGELOG.md'), 'utf8'))) {
  throw new Error(`CHANGELOG.md needs a heading "## ${version} (YYYY-MM-DD)"`)
}

rmSync(OUT, { recursive: true, force: true })
mkdirSync(OUT)
run('npm', 'pack', '--silent', '--pack-destination', OUT)
writeFileSync(join(OUT, `${name}-${version}.cdx.json`), `${JSON.stringify(billOfMaterials(ROOT), undefined, 2)}\n`)
const sums = readdirSync(OUT)
  .sort()
  .map(
    file =>
      `${createHash('sha256')
        .update(readFileSync(join(OUT, file)))
        .digest('hex')}  ${file}\n`,
  )
writeFileSync(join(OUT, 'SHA256SUMS'), sums.join(''))
process.stdout.write(`${sums.join('')}in ${OUT}\n`)
