import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, it } from 'node:test'
import { parse } from 'yaml'
import { environmentVariables, readConfig } from '../../proxy/config.ts'

const ROOT = dirname(dirname(import.meta.dirname))
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8')

interface Service {
  image?: string
  build?: { context: string; dockerfile: string }
  environment?: Record<string, string>
  ports?: string[]
  volumes?: string[]
  secrets?: { source: string }[]
  depends_on?: string[]
  healthcheck?: { test: string[] }
}

interface Compose {
  services: Record<string, Service>
  volumes: Record<string, unknown>
  secrets: Record<string, { environment: string }>
}

interface Prometheus {
  scrape_configs: {
    job_name: string
    metrics_path?: string
    authorization: { type: string; credentials_file: string }
    static_configs: { targets: string[] }[]
  }[]
}

const compose: Compose = parse(read('docker-compose.yml'))
const prometheus: Prometheus = parse(read('deploy/prometheus.yml'))
const dockerfile = read('deploy/Dockerfile')
const services = Object.entries(compose.services)
const sidecar = compose.services['qis-sidecar'] ?? {}

/** `${NAME:?why}` as Compose fills it in. */
const filledIn = Object.fromEntries(
  Object.entries(sidecar.environment ?? {}).map(([name, value]) => [
    name,
    value.replace(/^\$\{\w+:\?.*\}$/s, 'a-token'),
  ]),
)

describe('docker-compose.yml', () => {
  it('sets only variables that the sidecar knows, to values that it accepts', () => {
    const named = Object.keys(filledIn)
    assert.ok(named.includes('QIS_UPSTREAM'))
    for (const name of named) assert.ok(environmentVariables.includes(name), name)
    const config = readConfig(filledIn)
    assert.deepEqual(config.upstreams, [{ origin: 'http://ollama:11434', models: [] }])
    assert.ok('ollama' in compose.services)
    assert.deepEqual(config.dataListen, { host: '0.0.0.0', port: 8787 })
    assert.deepEqual(config.adminListen, { host: '0.0.0.0', port: 8788 })
  })

  it('refuses to start without an admin token', () => {
    assert.match(sidecar.environment?.QIS_ADMIN_TOKEN ?? '', /^\$\{QIS_ADMIN_TOKEN:\?.+\}$/)
  })

  it('publishes ports on the loopback of the host and nowhere else', () => {
    const published = services.flatMap(([, service]) => service.ports ?? [])
    assert.ok(published.includes('127.0.0.1:8787:8787') && published.includes('127.0.0.1:8788:8788'))
    for (const port of published) assert.match(port, /^127\.0\.0\.1:\d+:\d+$/)
  })

  it('pins every image to a version', () => {
    for (const [name, { image, build }] of services) {
      assert.ok(build !== undefined || /:v?\d+\.\d+\.\d+$/.test(image ?? ''), name)
    }
  })

  it('names only files, volumes, secrets and services that are there', () => {
    for (const [name, service] of services) {
      for (const other of service.depends_on ?? []) assert.ok(other in compose.services, `${name} depends on ${other}`)
      for (const { source } of service.secrets ?? []) assert.ok(source in compose.secrets, `${name} wants ${source}`)
      for (const mount of service.volumes ?? []) {
        const [source = ''] = mount.split(':')
        const found = source.startsWith('.') ? existsSync(join(ROOT, source)) : source in compose.volumes
        assert.ok(found, `${name} mounts ${source}`)
      }
      if (service.build) assert.ok(existsSync(join(ROOT, service.build.context, service.build.dockerfile)), name)
    }
  })

  it('keeps the database in a volume', () => {
    assert.ok(sidecar.volumes?.some(mount => mount.endsWith(`:${filledIn.QIS_DATA}`)))
  })

  it('asks the port it listens on for its health', () => {
    assert.match(sidecar.healthcheck?.test.join(' ') ?? '', /^CMD node -e .*127\.0\.0\.1:8788\/healthz/)
  })
})

describe('deploy/prometheus.yml', () => {
  it('scrapes the admin listener with the token that Compose hands over', () => {
    const [job] = prometheus.scrape_configs
    assert.deepEqual(job?.static_configs, [{ targets: ['qis-sidecar:8788'] }])
    const [secret] = compose.services.prometheus?.secrets ?? []
    assert.equal(job?.authorization.credentials_file, `/run/secrets/${secret?.source}`)
    assert.equal(compose.secrets[secret?.source ?? '']?.environment, 'QIS_ADMIN_TOKEN')
  })
})

describe('deploy/Dockerfile', () => {
  const lines = dockerfile.split('\n')
  const instructions = (name: string) =>
    lines.filter(line => line.startsWith(`${name} `)).map(line => line.slice(name.length + 1))

  it('runs the Node that package-lock.json names', () => {
    const { packages } = JSON.parse(read('package-lock.json')) as { packages: Record<string, { version?: string }> }
    const [major, minor] = packages['node_modules/node']?.version?.split('.') ?? []
    const bases = instructions('FROM').map(line => line.split(' ')[0])
    assert.equal(bases.length, 2)
    for (const base of bases) assert.equal(base, `node:${major}.${minor}-slim`)
  })

  it('copies only what is there and what .dockerignore lets in', () => {
    const allowed = read('.dockerignore')
      .split('\n')
      .filter(line => line.startsWith('!'))
      .map(line => line.slice(1))
    const sources = instructions('COPY')
      .filter(line => !line.startsWith('--from'))
      .flatMap(line => line.split(' ').slice(0, -1))
    for (const source of sources) {
      assert.ok(existsSync(join(ROOT, source)), source)
      assert.ok(allowed.includes(source), source)
    }
    assert.deepEqual([...new Set(sources)].sort(), allowed.sort())
  })

  it('copies every folder that the program is made of', () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }
    assert.deepEqual(JSON.parse(instructions('CMD').at(-1) ?? ''), scripts.start?.split(' '))
    for (const folder of ['embeddings', 'router', 'proxy', 'cli']) {
      assert.ok(instructions('COPY').includes(`${folder} ${folder}`), folder)
    }
  })

  it('runs as somebody else than root, and sets only variables that the sidecar knows', () => {
    assert.deepEqual(instructions('USER'), ['node'])
    const names = instructions('ENV').flatMap(line => line.split(' ').map(pair => pair.split('=')[0] ?? ''))
    for (const name of names.filter(name => name.startsWith('QIS_')))
      assert.ok(environmentVariables.includes(name), name)
  })
})
