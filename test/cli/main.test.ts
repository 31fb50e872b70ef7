import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { suite, test } from 'node:test'
import { commands } from '../../cli/commands.ts'
import { nearestName } from '../../proxy/config/nearest-name.ts'
import { until } from '../support/poll.ts'
import { qis, startQis } from '../support/qis.ts'
import { chat } from '../support/sidecar.ts'
import { tempFolder } from '../support/temp-folder.ts'
import { CHAT_BODY, startUpstream } from '../support/upstream.ts'

suite('qis', () => {
  test('help lists every command, also where nothing was asked', async () => {
    const [asked, bare, dashed] = await Promise.all([qis(['help']), qis([]), qis(['--help'])])
    for (const { name, summary } of commands) assert.match(asked.out, new RegExp(`^ +${name} +${summary}$`, 'm'))
    assert.deepEqual([bare, dashed], [asked, asked])
    assert.deepEqual([asked.code, asked.err], [0, ''])
  })

  for (const { name, summary, load } of commands) {
    test(`${name} --help and help ${name} say how it is used`, async () => {
      const command = await load()
      assert.deepEqual([command.name, command.summary], [name, summary])
      assert.ok(command.usage.startsWith(`Usage: qis ${name}`) && command.usage.endsWith('\n'))
      const [dashed, asked] = await Promise.all([qis([name, '--help']), qis(['help', name])])
      assert.deepEqual([dashed.code, dashed.out, dashed.err], [0, command.usage, ''])
      assert.deepEqual(asked, dashed)
    })
  }

  test('--version and -v say the version of the package', async () => {
    const { version } = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8'))
    const said = await Promise.all([qis(['--version']), qis(['-v'])])
    for (const { code, out, err } of said) assert.deepEqual([code, out, err], [0, `${version}\n`, ''])
  })

  test('an unknown command ends with code 2 and names the nearest', async () => {
    const [near, far] = await Promise.all([qis(['strat']), qis(['zebra'])])
    assert.deepEqual([near.code, near.out], [2, ''])
    assert.equal(near.err, 'qis: there is no command strat; did you mean start?\n')
    assert.deepEqual([far.code, far.err], [2, 'qis: there is no command zebra; qis help lists those there are\n'])
  })

  test('an unknown option ends with code 2 and says where to look', async () => {
    const { code, err } = await qis(['start', '--prot', '80'])
    assert.equal(code, 2)
    assert.match(err, /^qis: .*--prot.*; see qis start --help\n$/)
  })

  test('a reader that has read enough is no failure', async () => {
    await using running = startQis(['help', 'start'])
    running.child.stdout?.destroy()
    assert.deepEqual([await running.ended, running.err()], [0, ''])
  })
})

suite('qis start', () => {
  test('serves as npm start does, and ends with code 0 after SIGTERM', async () => {
    await using upstream = await startUpstream()
    await using folder = await tempFolder()
    await using running = startQis(['start'], {
      QIS_UPSTREAM: upstream.url,
      QIS_DATA: folder.path,
      QIS_MODE: 'off',
      QIS_DATA_LISTEN: '127.0.0.1:0',
      QIS_ADMIN_LISTEN: '127.0.0.1:0',
    })
    const line = await until('the sidecar to be ready', () => /^.*"msg":"ready.*$/m.exec(running.out())?.[0], {
      deadlineMs: 60_000,
    })
    assert.equal(await (await chat(JSON.parse(line).data, 'hello')).text(), CHAT_BODY)
    running.child.kill('SIGTERM')
    assert.equal(await running.ended, 0)
  })

  test('ends with code 2 and one line where a setting makes no sense', async () => {
    const { code, err } = await qis(['start'], { QIS_MODE: 'maybe' })
    assert.equal(code, 2)
    assert.match(err, /^qis-sidecar: QIS_MODE must be one of .*\n$/)
  })
})

suite('the nearest name', () => {
  const names = ['backup', 'export', 'space', 'start']
  for (const [typed, meant] of [
    ['strat', 'start'],
    ['spaces', 'space'],
    ['sapce', 'space'],
    ['exprot', 'export'],
    ['back', 'backup'],
    ['Start', 'start'],
    ['zebra', undefined],
    ['', undefined],
  ] as const) {
    test(`to “${typed}” is ${meant ?? 'none'}`, () => assert.equal(nearestName(typed, names), meant))
  }
})
