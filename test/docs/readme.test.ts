import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { findUpstream } from '../../proxy/upstream/find.ts'
import { freePort } from '../support/ports.ts'
import { createShellReader, readShellBlocks } from '../support/shell-page.ts'
import { tempFolder } from '../support/temp-folder.ts'

const found = await findUpstream()

suite('README.md', () => {
  test('can be followed by who has just come, and shows what it says', {
    skip: found && `${found.server} runs on this machine, and would answer instead of the practice model`,
  }, async () => {
    await using folder = await tempFolder()
    const [data, admin] = [String(await freePort()), String(await freePort())]
    await using reader = createShellReader(
      { 'npm ci\n': '', '8787': data, '8788': admin },
      { QIS_DATA: folder.path, QIS_DATA_LISTEN: `127.0.0.1:${data}`, QIS_ADMIN_LISTEN: `127.0.0.1:${admin}` },
    )
    const blocks = readShellBlocks('README.md')
    const [started, asked, again] = [await nextBlock(), await nextBlock(), await nextBlock()]
    assert.match(started, /NO LLM SERVER FOUND/)
    assert.match(asked, /^x-practice-model: /im)
    assert.doesNotMatch(asked, /^x-qis-confidence: /im)
    assert.ok(Number(/^x-qis-confidence: (\S+)/im.exec(again)?.[1]) < 0.5)
    assert.deepEqual(blocks, [])

    async function nextBlock(): Promise<string> {
      const block = blocks.shift()
      assert.ok(block)
      return reader.run(block)
    }
  })
})
