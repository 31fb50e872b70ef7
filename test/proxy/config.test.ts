import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import {
  type Config,
  ConfigInvalidError,
  describeVariables,
  environmentVariables,
  readConfig,
  unknownVariables,
} from '../../proxy/config.ts'

suite('the configuration', () => {
  test('has a default for all that need not be chosen', () => {
    const config = readConfig({})
    assert.deepEqual(config.dataListen, { host: '127.0.0.1', port: 8787 })
    assert.deepEqual(config.adminListen, { host: '127.0.0.1', port: 8788 })
    assert.equal(config.upstreams, undefined)
    assert.equal(config.mode, 'share')
    assert.equal(config.profile, 'standard')
  })

  const good: [string, string, keyof Config, unknown][] = [
    ['QIS_UPSTREAM', 'http://10.0.0.5:8000', 'upstreams', [{ origin: 'http://10.0.0.5:8000', models: [] }]],
    ['QIS_UPSTREAM', 'https://llm.example/v1', 'upstreams', [{ origin: 'https://llm.example', models: [] }]],
    [
      'QIS_UPSTREAM',
      'http://a:1 llama3  qwen2, http://b:2/v1/',
      'upstreams',
      [
        { origin: 'http://a:1', models: ['llama3', 'qwen2'] },
        { origin: 'http://b:2', models: [] },
      ],
    ],
    ['QIS_DATA_LISTEN', '[::1]:9000', 'dataListen', { host: '::1', port: 9000 }],
    ['QIS_ADMIN_LISTEN', 'localhost:0', 'adminListen', { host: 'localhost', port: 0 }],
    ['QIS_DATA', '/var/lib/qis', 'dataDir', '/var/lib/qis'],
    ['QIS_DURABILITY', 'full', 'durability', 'power'],
    ['QIS_DURABILITY', '', 'durability', 'process'],
    ['QIS_MODE', 'receive', 'mode', 'receive'],
    ['QIS_PROFILE', 'open', 'profile', 'open'],
    ['QIS_PROFILE', 'clinical', 'profile', 'clinical'],
    ['QIS_INTEREST', '', 'interest', undefined],
    ['QIS_INTEREST', 'domain', 'interest', 'domain'],
    ['QIS_SHARE_DOMAINS', 'clinical, legal.tax', 'shareDomains', ['clinical', 'legal.tax']],
    ['QIS_PRIVATE_DOMAINS', '', 'privateDomains', []],
    ['QIS_DAILY_CAP', '0', 'dailyCap', 0],
    ['QIS_ESTIMATOR', '', 'estimator', 'ours'],
    ['QIS_ESTIMATOR', 'seed', 'estimator', 'seed'],
    ['QIS_BOOTSTRAP', ' /a , /b,', 'bootstrap', ['/a', '/b']],
    ['QIS_UPSTREAM_HEADERS', 'off', 'upstreamHeaders', false],
    ['QIS_FIRST_BYTE_TIMEOUT_MS', '0', 'firstByteTimeoutMs', 0],
    ['QIS_LOG_LEVEL', '', 'logLevel', 'info'],
    ['QIS_EMBEDDER', 'minilm', 'embedder', 'minilm'],
    ['QIS_EMBEDDER_FALLBACK', '', 'embedderFallback', 'none'],
    ['QIS_IMPLICIT', 'off', 'implicit', []],
    ['QIS_IMPLICIT', 'on', 'implicit', ['empty', 'cut', 'invalid_json', 'bad_tool_call', 'refusal', 'error']],
    [
      'QIS_IMPLICIT',
      'all',
      'implicit',
      ['empty', 'cut', 'invalid_json', 'bad_tool_call', 'refusal', 'error', 'asked_again'],
    ],
    ['QIS_IMPLICIT', 'empty, cut', 'implicit', ['empty', 'cut']],
    ['QIS_FEEDBACK_ORIGINS', 'https://a.example, http://b:81', 'feedbackOrigins', ['https://a.example', 'http://b:81']],
    ['QIS_KEEP_CORRECTIONS', 'on', 'keepCorrections', true],
    ['QIS_RECEIPT_LIFETIME_S', '3600', 'receiptLifetimeS', 3600],
    [
      'QIS_ROUTE',
      'meta/llama3:8b = 0.2, gpt-4o=5,qwen2',
      'route',
      [
        { name: 'meta/llama3:8b', price: 0.2 },
        { name: 'gpt-4o', price: 5 },
        { name: 'qwen2', price: 0 },
      ],
    ],
    ['QIS_ROUTE', '', 'route', []],
    ['QIS_ROUTE_EXPLORE', 'off', 'routeExplore', 'off'],
    ['QIS_ROUTE_EXPLORE', '.05', 'routeExplore', 0.05],
    ['QIS_REFINE_DOMAINS', 'clinical, *', 'refineDomains', ['clinical', '*']],
    ['QIS_HOSTS', 'qis.example, a', 'hosts', ['qis.example', 'a']],
    ['QIS_RATE_LIMIT', '0', 'rateLimit', 0],
    ['QIS_STALL_MS', '5000', 'stallMs', 5000],
  ]
  for (const [name, value, key, expected] of good) {
    test(`reads ${name}=${value}`, () => assert.deepEqual(readConfig({ [name]: value })[key], expected))
  }

  const bad: [string, string, RegExp][] = [
    ['QIS_DURABILITY', 'maximal', /one of normal, full/],
    ['QIS_UPSTREAM', 'localhost:11434', /origin like/],
    ['QIS_UPSTREAM', 'http://x/api', /origin like/],
    ['QIS_UPSTREAM', 'ftp://x', /origin like/],
    ['QIS_UPSTREAM', 'http://a:1, http://a:1', /all different/],
    ['QIS_UPSTREAM_CERT', 'client.pem', /set together/],
    ['QIS_DATA_LISTEN', '8787', /HOST:PORT/],
    ['QIS_DATA_LISTEN', '127.0.0.1:99999', /HOST:PORT/],
    ['QIS_SHARE_DOMAINS', 'clinical oncology', /domains by comma/],
    ['QIS_PRIVATE_DOMAINS', 'Legal', /domains by comma/],
    ['QIS_ESTIMATOR', 'kernel', /one of ours, seed/],
    ['QIS_INTEREST', 'all', /one of matched, domain/],
    ['QIS_MODE', 'sometimes', /one of off, receive, share/],
    ['QIS_ADVICE_DEADLINE_MS', '1.5', /whole number from 1 to 10000/],
    ['QIS_ADVICE_DEADLINE_MS', '0', /whole number from 1 to 10000/],
    ['QIS_UPSTREAM_HEADERS', 'yes', /one of on, off/],
    ['QIS_IMPLICIT', 'empty,rude', /one of empty, cut/],
    ['QIS_FEEDBACK_ORIGINS', 'https://a.example/', /without a path/],
    ['QIS_FEEDBACK_ORIGINS', 'a.example', /without a path/],
    ['QIS_RECEIPT_LIFETIME_S', '0', /whole number from 1/],
    ['QIS_EMBEDDER', 'transformers', /QIS_EMBEDDER_MODEL must be set/],
    ['QIS_EMBEDDER', 'word2vec', /one of static, minilm, transformers/],
    ['QIS_EMBEDDER_FALLBACK', 'potion', /one of none, static/],
    ['QIS_ROUTE', 'a=1, a=2', /all different/],
    ['QIS_ROUTE', 'a=cheap', /models with their prices/],
    ['QIS_ROUTE', 'a b=1', /models with their prices/],
    ['QIS_ROUTE', Array.from({ length: 17 }, (_, at) => `m${at}`).join(), /at most 16/],
    ['QIS_ROUTE_PRICE_WEIGHT', '-1', /a number from 0 to 10/],
    ['QIS_ROUTE_EXPLORE', '2', /a number from 0 to 1/],
    ['QIS_ROUTE_LIST', 'yes', /one of on, off/],
    ['QIS_REFINE', 'on', /QIS_REFINE_DOMAINS must name/],
    ['QIS_REFINE_DOMAINS', 'Law!', /domains by comma/],
    ['QIS_REFINE_HOLDOUT', '0', /a number from 0.01 to 0.9/],
    ['QIS_HOSTS', 'qis.example:80', /without a port/],
    ['QIS_RATE_LIMIT', '-1', /whole number from 0/],
    ['QIS_STALL_MS', 'never', /whole number from 0/],
    ['QIS_ADMIN_TOKEN', 'sha256:abc', /sha256:<64 hex digits>/],
    ['QIS_ADMIN_TOKEN', 'x user', /a token of visible characters/],
    ['QIS_FEEDBACK_TOKEN', 'x evaluator', /any of user, app behind it/],
    ['QIS_METRICS_TOKEN', 'caf\u00e9', /visible characters/],
    ['QIS_EVALUATOR_TOKEN', 'a b', /visible characters/],
    ['QIS_ADMIN_LISTEN', '0.0.0.0:8788', /QIS_ADMIN_TOKEN must be set/],
    ['QIS_DATA_LISTEN', '[::]:8787', /QIS_ADMIN_TOKEN must be set/],
  ]
  for (const [name, value, reason] of bad) {
    test(`refuses ${name}=${value} and says what it must be`, () =>
      assert.throws(
        () => readConfig({ [name]: value }),
        error => error instanceof ConfigInvalidError && error.message.includes('QIS_') && reason.test(error.message),
      ))
  }

  test('repeats no secret in its complaints', () => {
    for (const [name, value] of [
      ['QIS_ADMIN_TOKEN', 'hunter2 hunter2'],
      ['QIS_UPSTREAM', 'http://me:hunter2@llm.example/v2'],
    ] as const) {
      assert.throws(
        () => readConfig({ [name]: value }),
        ({ message }: Error) => message.startsWith(name) && !message.includes('hunter2'),
      )
    }
  })

  test('a listener beyond loopback needs a token that will do for it', () => {
    const exposed = { QIS_DATA_LISTEN: '0.0.0.0:8787' }
    assert.ok(readConfig({ ...exposed, QIS_FEEDBACK_TOKEN: 'x' }).feedbackToken)
    assert.throws(() => readConfig({ ...exposed, QIS_EVALUATOR_TOKEN: 'x' }), /QIS_ADMIN_TOKEN must be set/)
    assert.throws(
      () => readConfig({ QIS_ADMIN_LISTEN: '0.0.0.0:8788', QIS_FEEDBACK_TOKEN: 'x' }),
      /QIS_ADMIN_TOKEN must be set/,
    )
  })

  test('tells typing errors from settings', () => {
    assert.deepEqual(unknownVariables({ QIS_MODE: 'off', QIS_MOED: 'off', PATH: '/bin' }), ['QIS_MOED'])
  })

  test('describes every variable once', () => {
    for (const name of environmentVariables) assert.equal(describeVariables().split(`  ${name} `).length, 2, name)
  })
})
