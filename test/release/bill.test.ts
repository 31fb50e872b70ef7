import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { atRunTime, type Bill, billOfMaterials, type LockFile } from '../../release/bill.ts'

const ROOT = join(import.meta.dirname, '../..')
const lock = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as LockFile

const component = (name: string, development = false) => ({
  'bom-ref': `${name}@1.0.0`,
  name,
  version: '1.0.0',
  properties: [{ name: 'cdx:npm:package:development', value: String(development) }],
})

suite('the bill of materials of a release', () => {
  test('lists every package of the run-time tree and no other, each with its digest', () => {
    const { metadata, components, dependencies } = billOfMaterials(ROOT)
    assert.deepEqual(
      [metadata.component.name, metadata.component['bom-ref'].split('@')[0]],
      ['qis-sidecar', 'qis-sidecar'],
    )
    const listed = components.map(({ name, version }) => `${name}@${version}`)
    assert.ok(listed.some(one => one.startsWith('undici@')))
    assert.ok(listed.length > 100)
    for (const [path, { version, dev }] of Object.entries(lock.packages)) {
      if (path === '' || dev) continue
      assert.ok(
        listed.includes(`${path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length)}@${version}`),
        path,
      )
    }
    assert.ok(!listed.some(one => /^(?:typescript|@biomejs\/biome|playwright-core)@/.test(one)))
    for (const { name, hashes } of components)
      assert.ok(
        hashes?.some(({ alg }) => alg === 'SHA-512'),
        name,
      )
    const known = new Set([metadata.component['bom-ref'], ...components.map(one => one['bom-ref'])])
    for (const { ref, dependsOn = [] } of dependencies) {
      for (const one of [ref, ...dependsOn]) assert.ok(known.has(one), one)
    }
  })

  test('leaves development out, also of what depends on what, and is called after the package', () => {
    const all: Bill = {
      metadata: { component: { name: 'some-folder', 'bom-ref': 'app@1.0.0' } },
      components: [component('server'), component('linter', true)],
      dependencies: [
        { ref: 'app@1.0.0', dependsOn: ['server@1.0.0', 'linter@1.0.0'] },
        { ref: 'server@1.0.0' },
        { ref: 'linter@1.0.0', dependsOn: ['server@1.0.0'] },
      ],
    }
    const packages = {
      '': {},
      'node_modules/server': { version: '1.0.0' },
      'node_modules/linter': { version: '1.0.0', dev: true },
    }
    const bill = atRunTime(all, { name: 'app', packages })
    assert.equal(bill.metadata.component.name, 'app')
    assert.deepEqual(bill.components, [component('server')])
    assert.deepEqual(bill.dependencies, [
      { ref: 'app@1.0.0', dependsOn: ['server@1.0.0'] },
      { ref: 'server@1.0.0', dependsOn: [] },
    ])
    const missing = { ...packages, 'node_modules/linter/node_modules/client': { version: '2.0.0' } }
    assert.throws(() => atRunTime(all, { name: 'app', packages: missing }), /disagree about client@2\.0\.0/)
    assert.throws(() => atRunTime(all, { name: 'app', packages: { '': {} } }), /disagree about server@1\.0\.0/)
  })
})
