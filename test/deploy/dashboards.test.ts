import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, it } from 'node:test'
import { parse } from 'yaml'
import { documentedMetrics, isDocumented, seriesIn } from '../support/metric-reference.ts'

const DEPLOY = join(dirname(dirname(import.meta.dirname)), 'deploy')
const read = (path: string) => readFileSync(join(DEPLOY, path), 'utf8')

interface Panel {
  id: number
  type: string
  title: string
  gridPos: { x: number; y: number; w: number; h: number }
  targets?: { expr: string; refId: string }[]
}

const dashboard = JSON.parse(read('grafana/dashboard.json')) as { uid: string; panels: Panel[] }
const rules = parse(read('alerts.yml')).groups.flatMap((group: { rules: object[] }) => group.rules) as {
  alert: string
  expr: string
  annotations: Record<string, string>
}[]
const documented = documentedMetrics()
const onDashboard = dashboard.panels.flatMap(({ targets }) => (targets ?? []).map(({ expr }) => expr))

function isKnown(series: string): boolean {
  return isDocumented(series, documented) || /^(?:nodejs|process)_/.test(series)
}

describe('the Grafana dashboard and the alerts', () => {
  it('read only metrics that there are', () => {
    const expressions = [...onDashboard, ...rules.map(({ expr }) => expr)]
    const series = expressions.flatMap(seriesIn)
    assert.ok(series.length > 40)
    assert.deepEqual(
      series.filter(name => !isKnown(name)),
      [],
    )
  })

  it('tell every alert apart, and say of each what is wrong and where to look', () => {
    assert.equal(new Set(rules.map(({ alert }) => alert)).size, rules.length)
    for (const { alert, annotations } of rules) assert.ok(annotations.summary && annotations.description, alert)
  })

  it('have a test for every alert', () => {
    const tests = read('alerts.test.yml')
    for (const { alert } of rules) assert.ok(tests.includes(`alertname="${alert}"`), alert)
  })
})

describe('the Grafana dashboard', () => {
  it('has panels that do not lie on one another, with ids of their own', () => {
    const taken = new Set<string>()
    for (const { id, gridPos, title } of dashboard.panels) {
      assert.ok(gridPos.x + gridPos.w <= 24, title)
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          assert.ok(!taken.has(`${x},${y}`), `panel ${id}, ${title}`)
          taken.add(`${x},${y}`)
        }
      }
    }
    assert.equal(new Set(dashboard.panels.map(({ id }) => id)).size, dashboard.panels.length)
  })
})
