import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { environmentVariables, readConfig } from '../../proxy/config.ts'

const ROOT = join(import.meta.dirname, '../..')
const UNIT = join(ROOT, 'deploy/qis-sidecar.service')
const lines = readFileSync(UNIT, 'utf8')
  .split('\n')
  .filter(line => /^\w+=/.test(line))
const values = (name: string) =>
  lines.filter(line => line.startsWith(`${name}=`)).map(line => line.slice(name.length + 1))

describe('deploy/qis-sidecar.service', () => {
  it('starts the package with the flags of npm start', () => {
    const { scripts, bin } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
      scripts: { start: string }
      bin: { qis: string }
    }
    const flags = scripts.start.split(' ').filter(word => word.startsWith('--'))
    const program = `/opt/qis-sidecar/lib/node_modules/qis-sidecar/${bin.qis}`
    assert.deepEqual(values('ExecStart'), [['/usr/bin/node', ...flags, program, 'start'].join(' ')])
  })

  it('sets only variables that the sidecar knows, and keeps its data where the service may write', () => {
    const pairs = values('Environment').flatMap(line => line.split(' '))
    const settings = Object.fromEntries(pairs.filter(pair => pair.startsWith('QIS_')).map(pair => pair.split('=')))
    for (const name of Object.keys(settings)) assert.ok(environmentVariables.includes(name), name)
    assert.equal(readConfig(settings).dataDir, `/var/lib/${values('StateDirectory')[0]}`)
  })

  it('waits for running answers, and does not start again what is set wrongly', () => {
    assert.ok(Number(values('TimeoutStopSec')[0]) * 1000 > readConfig({}).shutdownMs)
    assert.deepEqual(values('RestartPreventExitStatus'), ['2'])
  })

  const missing = spawnSync('systemd-analyze', ['--version']).error
  it('is understood by systemd, and little exposed', { skip: missing && 'systemd-analyze is not installed' }, () => {
    const { stdout, stderr } = spawnSync('systemd-analyze', ['security', '--offline=yes', '--no-pager', UNIT], {
      encoding: 'utf8',
    })
    const [, level] = /Overall exposure level for qis-sidecar.service: ([\d.]+)/.exec(stdout) ?? []
    assert.ok(Number(level) < 2, stdout + stderr)
    assert.doesNotMatch(stderr, /Unknown|Failed to parse|ignoring/)
  })
})
