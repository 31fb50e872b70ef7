/** Settings from the file and from flags, beside the environment. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { Value } from '@sinclair/typebox/value'
import { parse } from 'yaml'
import { readFlags } from '../../proxy/config/flags.ts'
import { keyOf } from '../../proxy/config/read.ts'
import { fileSchema } from '../../proxy/config/schema.ts'
import { ConfigInvalidError, readConfig, readSettings, settings } from '../../proxy/config.ts'
import { tempFolder } from '../support/temp-folder.ts'

async function withFile(text: string, look: (file: string, folder: string) => void): Promise<void> {
  await using folder = await tempFolder()
  const file = join(folder.path, 'some.yaml')
  await writeFile(file, text)
  look(file, folder.path)
}

/** One of every kind of value, as an operator would write it. */
const GOOD = `
upstream: [http://a:1 llama3, http://b:2]
data_listen: 127.0.0.1:9000
implicit: [empty, cut]
data: somewhere
mode: receive
share_domains:
  - clinical
  - legal.tax
mdns: true
upstream_headers: off
rate_limit: 100
route_explore: 0.05
refine_domains: "*"
admin_token: file:tokens
durability: full
otlp_endpoint: http://127.0.0.1:4318
bootstrap: []
`

suite('the file of settings', () => {
  test('takes lists, numbers and booleans as they are, and paths from where it lies', () =>
    withFile(GOOD, (file, folder) => {
      const config = readConfig({ QIS_CONFIG: file })
      assert.deepEqual(config.upstreams, [
        { origin: 'http://a:1', models: ['llama3'] },
        { origin: 'http://b:2', models: [] },
      ])
      assert.deepEqual(config.dataListen, { host: '127.0.0.1', port: 9000 })
      assert.deepEqual(
        [config.implicit, config.shareDomains],
        [
          ['empty', 'cut'],
          ['clinical', 'legal.tax'],
        ],
      )
      assert.deepEqual([config.mdns, config.upstreamHeaders, config.rateLimit], [true, false, 100])
      assert.deepEqual([config.routeExplore, config.mode, config.durability], [0.05, 'receive', 'power'])
      assert.equal(config.dataDir, join(folder, 'somewhere'))
      assert.deepEqual(config.adminToken, { file: join(folder, 'tokens') })
      assert.deepEqual([config.otlpEndpoint, config.bootstrap], ['http://127.0.0.1:4318', []])
    }))

  test('is stronger than the environment and weaker than flags, and it is told which it was', () =>
    withFile('# mine\nmode: receive\nprofile: open\n', file => {
      const environment = { QIS_CONFIG: file, QIS_MODE: 'off', QIS_PROFILE: 'clinical', QIS_SHUTDOWN_MS: '1' }
      const { values, given } = readSettings(environment, { profile: 'standard' })
      assert.deepEqual([values.mode, values.profile, values.shutdownMs], ['receive', 'standard', 1])
      assert.deepEqual(
        ['mode', 'profile', 'shutdownMs', 'estimator'].map(name => [given[name]?.from, given[name]?.place]),
        [
          ['file', `${file}:2: mode`],
          ['flag', '--profile'],
          ['environment', 'QIS_SHUTDOWN_MS'],
          ['default', 'QIS_ESTIMATOR'],
        ],
      )
    }))

  test('may be named by a flag, or be none at all', () =>
    withFile('mode: receive', file => {
      assert.equal(readConfig({}, { config: file }).mode, 'receive')
      assert.equal(readConfig({ QIS_CONFIG: file }, { config: 'off' }).mode, 'share')
      assert.equal(readConfig({ QIS_CONFIG: 'off' }).mode, 'share')
    }))

  const bad: [text: string, fault: RegExp][] = [
    ['upstrem: http://a', /:1: there is no setting upstrem; did you mean upstream\?$/],
    ['\nQIS_MODE: off', /:2: there is no setting QIS_MODE; did you mean mode\?$/],
    ['data-listen: a:1', /:1: there is no setting data-listen; did you mean data_listen\?$/],
    ['colour: red', /:1: there is no setting colour; qis config schema lists those there are$/],
    ['\n\nprofile: opne', /:3: profile must be one of .*, not "opne"; did you mean open\?$/],
    ['rate_limit: -1', /:1: rate_limit must be a whole number from 0 to 1000000, not "-1"$/],
    ['mode:', /:1: mode must be a single value; without the line it is unset$/],
    ['mode: [off]', /:1: mode must be a single value/],
    ['bootstrap: {a: 1}', /:1: bootstrap must be a list of single values, without commas in them/],
    ['bootstrap: ["a,b"]', /:1: bootstrap must be a list of single values/],
    ['mode: off\nmode: share', /:2: Map keys must be unique$/],
    ['mode: [', /:\d+: .+$/],
    ['- mode', /:1: it must hold settings, each as KEY: VALUE$/],
    ['admin_token: a hunter2', /:1: admin_token must be a token of visible characters((?!hunter2).)*$/],
    ['embedder: transformers', /^QIS_EMBEDDER_MODEL must be set/],
    ['refine: on\nrefine_domains: []', /:2: refine_domains must name the domains/],
  ]
  for (const [text, fault] of bad) {
    test(`that says ${JSON.stringify(text)} is refused, with its line`, () =>
      withFile(text, file =>
        assert.throws(
          () => readConfig({ QIS_CONFIG: file }),
          error =>
            error instanceof ConfigInvalidError &&
            fault.test(error.message) &&
            (error.message.startsWith('QIS_') || error.message.startsWith(`${file}:`)),
        ),
      ))
  }

  test('that is wrong in several places is told of all of them', () =>
    withFile('moed: off\nprofile: opne\n', file => {
      assert.equal(readSettings({ QIS_CONFIG: file }, { rate_limit: 'x' }).faults.length, 3)
    }))

  test('that was asked for and is not there is a fault', () => {
    assert.throws(() => readConfig({ QIS_CONFIG: '/nowhere/qis.config.yaml' }), /cannot be read \(ENOENT\)/)
  })
})

suite('flags', () => {
  test('are called after the keys, and stand beside other options', () => {
    const { flags, values } = readFlags(settings, ['--data-listen', '127.0.0.1:1', '--mode=off', '--json'], {
      json: { type: 'boolean' },
    })
    assert.deepEqual([flags, values.json], [{ data_listen: '127.0.0.1:1', mode: 'off' }, true])
  })

  test('that are none are refused, with the nearest', () => {
    assert.throws(
      () => readFlags(settings, ['--data_listn', 'x'], {}),
      /no option --data_listn; did you mean --data-listen\?/,
    )
  })

  test('are named in what is wrong with them', () => {
    assert.throws(() => readConfig({}, { rate_limit: 'x' }), /^ConfigInvalidError: --rate-limit must be/)
  })
})

suite('the schema of the file', () => {
  const schema = fileSchema(settings)

  test('knows every setting by its key, which no two share', () => {
    const keys = Object.values(settings).map(keyOf)
    assert.deepEqual(Object.keys(schema.properties), keys)
    assert.equal(new Set(keys).size, keys.length)
  })

  test('accepts what the program accepts, and refuses what no setting can be', () => {
    assert.deepEqual([...Value.Errors(schema, parse(GOOD))], [])
    for (const wrong of [
      { mode: 'sometimes' },
      { rate_limit: -1 },
      { colour: 'red' },
      { mdns: 'yes' },
      { bootstrap: {} },
    ]) {
      assert.ok(!Value.Check(schema, wrong), JSON.stringify(wrong))
    }
  })

  test('accepts every default that it tells', () => {
    for (const [key, property] of Object.entries<{ default?: unknown }>(schema.properties)) {
      if (property.default !== undefined) assert.ok(Value.Check(schema, { [key]: property.default }), key)
    }
  })

  test('is published as it is', () => {
    const published = readFileSync(join(import.meta.dirname, '../../qis.config.schema.json'), 'utf8')
    assert.deepEqual(JSON.parse(published), JSON.parse(JSON.stringify(schema)), 'npm run docs:settings writes it anew')
  })
})
