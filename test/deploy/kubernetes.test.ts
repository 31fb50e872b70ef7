import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { parse, parseAllDocuments } from 'yaml'
import { environmentVariables, readConfig } from '../../proxy/config.ts'

const ROOT = join(import.meta.dirname, '../..')
const FOLDER = join(ROOT, 'deploy/kubernetes')
const read = (name: string) => readFileSync(join(FOLDER, name), 'utf8')

interface Probe {
  httpGet: { path: string; port: string | number }
}

interface Container {
  name: string
  image: string
  args?: string[]
  env?: { name: string; value?: string; valueFrom?: object }[]
  ports?: { name: string; containerPort: number }[]
  startupProbe?: Probe
  livenessProbe?: Probe
  readinessProbe?: Probe
  lifecycle: { preStop: { exec: { command: string[] } } }
  securityContext: Record<string, unknown>
  volumeMounts: { name: string; mountPath: string }[]
}

interface Manifest {
  kind: string
  metadata: { name: string }
  spec: Record<string, unknown>
}

const { resources } = parse(read('kustomization.yaml')) as { resources: string[] }
const manifests = resources.flatMap(name => parseAllDocuments(read(name)).map(document => document.toJS() as Manifest))
const set = manifests.find(({ kind }) => kind === 'StatefulSet')?.spec as {
  serviceName: string
  selector: { matchLabels: Record<string, string> }
  template: {
    metadata: { labels: Record<string, string> }
    spec: { terminationGracePeriodSeconds: number; containers: Container[]; volumes: { name: string }[] }
  }
  volumeClaimTemplates: { metadata: { name: string } }[]
}
const pod = set.template.spec
const [vllm, sidecar] = ['vllm', 'qis-sidecar'].map(name => pod.containers.find(one => one.name === name)) as [
  Container,
  Container,
]

function settingsOf({ env = [] }: Container): Record<string, string> {
  return Object.fromEntries(env.map(({ name, value }) => [name, value ?? 'from-a-secret']))
}

const sleepS = ({ lifecycle }: Container) => Number(lifecycle.preStop.exec.command[1])

describe('deploy/kubernetes', () => {
  it('names all of its files', () => {
    assert.deepEqual([...resources, 'kustomization.yaml'].sort(), readdirSync(FOLDER).sort())
  })

  it('sets only variables that the sidecar knows, to values that it accepts', () => {
    const { QIS_BOOTSTRAP: _, ...settings } = settingsOf(sidecar)
    for (const name of Object.keys(settings)) assert.ok(environmentVariables.includes(name), name)
    const config = readConfig(settings)
    const port = vllm.args?.[vllm.args.indexOf('--port') + 1]
    assert.deepEqual(config.upstreams, [{ origin: `http://127.0.0.1:${port}`, models: [] }])
    const ports = Object.fromEntries((sidecar.ports ?? []).map(({ name, containerPort }) => [name, containerPort]))
    assert.deepEqual([ports.data, ports.admin], [config.dataListen.port, config.adminListen.port])
    assert.deepEqual(config.p2pListen, [`/ip4/0.0.0.0/tcp/${ports.peers}`])
    assert.ok(sidecar.volumeMounts.some(({ mountPath }) => mountPath === settings.QIS_DATA))
  })

  it('takes every secret from a Secret', () => {
    for (const { env = [] } of pod.containers) {
      for (const { name, value } of env) assert.ok(!/TOKEN|KEY|PASSWORD/.test(name) || value === undefined, name)
    }
  })

  it('probes ports that the same container names, or the data port by its number', () => {
    for (const { name, ports = [], ...container } of pod.containers) {
      for (const probe of [container.startupProbe, container.livenessProbe, container.readinessProbe]) {
        const port = probe?.httpGet.port
        assert.ok(port === undefined || port === 8787 || ports.some(one => one.name === port), `${name}: ${port}`)
      }
    }
    assert.equal(sidecar.readinessProbe?.httpGet.path, '/readyz')
  })

  it('lets answers end before the model and the pod do', () => {
    const { shutdownMs } = readConfig({ QIS_SHUTDOWN_MS: settingsOf(sidecar).QIS_SHUTDOWN_MS })
    const drainedS = sleepS(sidecar) + shutdownMs / 1000
    assert.ok(drainedS < sleepS(vllm), 'the model outlasts the sidecar')
    assert.ok(sleepS(vllm) < pod.terminationGracePeriodSeconds)
  })

  it('runs the sidecar without rights, from the image of this version', () => {
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string }
    assert.equal(sidecar.image, `qis-sidecar:${version}`)
    const { runAsNonRoot, readOnlyRootFilesystem, allowPrivilegeEscalation, capabilities } = sidecar.securityContext
    assert.deepEqual([runAsNonRoot, readOnlyRootFilesystem, allowPrivilegeEscalation], [true, true, false])
    assert.deepEqual(capabilities, { drop: ['ALL'] })
  })

  it('mounts only volumes that there are', () => {
    const there = [...pod.volumes, ...set.volumeClaimTemplates.map(({ metadata }) => metadata)].map(({ name }) => name)
    for (const { volumeMounts } of pod.containers) {
      for (const { name } of volumeMounts) assert.ok(there.includes(name), name)
    }
  })

  it('selects its own pods everywhere, by ports that they name', () => {
    const { labels } = set.template.metadata
    assert.deepEqual(set.selector.matchLabels, labels)
    const named = (sidecar.ports ?? []).map(({ name }) => name)
    const services = manifests.filter(({ kind }) => kind === 'Service')
    assert.ok(services.some(({ metadata }) => metadata.name === set.serviceName))
    for (const { spec } of services) {
      assert.deepEqual(spec.selector, labels)
      for (const { targetPort } of spec.ports as { targetPort: string }[]) assert.ok(named.includes(targetPort))
    }
    const policy = manifests.find(({ kind }) => kind === 'NetworkPolicy')?.spec as {
      podSelector: { matchLabels: object }
      policyTypes: string[]
      ingress: { ports: { port: string }[] }[]
    }
    assert.deepEqual(policy.podSelector.matchLabels, labels)
    assert.deepEqual(policy.policyTypes, ['Ingress', 'Egress'])
    for (const { ports } of policy.ingress) for (const { port } of ports) assert.ok(named.includes(port), port)
  })
})
