/** What `npm ci` may bring in: named bytes from a registry, and code that runs at install only where it was looked at. */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { suite, test } from 'node:test'

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
