/** What `npm ci` may bring in: named bytes from a registry, and code that runs at install only where it was looked at. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { promisify } from 'node:util'

const ROOT = join(import.meta.dirname, '../..')

interface Entry {
  version?: string
  resolved?: string
  integrity?: string
  link?: boolean
  hasInstallScript?: boolean
}
interface Manifest {
  dependencies: Record<string, string>
  devDependencies: Record<string, string>
  allowScripts: Record<string, boolean>
}

const read = async <T>(name: string): Promise<T> => JSON.parse(await readFile(join(ROOT, name), 'utf8')) as T

/** What is wrong with the entry of one package. */
function faults([path, { version, resolved, integrity, link }]: [string, Entry]): string[] {
  const found: string[] = []
  if (link) found.push('is a link')
  if (!/^\d+\.\d+\.\d+/.test(version ?? '')) found.push('has no version')
  // Several digests may stand there: the strongest is what npm checks.
  if (!/(?:^| )sha512-[A-Za-z0-9+/]{86}==/.test(integrity ?? '')) found.push('has no SHA-512')
  if (resolved !== undefined && !/^https:\/\/registry\.npmjs\.org\//.test(resolved)) found.push('comes from elsewhere')
  return found.map(fault => `${path} ${fault}`)
}

suite('the lockfile', () => {
  test('names the bytes of every package, and no other place than the registry', async () => {
    const { packages } = await read<{ packages: Record<string, Entry> }>('package-lock.json')
    const { '': root, ...entries } = packages
    assert.ok(root)
    assert.ok(Object.keys(entries).length > 100)
    assert.deepEqual(Object.entries(entries).flatMap(faults), [])
  })

  test('would not pass with a package from a repository, a page or a folder', () => {
    const sound = { version: '1.0.0', integrity: `sha512-${'A'.repeat(86)}==` }
    assert.deepEqual(faults(['a', sound]), [])
    for (const resolved of [
      'git+ssh://git@host/a.git#1',
      'https://host/a.tgz',
      'http://registry.npmjs.org/a.tgz',
      'file:../a',
    ]) {
      assert.deepEqual(faults(['a', { ...sound, resolved }]), ['a comes from elsewhere'])
    }
    assert.deepEqual(faults(['a', { version: '1.0.0', integrity: 'sha1-abc' }]), ['a has no SHA-512'])
  })

  test('agrees with the manifest, whose dependencies are all versions', async () => {
    const { packages } = await read<{ packages: Record<string, Manifest> }>('package-lock.json')
    const { dependencies, devDependencies } = await read<Manifest>('package.json')
    assert.partialDeepStrictEqual(packages[''], { dependencies, devDependencies })
    for (const [name, range] of Object.entries({ ...dependencies, ...devDependencies })) {
      assert.match(range, /^[~^]?\d+\.\d+\.\d+$/, name)
    }
  })

  test('has no package that runs code when it is installed, but those of which the manifest says whether they may', async () => {
    const { packages } = await read<{ packages: Record<string, Entry> }>('package-lock.json')
    const { allowScripts } = await read<Manifest>('package.json')
    const running = Object.entries(packages)
      .filter(([, { hasInstallScript }]) => hasInstallScript)
      .map(([path]) => path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length))
    assert.deepEqual([...new Set(running)].toSorted(), Object.keys(allowScripts).toSorted())
    assert.deepEqual(
      Object.keys(allowScripts).filter(name => allowScripts[name]),
      ['node'],
    )
  })
})

test('npm sbom lists what is shipped, package by package, with its digest', async () => {
  // With `--omit dev`, npm 11 leaves out what a development dependency needs as well, undici among it.
  const args = ['sbom', '--package-lock-only', '--sbom-format', 'cyclonedx']
  const { stdout } = await promisify(execFile)('npm', args, { cwd: ROOT, maxBuffer: 1 << 26 })
  const { components } = JSON.parse(stdout) as {
    components: { purl: string; hashes?: { alg: string }[]; properties?: { name: string; value: string }[] }[]
  }
  const shipped = components.filter(
    ({ properties = [] }) => !properties.some(({ name, value }) => name.endsWith(':development') && value === 'true'),
  )
  for (const { purl, hashes } of shipped)
    assert.ok(
      hashes?.some(({ alg }) => alg === 'SHA-512'),
      purl,
    )
  const listed = new Set(shipped.map(({ purl }) => decodeURIComponent(purl.replace('pkg:npm/', ''))))
  const { packages } = await read<{ packages: Record<string, Entry & { dev?: boolean }> }>('package-lock.json')
  for (const [path, { version, dev }] of Object.entries(packages)) {
    if (path === '' || dev) continue
    assert.ok(listed.has(`${path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length)}@${version}`), path)
  }
})
