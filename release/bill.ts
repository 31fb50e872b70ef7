/** The bill of materials of what an installation gets (CycloneDX): all that the lock file has for run time, and nothing else. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

export interface Bill {
  metadata: { component: { name: string; 'bom-ref': string } }
  components: Component[]
  dependencies: { ref: string; dependsOn?: string[] }[]
}

export interface Component {
  'bom-ref': string
  name: string
  version: string
  hashes?: { alg: string; content: string }[]
  properties?: { name: string; value: string }[]
}

export interface LockFile {
  name: string
  packages: Record<string, { version?: string; dev?: boolean }>
}

const DEVELOPMENT = 'cdx:npm:package:development'
const MODULES = 'node_modules/'

/**
 * From the lock file of a checkout, with licences and digests. `npm sbom --omit dev` will not do: npm 11.19 leaves out what a
 * development dependency needs as well, `undici` among it.
 *
 * @throws {Error} when what is left is not just what the lock file has for run time
 */
export function billOfMaterials(root: string): Bill {
  const args = ['sbom', '--package-lock-only', '--sbom-format', 'cyclonedx']
  const all = execFileSync('npm', args, {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  return atRunTime(
    JSON.parse(all) as Bill,
    JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as LockFile,
  )
}

export function atRunTime(all: Bill, lock: LockFile): Bill {
  const components = all.components.filter(({ properties = [] }) => !properties.some(isDevelopment))
  const listed = new Set(components.map(({ name, version }) => `${name}@${version}`))
  const locked = new Set(
    Object.entries(lock.packages)
      .filter(([path, { dev }]) => path !== '' && !dev)
      .map(([path, { version }]) => `${path.slice(path.lastIndexOf(MODULES) + MODULES.length)}@${version}`),
  )
  const wrong = [...listed.symmetricDifference(locked)]
  if (wrong.length > 0) throw new Error(`npm sbom and package-lock.json disagree about ${wrong.toSorted().join(', ')}`)
  const { component } = all.metadata
  const kept = new Set([component['bom-ref'], ...components.map(one => one['bom-ref'])])
  return {
    ...all,
    // npm calls it after the folder that it is in.
    metadata: { ...all.metadata, component: { ...component, name: lock.name } },
    components,
    dependencies: all.dependencies
      .filter(({ ref }) => kept.has(ref))
      .map(({ dependsOn = [], ...one }) => ({ ...one, dependsOn: dependsOn.filter(ref => kept.has(ref)) })),
  }
}

function isDevelopment({ name, value }: { name: string; value: string }): boolean {
  return name === DEVELOPMENT && value === 'true'
}
