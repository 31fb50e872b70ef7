/** What the process that measures may ask of the processes that hold the nodes. */
import type { RoutingKey } from '../../router/keyspace.ts'
import type { Lookup } from './counters.ts'
import type { Journal } from './node.ts'

/** What a node has done and holds so far. */
export interface Account {
  /** DHT requests sent, by kind. */
  rpcs: Record<string, number>
  /** Announcements and look-ups under way. */
  seeking: number
  bytesIn: number
  bytesOut: number
  peers: number
  /** Provider records in its keeping. */
  records: number
}

export interface Usage {
  rssMb: number
  heapMb: number
  /** User and system time since the process began. */
  cpuMs: number
}

/** Each command with what goes in and what comes out; `node` counts from 0 within a process. */
export interface Commands {
  start: { in: { bootstrap: string[] }; out: { id: string; address: string } }
  ask: { in: { node: number; texts: string[] }; out: undefined }
  learn: { in: { node: number; text: string; signal: number }; out: { at: number; answer: string } }
  announce: { in: { node: number; key: RoutingKey; deadlineMs: number }; out: { ms: number } }
  lookup: { in: { node: number; key: RoutingKey; deadlineMs: number }; out: Lookup }
  account: { in: { node: number }; out: Account }
  journal: { in: { node: number }; out: Journal & { copies: [answer: string, copies: number][] } }
  usage: { in: undefined; out: Usage }
  /** Stops one node as an operator would. */
  stop: { in: { node: number }; out: undefined }
}

export type CommandName = keyof Commands

export interface Call {
  id: number
  name: CommandName
  input: unknown
}

export type Reply = { id: number; output: unknown } | { id: number; error: string }
