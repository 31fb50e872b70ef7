import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { startSidecar } from '../../demo/sidecar-process.ts'
import { createPracticeModel } from '../../proxy/practice/server.ts'
import { chat, postFeedback } from '../support/sidecar.ts'
import { tempFolder } from '../support/temp-folder.ts'

const ROOT = join(import.meta.dirname, '../..')
const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  version: string
  scripts: { start: string }
  dependencies: Record<string, string>
}

/**
 * Packs and unpacks as npm does; the dependencies are the checkout's own, and only those that the package says it has, so
 * that one that it forgot is missing here too.
 */
async function install() {
  const folder = await tempFolder()
  const modules = join(folder.path, 'node_modules')
  const installed = join(modules, 'qis-sidecar')
  execFileSync('npm', ['pack', '--silent', '--pack-destination', folder.path], { cwd: ROOT, stdio: 'pipe' })
  mkdirSync(installed, { recursive: true })
  const [tarball = ''] = readdirSync(folder.path).filter(name => name.endsWith('.tgz'))
  execFileSync('tar', ['-xzf', join(folder.path, tarball), '-C', installed, '--strip-components=1'])
  for (const name of Object.keys(manifest.dependencies)) {
    mkdirSync(dirname(join(modules, name)), { recursive: true })
    symlinkSync(join(ROOT, 'node_modules', name), join(modules, name))
  }
  mkdirSync(join(modules, '.bin'))
  symlinkSync('../qis-sidecar/bin/qis.js', join(modules, '.bin/qis'))
  return { folder, tarball, installed, qis: join(modules, '.bin/qis') }
}

let place: Awaited<ReturnType<typeof install>>
before(async () => {
  place = await install()
})
after(() => place.folder[Symbol.asyncDispose]())

suite('the packed tarball, in an empty folder', () => {
  test('is called after its version, which the changelog knows', () => {
    assert.equal(place.tarball, `qis-sidecar-${manifest.version}.tgz`)
    assert.match(
      readFileSync(join(place.installed, 'CHANGELOG.md'), 'utf8'),
      new RegExp(`^## ${manifest.version} `, 'm'),
    )
  })

  test('holds the built program, and neither sources, tests nor tools', () => {
    const names = readdirSync(place.installed, { recursive: true, encoding: 'utf8' })
    assert.ok(names.includes('dist/embeddings/spaces/sense-1/embedder.bin'))
    assert.ok(names.includes('LICENSE') && names.includes('NOTICE') && names.includes('README.md'))
    assert.deepEqual(
      names.filter(name => /(?<!\.d)\.ts$|^(?:test|bench|demo|release)\b|\.(?:wat|py|log|key|db)$/.test(name)),
      [],
    )
  })

  test('answers npx qis help', () => {
    const said = execFileSync('npx', ['--no-install', 'qis', 'help'], { cwd: place.folder.path, encoding: 'utf8' })
    assert.match(said, /^ +start +run the sidecar/m)
  })

  test('runs: answers, streams, learns from feedback by receipt, counts, and ends with code 0', async () => {
    await using model = createPracticeModel()
    const settings = {
      QIS_UPSTREAM: await model.listen(),
      QIS_DATA: join(place.folder.path, 'data'),
      QIS_PROFILE: 'open',
    }
    await using sidecar = await startSidecar(settings, [], [place.qis, 'start'])

    const question = 'How much ibuprofen may an adult take per day?'
    const first = await chat(sidecar.data, question)
    assert.equal(first.status, 200)
    assert.equal(first.headers.get('x-qis-confidence'), null)
    const receipt = first.headers.get('x-qis-receipt')
    assert.equal((await postFeedback(sidecar.data, { receipt, rating: 'down' })).status, 202)
    assert.ok(Number((await chat(sidecar.data, question)).headers.get('x-qis-confidence')) < 0.5)

    const streamed = await fetch(`${sidecar.data}/v1/chat/completions`, {
      method: 'POST',
      body: JSON.stringify({ model: 'm', stream: true, messages: [{ role: 'user', content: question }] }),
    })
    assert.equal(streamed.headers.get('x-qis-evidence') !== null, true)
    assert.match(await streamed.text(), /^data: \{[\s\S]*\n\ndata: \[DONE\]\n\n$/)

    const page = await (await fetch(`${sidecar.admin}/qis/`)).text()
    for (const [, file] of page.matchAll(/(?:src|href)="(page\/[^"]+)"/g)) {
      assert.equal((await fetch(`${sidecar.admin}/qis/${file}`)).status, 200, file)
    }
    const metrics = await (await fetch(`${sidecar.admin}/metrics`)).text()
    assert.match(metrics, /^qis_feedback_total\{rating="down",status="accepted",source="user"\} 1$/m)
    const exited = once(sidecar.child, 'exit')
    sidecar.child.kill('SIGTERM')
    assert.deepEqual(await exited, [0, null])
  })

  test('runs with the flags of npm start, as one process', async () => {
    const settings = { QIS_UPSTREAM: 'http://127.0.0.1:9', QIS_DATA: join(place.folder.path, 'flags'), QIS_MODE: 'off' }
    await using sidecar = await startSidecar(settings, [], [place.qis, 'start'])
    const [, ...words] = readFileSync(`/proc/${sidecar.child.pid}/cmdline`, 'utf8').split('\0')
    const flags = manifest.scripts.start.split(' ').filter(word => word.startsWith('--'))
    assert.ok(flags.length > 0)
    assert.deepEqual(words.slice(0, flags.length), flags)
  })

  test('gives applications its client, with types', async () => {
    const script =
      "import { createClient, readInsight } from 'qis-sidecar/client'; console.log(typeof createClient, typeof readInsight)"
    const said = execFileSync(process.execPath, ['--input-type=module', '-e', script], { cwd: place.folder.path })
    assert.equal(String(said), 'function function\n')
    assert.match(readFileSync(join(place.installed, 'dist/client/index.d.ts'), 'utf8'), /function createClient/)
  })
})
