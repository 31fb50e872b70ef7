/** The swarm that is measured: which node lives in which process, what it is asked, and what became of each packet. */
import { setTimeout as wait } from 'node:timers/promises'
import type { RoutingKey } from '../../router/keyspace.ts'
import type { Account, Commands, Usage } from './commands.ts'
import { type NodeProcess, startProcess } from './processes.ts'
import type { Questions } from './questions.ts'

/** `single`: asks one kind of question; `mixed`: any. */
export type Kind = 'single' | 'mixed'

export interface Member {
  readonly process: NodeProcess
  /** Within its process. */
  readonly node: number
  readonly id: string
  readonly address: string
  readonly kind: Kind
  /** Of the `topics` of the questions; a mixed member has none. */
  readonly topic: number | undefined
  /** What it was asked, each once. */
  readonly asked: string[]
  alive: boolean
}

export type Journal = Commands['journal']['out']

export interface Swarm extends AsyncDisposable {
  /** All that ever were. */
  readonly members: Member[]
  alive(): Member[]
  /** Adds so many, a few to a process; every other one asks a single kind of question. */
  grow(count: number, perProcess: number): Promise<Member[]>
  /** Another of the same habits, in a process of its own. */
  replace(member: Member): Promise<Member>
  /** Ends a member that has a process of its own, suddenly or politely. */
  remove(member: Member, suddenly: boolean): Promise<void>
  /** Lets a member be asked until it was asked so many distinct questions. */
  askUpTo(member: Member, distinct: number): Promise<void>
  /** Gives feedback, good or bad, on an answer to this question. */
  learn(member: Member, text: string): Promise<Commands['learn']['out']>
  account(member: Member): Promise<Account>
  journal(member: Member): Promise<Journal>
  usages(): Promise<Usage[]>
  /** Resolves when hardly anybody has announced or looked for anything for a while, or the time is up; tells how long it took. */
  settle(deadlineMs: number): Promise<number>
}

/** A newcomer knows so many of the first members, as an operator would write into its settings. */
const BOOTSTRAP = 3
const POSSIBLE_BOOTSTRAPS = 8
const QUIET_MS = 5_000
const LOOK_MS = 500
/** Of the nodes, those that may be announcing or looking for somebody: who hears of a newcomer announces anew, bit by bit. */
const CALM_SHARE = 0.1

export function createSwarm(questions: Questions, options: { topics: number }): Swarm {
  const { random } = questions
  const members: Member[] = []
  const processes = new Map<NodeProcess, Member[]>()
  const alive = () => members.filter(member => member.alive)

  function bootstraps(): string[] {
    const possible = alive().slice(0, POSSIBLE_BOOTSTRAPS)
    return Array.from({ length: Math.min(BOOTSTRAP, possible.length) }, () => {
      const [chosen] = possible.splice(Math.floor(random() * possible.length), 1)
      return chosen?.address ?? ''
    })
  }

  async function add(process: NodeProcess, kind: Kind, topic: number | undefined): Promise<Member> {
    const { id, address } = await process.call('start', { bootstrap: bootstraps() })
    const inProcess = processes.get(process) ?? []
    const member: Member = { process, node: inProcess.length, id, address, kind, topic, asked: [], alive: true }
    processes.set(process, [...inProcess, member])
    members.push(member)
    return member
  }

  function fresh(member: Member): string {
    const texts = member.topic === undefined ? undefined : questions.topics[member.topic]
    for (;;) {
      const text = texts?.[member.asked.length] ?? questions.any()
      if (!member.asked.includes(text)) return text
    }
  }

  async function seeking(): Promise<number> {
    const accounts = await Promise.all(alive().map(account))
    return accounts.filter(({ seeking }) => seeking > 0).length
  }

  const account = ({ process, node }: Member) => process.call('account', { node })

  return {
    members,
    alive,
    async grow(count, perProcess) {
      const added: Member[] = []
      while (added.length < count) {
        const process = await startProcess()
        processes.set(process, [])
        for (let room = Math.min(perProcess, count - added.length); room > 0; room--) {
          const single = members.length % 2 === 0
          const topic = single ? (members.length / 2) % options.topics : undefined
          added.push(await add(process, single ? 'single' : 'mixed', topic))
        }
      }
      return added
    },
    async replace({ kind, topic }) {
      const process = await startProcess()
      processes.set(process, [])
      return add(process, kind, topic)
    },
    async remove(member, suddenly) {
      member.alive = false
      if (suddenly) await member.process.kill()
      else await member.process[Symbol.asyncDispose]()
      processes.delete(member.process)
    },
    async askUpTo(member, distinct) {
      const texts: string[] = []
      while (member.asked.length < distinct) {
        const text = fresh(member)
        member.asked.push(text)
        texts.push(text)
      }
      if (texts.length > 0) await member.process.call('ask', { node: member.node, texts })
    },
    learn: ({ process, node }, text) => process.call('learn', { node, text, signal: random() < 0.5 ? 0 : 1 }),
    account,
    journal: ({ process, node }) => process.call('journal', { node }),
    usages: () => Promise.all([...processes.keys()].map(process => process.call('usage', undefined))),
    async settle(deadlineMs) {
      const begun = performance.now()
      let busyUntil = begun
      while (performance.now() - begun < deadlineMs && performance.now() - busyUntil < QUIET_MS) {
        await wait(LOOK_MS)
        if ((await seeking()) > CALM_SHARE * alive().length) busyUntil = performance.now()
      }
      return busyUntil - begun
    },
    async [Symbol.asyncDispose]() {
      for (const member of members) member.alive = false
      await Promise.allSettled([...processes.keys()].map(process => process[Symbol.asyncDispose]()))
      processes.clear()
    },
  }
}

/** Whether a member wanted packets for `key` at a time, for all of `leadMs` before it. */
export function wanted({ joins, leaves }: Journal, key: RoutingKey, at: number, leadMs = 0): boolean {
  const joined = joins.findLast(join => join.key === key && join.at <= at - leadMs)
  return joined !== undefined && !leaves.some(leave => leave.key === key && leave.at >= joined.at && leave.at <= at)
}
