import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { errorCodes } from '../../proxy/errors.ts'

test('docs/errors.md and the code know the same errors, with the same status', async () => {
  const page = await readFile(join(import.meta.dirname, '../../docs/errors.md'), 'utf8')
  const documented = [...page.matchAll(/^\| `(\w+)` \| (\d+) \|/gm)].map(([, code, status]) => [code, Number(status)])
  assert.deepEqual(Object.fromEntries(documented), errorCodes)
})
