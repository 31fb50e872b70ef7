import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { suite, test } from 'node:test'
import { readConfig } from '../../proxy/config.ts'
import { sharingOptions } from '../../proxy/sharing.ts'
import { profiles } from '../../router/disclosure.ts'
import { chat, postFeedback, startTestSidecar, type TestSidecar } from '../support/sidecar.ts'
import { tempFolder } from '../support/temp-folder.ts'
import { startUpstream } from '../support/upstream.ts'

const options = (settings: Record<string, string>, configured: string[] = []) =>
  sharingOptions(readConfig(settings), configured)

/** What is to leave, in the order of the ratings. */
async function rated(settings: Record<string, string>, domains = ['general']): Promise<Record<string, unknown>[]> {
  await using upstream = await startUpstream()
  await using run = await startTestSidecar(upstream.url, {
    QIS_UPSTREAM: `${upstream.url} m`,
    QIS_MODE: 'share',
    QIS_PROFILE: 'standard',
    ...settings,
  })
  for (const domain of domains) await rate(run, domain)
  using database = new DatabaseSync(join(run.dataDir, 'qis.db'), { readOnly: true })
  return database
    .prepare('SELECT payload FROM outbox ORDER BY rowid')
    .all()
    .map(({ payload }) => JSON.parse(String(payload)) as Record<string, unknown>)
}

async function rate(run: TestSidecar, domain: string): Promise<void> {
  const answer = await chat(run.data, 'How do I cancel my train ticket and get a refund?', {
    'x-qis-domain': domain,
    'x-qis-self-confidence': '0.9',
  })
  await answer.text()
  const response = await postFeedback(run.data, {
    request_id: answer.headers.get('x-qis-request-id'),
    rating: 'down',
    correction: { type: 'factual' },
  })
  assert.equal(response.status, 202)
}

/** Cells that a question is answered from, and so listened for. */
const PROBES = 11

suite('what leaves', () => {
  test('under QIS_PROFILE=standard is a coarse code, and all else but the confidence as it was observed', async () => {
    const [packet] = await rated({})
    assert.match(String(packet?.qsh), /^[0-9a-f]{2,4}$/)
    assert.deepEqual([packet?.os, packet?.ci, packet?.ct, packet?.ep], [0, undefined, 'factual', undefined])
  })

  test('under QIS_PROFILE=open is the whole code, and the confidence too', async () => {
    const [packet] = await rated({ QIS_PROFILE: 'open' })
    assert.match(String(packet?.qsh), /^[0-9a-f]{16}$/)
    assert.deepEqual([packet?.os, packet?.ci, packet?.ct, packet?.ep], [0, 0.9, 'factual', undefined])
  })

  test('is coarser with a larger QIS_K, and never finer than the profile promises', () => {
    assert.equal(options({ QIS_PROFILE: 'standard', QIS_K: '200' }).profile.k, 200)
    assert.equal(options({ QIS_PROFILE: 'clinical', QIS_K: '20' }).profile.k, 50)
    assert.equal(options({ QIS_PROFILE: 'open' }).profile.k, 1)
  })

  test('under QIS_PROFILE=clinical is one noisy bit, and nothing that would undo it', async () => {
    const [packet] = await rated({ QIS_PROFILE: 'clinical' })
    assert.match(String(packet?.qsh), /^[0-9a-f]{2,4}$/)
    assert.ok(packet?.os === 0 || packet?.os === 1)
    assert.deepEqual([packet.ep, packet.ci, packet.ca, packet.ct, packet.st], [2, ...Array(4).fill(undefined)])
  })

  test('is all where QIS_MODE is share, and nothing where it is receive or off', async () => {
    for (const [mode, packets] of [
      ['share', 1],
      ['receive', 0],
      ['off', 0],
    ] as const) {
      assert.equal((await rated({ QIS_MODE: mode })).length, packets, mode)
    }
  })

  test('is of the domains that QIS_SHARE_DOMAINS names, less those of QIS_PRIVATE_DOMAINS', async () => {
    const asked = ['general', 'clinical.oncology', 'clinical.psychiatry', 'legal']
    const left = async (settings: Record<string, string>) => (await rated(settings, asked)).map(({ d }) => d)
    assert.deepEqual(await left({}), ['general', 'clinical', 'clinical', 'legal'])
    assert.deepEqual(await left({ QIS_SHARE_DOMAINS: 'clinical, legal' }), ['clinical', 'clinical', 'legal'])
    assert.deepEqual(await left({ QIS_PRIVATE_DOMAINS: 'clinical.psychiatry,general' }), ['clinical', 'legal'])
    assert.deepEqual(await left({ QIS_SHARE_DOMAINS: 'clinical', QIS_PRIVATE_DOMAINS: 'clinical' }), [])
  })
})

suite('what is listened for', () => {
  test('is what is asked here, or with QIS_INTEREST=domain all of the domains that are shared', async () => {
    await using upstream = await startUpstream()
    const keys = async (settings: Record<string, string>) => {
      await using run = await startTestSidecar(upstream.url, { QIS_MODE: 'share', ...settings })
      const before = run.sidecar.router.status().keys
      await (await chat(run.data, 'What is the capital of France?')).text()
      return [before, run.sidecar.router.status().keys]
    }
    assert.deepEqual(await keys({}), [0, PROBES])
    assert.deepEqual(await keys({ QIS_INTEREST: 'domain' }), [256, 256])
    assert.deepEqual(await keys({ QIS_PROFILE: 'clinical' }), [256, 256])
    assert.deepEqual(await keys({ QIS_PROFILE: 'clinical', QIS_INTEREST: 'matched' }), [0, PROBES])
    assert.deepEqual(await keys({ QIS_INTEREST: 'domain', QIS_SHARE_DOMAINS: 'legal,clinical.oncology' }), [512, 512])
    await using folder = await tempFolder()
    const file = join(folder.path, 'domains.yaml')
    await writeFile(file, 'domains:\n  clinical:\n    paths: [/clinic]\n')
    assert.deepEqual(await keys({ QIS_INTEREST: 'domain', QIS_DOMAINS: file }), [512, 512])
  })
})

suite('the settings of sharing', () => {
  test('are those of the profile, unless they are set', () => {
    assert.deepEqual(options({}).profile, profiles.standard)
    assert.deepEqual(options({ QIS_PROFILE: 'clinical' }).profile, profiles.clinical)
    assert.equal(options({ QIS_PROFILE: 'clinical' }).interest, 'domain')
    assert.equal(options({}).interest, 'matched')
    assert.equal(options({ QIS_DAILY_CAP: '7' }).profile.dailyCap, 7)
    assert.equal(options({ QIS_PROFILE: 'open', QIS_DAILY_CAP: '7' }).profile.dailyCap, 7)
    assert.equal(options({ QIS_DAILY_CAP: '0' }).profile.dailyCap, undefined)
    assert.equal(options({ QIS_PROFILE: 'open' }).profile.dailyCap, undefined)
  })

  test('share all domains, unless whole ones are listened for: then those alone that somebody named', () => {
    assert.deepEqual(options({}, ['clinical']).domains, { only: undefined, never: [] })
    assert.deepEqual(options({ QIS_INTEREST: 'domain' }, ['clinical']).domains?.only, ['general', 'clinical'])
    assert.deepEqual(options({ QIS_SHARE_DOMAINS: 'legal' }, ['clinical']).domains?.only, ['legal'])
  })

  test('refuse more whole domains than a node can listen to', () => {
    const many = Array.from({ length: 9 }, (_, index) => `d${index}`).join()
    assert.throws(() => options({ QIS_INTEREST: 'domain', QIS_SHARE_DOMAINS: many }), { code: 'ERR_CONFIG_INVALID' })
    assert.ok(options({ QIS_SHARE_DOMAINS: many }))
    assert.ok(options({ QIS_INTEREST: 'domain', QIS_SHARE_DOMAINS: many.replaceAll(',d', ',d.d') }))
  })
})

suite('an opted-out request', () => {
  /** Rows of each table that has any, after a question was asked and its answer rated by its completion id. */
  async function traces(headers: Record<string, string>) {
    await using upstream = await startUpstream()
    await using folder = await tempFolder()
    let keys: number
    let rating: number
    {
      await using run = await startTestSidecar(upstream.url, {
        QIS_MODE: 'share',
        QIS_IMPLICIT: 'all',
        QIS_DATA: folder.path,
      })
      const answer = await chat(run.data, 'What is the capital of France?', headers)
      const { id } = (await answer.json()) as { id: string }
      rating = (await postFeedback(run.data, { completion_id: id, rating: 'down' })).status
      keys = run.sidecar.router.status().keys
      assert.ok(!JSON.stringify((await upstream.nextRequest()).headers).includes('x-qis-opt-out'))
    }
    using database = new DatabaseSync(join(folder.path, 'qis.db'), { readOnly: true })
    const tables = database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").all()
    const used = tables
      .map(({ name }) => String(name))
      .filter(
        name =>
          !['schema_version', 'ledger_chain'].includes(name) &&
          database.prepare(`SELECT 1 FROM "${name}" LIMIT 1`).get(),
      )
    return { keys, rating, used }
  }

  test('is not remembered, not listened for, and cannot be rated', async () => {
    assert.deepEqual(await traces({ 'x-qis-opt-out': '1' }), { keys: 0, rating: 404, used: [] })
    const { keys, rating, used } = await traces({})
    assert.deepEqual([keys, rating], [PROBES, 202])
    for (const table of ['outcomes', 'feedback', 'ledger']) assert.ok(used.includes(table), `${table}: ${used}`)
  })
})
