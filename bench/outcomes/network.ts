/**
 * The same scenario through everything: routers with a key and a database each, signed packets, and the network in memory
 * with the keyspace and the interest of a deployment. No time passes, so nothing waits for its delay or its day.
 */
import { createHmac } from 'node:crypto'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import { type DisclosureProfile, profiles } from '../../router/disclosure.ts'
import type { Identity } from '../../router/identity.ts'
import { modelVariant } from '../../router/model-variant.ts'
import { createMemorySwarm, type MemorySwarm } from '../../router/network/memory.ts'
import { createRouter, type Router } from '../../router/router.ts'
import { openDatabase } from '../../router/store/database.ts'
import { createSqliteStore, routerSchema } from '../../router/store/sqlite.ts'
import { type Evaluation, type Extras, judge } from './evaluate.ts'
import type { Prepared } from './prepare.ts'
import { dealOut, domainOf, type Heard, type Scenario, type World } from './scenario.ts'
import { NOW } from './site.ts'

interface Node extends AsyncDisposable {
  router: Router
  /** Packets that came and were kept. */
  accepted: number
  sent: number
}

async function identityOf(seed: string): Promise<Identity> {
  const secret = (purpose: string) => createHmac('sha256', seed).update(purpose).digest()
  const privateKey = await generateKeyPairFromSeed('Ed25519', secret('key'))
  return { privateKey, id: privateKey.publicKey.toString(), secret }
}

async function startNode(world: World, swarm: MemorySwarm, profile: DisclosureProfile, seed: string): Promise<Node> {
  await using building = new AsyncDisposableStack()
  const identity = await identityOf(seed)
  const database = building.use(await openDatabase({ file: ':memory:', schemas: [routerSchema] }))
  const counts = { accepted: 0, sent: 0 }
  const router = createRouter(
    {
      space: world.space,
      store: createSqliteStore(database),
      network: swarm.createNetwork({ id: identity.id }),
      identity,
      clock: () => NOW * 1000,
      logger: { debug() {}, info() {}, warn() {} },
      observer: {
        packetReceived(result) {
          if (result === 'accepted') counts.accepted++
        },
        packetSent() {
          counts.sent++
        },
        outcomeWithheld() {
          counts.sent++
        },
        departureDeferred() {},
        benefitMeasured() {},
      },
    },
    {
      mode: 'share',
      profile,
      probes: world.probes,
      ...(profile.interest === 'domain' && { domains: { only: rootsOf(world) } }),
    },
  )
  building.defer(() => router.stop())
  await router.start()
  const kept = building.move()
  return Object.assign(counts, { router, [Symbol.asyncDispose]: () => kept.disposeAsync() })
}

/** A site that listens for whole domains has to say which. */
function rootsOf(world: World): string[] {
  const tags = world.table.questions.map((_, question) => domainOf(world, question, true))
  return ['general', ...new Set(tags)]
}

/** Some turns without anything new. */
async function quiet(nodes: readonly Node[]): Promise<void> {
  let [before, calm] = [-1, 0]
  while (calm < 50) {
    const now = nodes.reduce((sum, { accepted, sent }) => sum + accepted + sent, 0)
    calm = now === before ? calm + 1 : 0
    before = now
    await nextTurn()
  }
}

/** @returns besides what `judge` does, the share of its peers' packets that the site has received by the end */
export async function evaluateThroughNetwork(
  world: World,
  scenario: Scenario,
  extras: Extras = {},
): Promise<Evaluation & { received: number }> {
  const dealt = dealOut(world, scenario)
  const swarm = createMemorySwarm()
  // The table's models and tasks stand for labels that all have declared.
  const {
    delayMeanS: _,
    delayCapS: __,
    dailyCap: ___,
    labels: ____,
    ...rest
  }: DisclosureProfile = profiles[scenario.profile]
  const profile: DisclosureProfile = { ...rest, delayMeanS: 0, delayCapS: 0 }
  await using stack = new AsyncDisposableStack()
  const nodes: Node[] = []
  for (let node = 0; node < scenario.nodes; node++) {
    nodes.push(stack.use(await startNode(world, swarm, profile, `${scenario.seed}/${scenario.model}/${node}`)))
  }
  const nodeOf = (node: number) => nodes[node] as Node
  const question = (index: number) => world.questions[index] as Prepared
  const ask = (router: Router, index: number, model: number) =>
    router.lookup({
      vector: question(index).vector,
      domain: domainOf(world, index, scenario.tagged),
      model: modelVariant(world.table.models[model] as string),
    })
  let requests = 0
  const live = async ({ question: index, node, model, signal }: Heard) => {
    const { router } = nodeOf(node)
    ask(router, index, model)
    await router.learn({
      requestId: `${requests++}`,
      code: question(index).code,
      domain: domainOf(world, index, scenario.tagged),
      model: modelVariant(world.table.models[model] as string),
      signal,
      observer: 'h',
      intervention: 0,
    })
  }
  // All ask before any learns, as deployments that have run for a while.
  for (const { question: index, node, model } of dealt.peers) ask(nodeOf(node).router, index, model)
  for (const heard of dealt.peers) await live(heard)
  await quiet(nodes)
  const { router } = nodeOf(0)
  // The site comes last; such questions have been asked there before.
  for (const { question: index, model } of dealt.own) ask(router, index, model)
  for (const index of dealt.test) ask(router, index, scenario.model)
  await quiet(nodes)
  for (const heard of dealt.own) await live(heard)
  await quiet(nodes)
  const site = {
    ask: ({ vector }: Prepared, model: string, domain: string) => router.lookup({ vector, model, domain }),
  }
  const evaluation = judge(world, scenario, dealt, site, extras)
  return { ...evaluation, received: nodeOf(0).accepted / Math.max(1, dealt.peers.length) }
}
