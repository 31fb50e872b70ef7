import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { findUpstream } from '../../proxy/upstream/find.ts'
import { freePort } from '../support/ports.ts'
import { createShellReader, readShellBlocks, replaceAtOnce, shows } from '../support/shell-page.ts'
import { tempFolder } from '../support/temp-folder.ts'

const PORTS = ['4701', '4702', '8701', '8702', '8711', '8712']
const found = await findUpstream()

suite('docs/tutorial.md', () => {
  test('can be followed from its first command to its last, and shows what it says', {
    skip: found && `${found.server} runs on this machine, and the page asks to stop it`,
  }, async () => {
    await using folder = await tempFolder()
    const place = join(folder.path, 'two-hospitals')
    const ports = await Promise.all(PORTS.map(async port => [port, String(await freePort())]))
    await using reader = createShellReader({ ...Object.fromEntries(ports), '/tmp/two-hospitals': place })
    const blocks = readShellBlocks('docs/tutorial.md')
    const answers: string[] = []
    for (const block of blocks) {
      const output = await reader.run(block)
      if (block.commands.includes('/v1/chat/completions')) answers.push(output)
    }
    const [first, , after, unrelated] = answers.map(answer => /^x-qis-confidence: (\S+)/im.exec(answer)?.[1])
    assert.equal(first, undefined)
    assert.ok(Number(after) < 0.5)
    assert.equal(unrelated, undefined)
    assert.ok(!existsSync(place))
  })

  test('gets each port that was chosen as it is, also where it holds the digits of another', () => {
    const ports = { '4701': '18702', '8702': '24701', '/tmp/x': '/4701' }
    assert.equal(replaceAtOnce('4701 8702 /tmp/x/4701', ports), '18702 24701 /4701/18702')
  })

  test('would not pass with another output', () => {
    assert.ok(shows('a: 0.41\nb, and more\n', ['a: 0.40', 'b…']))
    assert.ok(!shows('a: 0.41\nb\n', ['b', 'a: 0.40']))
    assert.ok(!shows('a: none\n', ['a: 0.40']))
  })
})
