import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite, test } from 'node:test'

const ROOT = join(import.meta.dirname, '../..')
const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: Record<string, string> }
const benches = Object.entries(scripts).flatMap(([name, command]) => {
  const [, file] = /(bench\/\S+\.ts)$/.exec(command) ?? []
  return file === undefined ? [] : [{ name, file }]
})

function run(file: string, arg: string): Promise<{ code: number; out: string; err: string }> {
  return new Promise(resolve => {
    const child = execFile(process.execPath, [join(ROOT, file), arg], { timeout: 60_000 }, (_, out, err) =>
      resolve({ code: child.exitCode ?? -1, out, err }),
    )
  })
}

suite('a bench', () => {
  assert.ok(benches.length > 15)
  for (const { name, file } of benches) {
    test(`${name} --help says what it is for and every option`, async () => {
      const { code, out, err } = await run(file, '--help')
      assert.deepEqual([code, err], [0, ''])
      assert.match(out, /^[A-Z].{40}/)
      const read = /readArguments\(import\.meta\.filename, \{\n([\s\S]*?)\n\}\)/.exec(
        readFileSync(join(ROOT, file), 'utf8'),
      )
      const options = [...(read?.[1] ?? '').matchAll(/^ {2}'?([\w-]+)'?: /gm)].map(([, option = '']) => option)
      assert.ok(options.length > 0)
      for (const option of options) assert.match(out, new RegExp(`^  --${option}( VALUE)? +\\S`, 'm'))
    })
  }

  test('ends with code 2 at an option that it has not, and says which it has', async () => {
    const { code, out, err } = await run('bench/query-text.ts', '--jsn')
    assert.deepEqual([code, out], [2, ''])
    assert.match(err, /^query-text\.ts: .*--jsn[\s\S]*\n {2}--json +the figures alone/)
  })
})
