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
  stop_grace_period?: string
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

const compose: Compose = parse(read('docker-compose.yml'), { merge: true })
const prometheus: Prometheus = parse(read('deploy/prometheus.yml'))
const dockerfile = read('deploy/Dockerfile')
const services = Object.entries(compose.services)
const sites = services.filter(([, { build }]) => build !== undefined)
const { version, scripts } = JSON.parse(read('package.json')) as { version: string; scripts: { start: string } }

/** `${NAME:?why}` and `${NAME:-default}` as Compose fills them in. */
function filledIn({ environment = {} }: Service): Record<string, string> {
  const fill = (value: string) => value.replace(/^\$\{\w+:\?.*\}$/s, 'a-token').replace(/^\$\{\w+:-(.*)\}$/, '$1')
  return Object.fromEntries(Object.entries(environment).map(([name, value]) => [name, fill(value)]))
}

describe('docker-compose.yml', () => {
  it('has three sites, and sets only variables that the sidecar knows, to values that it accepts', () => {
    assert.equal(sites.length, 3)
    for (const [name, site] of sites) {
      const settings = filledIn(site)
      for (const name of Object.keys(settings)) assert.ok(environmentVariables.includes(name), name)
      const config = readConfig(settings)
      assert.deepEqual(config.upstreams, [{ origin: 'http://ollama:11434', models: [] }])
      assert.deepEqual(config.dataListen, { host: '0.0.0.0', port: 8787 })
      assert.deepEqual(config.adminListen, { host: '0.0.0.0', port: 8788 })
      for (const address of config.bootstrap) {
        const [, host = ''] = /^\/dns4\/([\w-]+)\/tcp\/4001$/.exec(address) ?? []
        assert.ok(host !== name && host in compose.services, address)
      }
      assert.ok(Number.parseInt(site.stop_grace_period ?? '', 10) * 1000 > config.shutdownMs)
    }
    assert.equal(sites.filter(([, site]) => filledIn(site).QIS_BOOTSTRAP === undefined).length, 1)
    assert.ok('ollama' in compose.services)
  })

  it('refuses to start without an admin token', () => {
    for (const [, { environment }] of sites) {
      assert.match(environment?.QIS_ADMIN_TOKEN ?? '', /^\$\{QIS_ADMIN_TOKEN:\?.+\}$/)
    }
  })

  it('publishes ports on the loopback of the host and nowhere else', () => {
    const published = services.flatMap(([, service]) => service.ports ?? [])
    assert.ok(published.includes('127.0.0.1:8787:8787') && published.includes('127.0.0.1:8788:8788'))
    assert.equal(new Set(published.map(port => port.split(':')[1])).size, published.length)
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

  it('keeps each database in a volume of its own', () => {
    const volumes = sites.map(([, site]) => site.volumes?.find(mount => mount.endsWith(`:${filledIn(site).QIS_DATA}`)))
    assert.ok(!volumes.includes(undefined))
    assert.equal(new Set(volumes).size, sites.length)
  })

  it('calls the image by the version', () => {
    for (const [, { image }] of sites) assert.equal(image, `qis-sidecar:${version}`)
  })
})

describe('deploy/prometheus.yml', () => {
  it('scrapes the admin listener with the token that Compose hands over', () => {
    const [job] = prometheus.scrape_configs
    assert.deepEqual(job?.static_configs, [{ targets: sites.map(([name]) => `${name}:8788`) }])
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
    assert.equal(bases.length, 3)
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

  it('builds what the package is built from, and runs it with the flags of npm start', () => {
    const built = parse(read('tsconfig.build.json')) as { include: string[] }
    for (const folder of built.include) assert.ok(instructions('COPY').includes(`${folder} ${folder}`), folder)
    assert.ok(instructions('COPY').includes('--from=build /app/dist dist'))
    const flags = scripts.start.split(' ').filter(word => word.startsWith('--'))
    assert.deepEqual(JSON.parse(instructions('CMD').at(-1) ?? ''), ['node', ...flags, 'bin/qis.js', 'start'])
  })

  it('asks the port it listens on for its health', () => {
    assert.match(dockerfile, /^HEALTHCHECK .*\\\n {2}CMD \["node", "-e", ".*127\.0\.0\.1:8788\/healthz/m)
  })

  it('runs as somebody else than root, and sets only variables that the sidecar knows', () => {
    assert.deepEqual(instructions('USER'), ['node'])
    const names = instructions('ENV').flatMap(line => line.split(' ').map(pair => pair.split('=')[0] ?? ''))
    for (const name of names.filter(name => name.startsWith('QIS_')))
      assert.ok(environmentVariables.includes(name), name)
  })
})
