import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

/** How many hard cases of the pass-through there are. */
const CASES = 40
const TESTS = join(import.meta.dirname, '..')

test('each hard case has a test of its number, or a written reason in docs/decisions.md', () => {
  const names = readdirSync(TESTS, { recursive: true, encoding: 'utf8' })
    .filter(name => name.endsWith('.test.ts'))
    .flatMap(name => readFileSync(join(TESTS, name), 'utf8').match(/['"`][^'"`\n]*\bcase \d+\b[^\n]*/g) ?? [])
  const tested = new Set(
    names.flatMap(name => [...name.matchAll(/\bcase (\d+)\b/g)].map(([, number]) => Number(number))),
  )
  const reasons = readFileSync(join(TESTS, '../docs/decisions.md'), 'utf8')
  const missing = Array.from({ length: CASES }, (_, index) => index + 1).filter(
    number => !tested.has(number) && !reasons.includes(`hard case ${number}`),
  )
  assert.deepEqual(missing, [])
})
