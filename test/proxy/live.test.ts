import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { reloaded } from '../../proxy/config/reload.ts'
import { type Config, readConfig, readSettings } from '../../proxy/config.ts'
import { createLive } from '../../proxy/live.ts'

const logger = { debug() {}, info() {}, warn() {} }
const configOf = (flags: Record<string, string> = {}) => readConfig({ QIS_CONFIG: 'off' }, flags)
const settingsOf = (flags: Record<string, string>) => readSettings({ QIS_CONFIG: 'off' }, flags)

suite('parts made of settings', () => {
  test('change all at once, and what they replace is taken down', async () => {
    const gone: string[] = []
    const make = (name: string) => (config: Config) => ({
      limit: config.rateLimit,
      [Symbol.dispose]: () => void gone.push(`${name}${config.rateLimit}`),
    })
    const followed: number[] = []
    {
      await using live = createLive({ logger }, configOf({ rate_limit: '1' }))
      const [a, b] = [await live.part(make('a')), await live.part(make('b'))]
      live.follow(({ rateLimit }) => void followed.push(rateLimit))
      await live.change(configOf({ rate_limit: '2' }))
      assert.deepEqual([a.current.limit, b.current.limit, live.config.rateLimit, followed], [2, 2, 2, [2]])
      assert.deepEqual(gone, ['a1', 'b1'])
    }
    assert.deepEqual(gone, ['a1', 'b1', 'b2', 'a2'])
  })

  test('stay as they are where one of them cannot be made, and what was made is taken down', async () => {
    const gone: number[] = []
    await using live = createLive({ logger }, configOf({ rate_limit: '1' }))
    const part = await live.part(({ rateLimit }) => ({ rateLimit, [Symbol.dispose]: () => void gone.push(rateLimit) }))
    await live.part(({ rateLimit }) => {
      if (rateLimit === 2) throw new Error('not so')
    })
    await assert.rejects(live.change(configOf({ rate_limit: '2' })), /not so/)
    assert.deepEqual([part.current.rateLimit, live.config.rateLimit, gone], [1, 1, [2]])
  })
})

suite('settings that are read anew', () => {
  test('change where they can, and say what has to wait', () => {
    const { config, changed, waiting } = reloaded(configOf(), settingsOf({ rate_limit: '7', mode: 'off', space: 'x' }))
    assert.deepEqual([config.rateLimit, config.mode, config.space], [7, 'share', undefined])
    assert.deepEqual([changed, waiting], [['rate_limit'], ['mode', 'space']])
    assert.deepEqual(reloaded(configOf(), settingsOf({})), { config: configOf(), changed: [], waiting: [] })
  })

  test('are refused where they are wrong, alone or beside what cannot change', () => {
    assert.throws(() => reloaded(configOf(), settingsOf({ rate_limit: 'x' })), { code: 'ERR_CONFIG_INVALID' })
    const exposed = configOf({ admin_listen: '0.0.0.0:1', admin_token: 'secret' })
    assert.throws(
      () => reloaded(exposed, settingsOf({ admin_listen: '127.0.0.1:1' })),
      /QIS_ADMIN_TOKEN must be set.*waits for a restart \(admin_listen\)/,
    )
  })
})
