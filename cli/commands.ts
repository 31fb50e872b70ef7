/** Which commands there are. Each is loaded only when it is run, so that help costs no start of the whole program. */
import type { Command } from './command.ts'

export interface CommandEntry {
  name: string
  /** The command's own, here as well for `qis help`; a test compares. */
  summary: string
  load(): Promise<Command>
}

export const commands: readonly CommandEntry[] = [
  {
    name: 'advise',
    summary: 'say what is known of a question, without asking any model',
    load: async () => (await import('./commands/advise.ts')).advise,
  },
  {
    name: 'backup',
    summary: 'copy the database into a new file, while the sidecar runs',
    load: async () => (await import('./commands/backup.ts')).backup,
  },
  {
    name: 'bench',
    summary: 'list the benches, or run one',
    load: async () => (await import('./commands/bench.ts')).bench,
  },
  {
    name: 'config',
    summary: 'check the settings, show where each comes from, describe them for editors',
    load: async () => (await import('./commands/config.ts')).config,
  },
  {
    name: 'demo',
    summary: 'show three sidecars learning from each other, on this machine',
    load: async () => (await import('./commands/demo.ts')).demo,
  },
  {
    name: 'doctor',
    summary: 'find out what is wrong with a set-up, and what to do',
    load: async () => (await import('./commands/doctor.ts')).doctor,
  },
  {
    name: 'export',
    summary: 'print everything in the database, as JSON lines',
    load: async () => (await import('./commands/export.ts')).exporting,
  },
  {
    name: 'feedback',
    summary: 'say how an answer was, look at what was said, take it back',
    load: async () => (await import('./commands/feedback.ts')).feedback,
  },
  {
    name: 'identity',
    summary: 'print the peer id of this node, making its key if there is none',
    load: async () => (await import('./commands/identity.ts')).identity,
  },
  {
    name: 'ledger',
    summary: 'show every packet that left, check that none was hidden, or try what would leave',
    load: async () => (await import('./commands/ledger.ts')).ledger,
  },
  {
    name: 'packets',
    summary: 'list what came from peers and still counts',
    load: async () => (await import('./commands/packets.ts')).packets,
  },
  {
    name: 'peers',
    summary: "list the running sidecar's peers, what they sent, and how far they are believed",
    load: async () => (await import('./commands/peers.ts')).peers,
  },
  {
    name: 'relay',
    summary: 'run a relay for sites that peers cannot connect to',
    load: async () => (await import('./commands/relay.ts')).relay,
  },
  {
    name: 'space',
    summary: 'make, look into and check spaces of fingerprints',
    load: async () => (await import('./commands/space.ts')).space,
  },
  {
    name: 'start',
    summary: 'run the sidecar, as npm start does',
    load: async () => (await import('./commands/start.ts')).start,
  },
  {
    name: 'status',
    summary: 'say what the running sidecar is doing',
    load: async () => (await import('./commands/status.ts')).status,
  },
  {
    name: 'swarm',
    summary: 'make a closed swarm, invite sites to it, join one',
    load: async () => (await import('./commands/swarm.ts')).swarm,
  },
]
