import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite, test } from 'node:test'

const ROOT = join(import.meta.dirname, '../..')
const read = (name: string) => readFileSync(join(ROOT, name), 'utf8')

/** Rows of the tables of threats that have neither a test that exists nor the word that nothing is done. */
function unheld(page: string): string[] {
  const rows = page.split('\n').filter(line => /^\|(?:[^|]*\|){3}$/.test(line))
  return rows
    .filter(row => !/^\| threat \||^\|---/.test(row))
    .filter(row => {
      const tests = [...row.matchAll(/`(test\/[\w/.-]+)`/g)].map(([, path = '']) => path)
      return tests.length === 0 ? !row.includes('**not defended') : !tests.every(path => existsSync(join(ROOT, path)))
    })
}

suite('SECURITY.md', () => {
  test('names a test for every threat, or says that it is not defended', () => {
    const page = read('SECURITY.md')
    assert.ok(page.split('\n').filter(line => line.startsWith('| ')).length > 30)
    assert.deepEqual(unheld(page), [])
  })

  test('would not pass with a threat that nobody holds', () => {
    assert.equal(unheld('| a threat | a defence | `test/security/nothing.test.ts` |').length, 1)
    assert.equal(unheld('| a threat | a defence | |').length, 1)
    assert.equal(unheld('| a threat | **not defended** | |').length, 0)
  })

  test('and the figures beside it name commands that there are', () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }
    const page = read('docs/security-tests.md')
    const commands = [...page.matchAll(/`npm run ([\w:]+)/g)].map(([, name = '']) => name)
    assert.ok(commands.length > 2)
    for (const name of commands) assert.ok(Object.hasOwn(scripts, name), name)
    for (const [, path = ''] of page.matchAll(/`node --test ([\w/.-]+)`/g))
      assert.ok(existsSync(join(ROOT, path)), path)
  })
})
