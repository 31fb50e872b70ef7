import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { createTokenCheck, type TokenSetting, tokens } from '../../proxy/access/tokens.ts'
import { tempFolder } from '../support/temp-folder.ts'

const hashOf = (token: string) => `sha256:${createHash('sha256').update(token).digest('hex')}`
const bearer = (token: string) => `Bearer ${token}`

suite('tokens', () => {
  for (const [how, setting] of [
    ['as it is', tokens()('secret')],
    ['by its hash', tokens()(hashOf('secret'))],
    ['by its hash in capitals', tokens()(hashOf('secret').replace(/[a-f]/g, letter => letter.toUpperCase()))],
  ] as const) {
    test(`a token that is configured ${how} admits, and nothing like it does`, () => {
      const check = createTokenCheck(setting)
      for (const shown of ['Bearer secret', 'bearer secret', 'Bearer  secret ']) assert.ok(check(shown), shown)
      const like = [
        '',
        'secret',
        'Bearer',
        'Bearer ',
        'Bearer secre',
        'Bearer secret2',
        'Basic secret',
        'Bearer SECRET',
      ]
      for (const shown of [...like, 'Bearer secret secret', bearer(hashOf('secret')), undefined]) {
        assert.equal(check(shown), undefined, shown)
      }
    })
  }

  test('the configuration holds no token, only its digest', () => {
    assert.ok(!JSON.stringify(tokens()('hunter2hunter2')).includes('hunter2'))
  })

  test('a file holds several, with what their holders may, and is read anew when it changes', async () => {
    await using folder = await tempFolder()
    const file = join(folder.path, 'tokens')
    await writeFile(file, `# for the app\nfirst app\n\n${hashOf('second')}\n`)
    const errors: unknown[] = []
    let now = 0
    const options = { allowed: ['user', 'app'], onError: (error: unknown) => void errors.push(error), clock: () => now }
    const check = createTokenCheck(tokens('user', 'app')(`file:${file}`), options)
    assert.deepEqual(check(bearer('first'))?.rights, ['app'])
    assert.deepEqual(check(bearer('second'))?.rights, [])
    await writeFile(file, 'third\n')
    now += 1_000
    assert.ok(check(bearer('third')))
    assert.equal(check(bearer('second')), undefined, 'one that was taken out admits nobody')

    await writeFile(file, 'third nonsense\n')
    now += 1_000
    assert.equal(check(bearer('third')), undefined, 'what makes no sense admits nobody')
    await rm(file)
    now += 1_000
    assert.equal(check(bearer('third')), undefined)
    assert.equal(errors.length, 1, 'told once')
    await writeFile(file, 'third\n')
    now += 1_000
    assert.ok(check(bearer('third')), 'and it is in order again when the file is')
  })

  test('a file that cannot be read at the start is told, without what stands in it', async () => {
    await using folder = await tempFolder()
    const file = join(folder.path, 'tokens')
    const setting: TokenSetting = tokens()(`file:${file}`)
    assert.throws(() => createTokenCheck(setting), { code: 'ERR_CONFIG_INVALID', message: /ENOENT/ })
    await writeFile(file, 'hunter2 hunter2')
    assert.throws(
      () => createTokenCheck(setting),
      ({ message }: Error) => !message.includes('hunter2'),
    )
  })
})
