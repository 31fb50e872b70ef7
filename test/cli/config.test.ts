import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { qis } from '../support/qis.ts'
import { tempFolder } from '../support/temp-folder.ts'

async function file(text: string) {
  const folder = await tempFolder()
  const path = join(folder.path, 'qis.config.yaml')
  await writeFile(path, text)
  return { path, [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose]() }
}

suite('qis config', () => {
  test('check says all that is wrong, by file, line and key, and ends with code 1', async () => {
    await using config = await file('profile: opne\nupstrem: http://a\n')
    const settings = { QIS_CONFIG: config.path, QIS_MOED: 'off' }
    const { code, out } = await qis(['config', 'check'], settings)
    assert.equal(code, 1)
    assert.deepEqual(out.trimEnd().split('\n'), [
      `${config.path}:2: there is no setting upstrem; did you mean upstream?`,
      `${config.path}:1: profile must be one of open, standard, clinical, not "opne"; did you mean open?`,
      'warning: QIS_MOED is no setting, and has no effect; did you mean QIS_MODE?',
    ])
    const told = JSON.parse((await qis(['config', 'check', '--json'], settings)).out)
    assert.deepEqual([told.ok, told.file, told.faults.length, told.warnings.length], [false, config.path, 2, 1])
  })

  test('check is content with what is right, and looks into the files that are named', async () => {
    await using domains = await file('domains: {clinical: {paths: [clinic]}}\n')
    await using config = await file(`domains: ${domains.path}\nmode: receive\n`)
    const { code, out } = await qis(['config', 'check'], { QIS_CONFIG: config.path })
    assert.deepEqual([code, out.includes('domains.clinical.paths[0] must be the beginning of a path')], [1, true])
    await writeFile(domains.path, 'domains: {clinical: {paths: [/clinic]}}\n')
    const right = await qis(['config', 'check'], { QIS_CONFIG: config.path })
    assert.deepEqual(right, {
      code: 0,
      out: `${config.path}; 2 settings are set, and all are as they must be\n`,
      err: '',
    })
  })

  test('show says where each value comes from, and hides secrets', async () => {
    await using config = await file('mode: receive\nadmin_token: hunter2\n')
    const settings = { QIS_CONFIG: config.path, QIS_PROFILE: 'open', QIS_MODE: 'off' }
    const { code, out } = await qis(['config', 'show', '--json', '--set', '--rate-limit', '7'], settings)
    assert.equal(code, 0)
    assert.deepEqual(
      out
        .trimEnd()
        .split('\n')
        .map(line => JSON.parse(line)),
      [
        { key: 'admin_token', value: '(hidden)', from: 'file', place: `${config.path}:2: admin_token` },
        { key: 'rate_limit', value: '7', from: 'flag', place: '--rate-limit' },
        { key: 'mode', value: 'receive', from: 'file', place: `${config.path}:1: mode` },
        { key: 'profile', value: 'open', from: 'environment', place: 'QIS_PROFILE' },
      ],
    )
    const shown = await qis(['config', 'show'], settings)
    assert.match(shown.out, new RegExp(`^mode +receive +${config.path}:1$`, 'm'))
    assert.match(shown.out, /^estimator +ours +default$/m)
    assert.ok(!shown.out.includes('hunter2'))
  })

  test('schema prints what editors go by, and an unknown part is refused with the nearest', async () => {
    const { code, out } = await qis(['config', 'schema'])
    assert.deepEqual([code, JSON.parse(out).additionalProperties], [0, false])
    const wrong = await qis(['config', 'shwo'])
    assert.deepEqual([wrong.code, /did you mean show\?/.test(wrong.err)], [2, true])
  })
})
