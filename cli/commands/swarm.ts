/** `qis swarm`: makes a swarm that only invited sites can join, invites them, and joins one. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { nearestName } from '../../proxy/config/nearest-name.ts'
import { readConfig } from '../../proxy/config.ts'
import { loadIdentity } from '../../router/identity.ts'
import { makePrivateFolder } from '../../router/private-file.ts'
import {
  checkAddress,
  checkPeerId,
  createSwarmKey,
  decodeInvite,
  encodeInvite,
  INVITE_HEAD,
  mergeSwarms,
  readSwarm,
  type Swarm,
  SwarmInvalidError,
  swarmName,
  writeSwarm,
} from '../../router/swarm.ts'
import { type Command, type CommandIo, UsageError } from '../command.ts'

interface Place {
  /** Of the swarm's files. */
  folder: string
  /** Peer id of this node. */
  id: string
}

type Run = (args: readonly string[], place: Place, io: CommandIo) => Promise<void>

const parts: Record<string, Run> = { create, invite, join: joining, show }

export const swarm: Command = {
  name: 'swarm',
  summary: 'make a closed swarm, invite sites to it, join one',
  usage: `Usage: qis swarm create [--address MULTIADDR]… [--members]
       qis swarm invite [PEER_ID [NAME]]
       qis swarm join INVITATION
       qis swarm show

create  makes the key without which nobody can speak to this swarm, in the folder swarm in QIS_DATA (or in QIS_SWARM).
        --address is where others can connect to this node; --members admits listed peers only, first of all this one.
invite  prints an invitation: one line that holds the key, so treat it like a password. PEER_ID (of qis identity, at the
        site invited) is needed where members are listed, and puts it on the list.
join    takes an invitation, or the name of a file that holds one, into the same folder; words around it and line breaks
        in it, as mail programs make them, do no harm. A newer invitation to the same swarm adds its members and
        addresses to those known.
show    prints the swarm's name, addresses and members, and not its key. The name is the same at every site.

A running sidecar sees a change of these files within seconds and need not be restarted. docs/swarm.md tells how two
hospitals join.
`,
  async run([name = '', ...args], io) {
    const run = Object.hasOwn(parts, name) ? parts[name] : undefined
    if (run === undefined) {
      const nearest = nearestName(name, Object.keys(parts))
      const needs = `swarm needs one of ${Object.keys(parts).join(', ')}`
      throw new UsageError(nearest === undefined ? needs : `${needs}; did you mean ${nearest}?`)
    }
    const config = readConfig(io.env)
    const folder = config.swarm ?? join(config.dataDir, 'swarm')
    await makePrivateFolder(config.dataDir)
    const { id } = await loadIdentity(join(config.dataDir, 'identity.key'))
    await run(args, { folder, id }, io)
    return 0
  },
}

async function create(args: readonly string[], { folder, id }: Place, { out }: CommandIo): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: { address: { type: 'string', multiple: true, default: [] }, members: { type: 'boolean', default: false } },
  })
  const present = await readSwarm(folder)
  if (present) throw new SwarmInvalidError(`there is swarm ${swarmName(present)} in ${folder}; nothing was changed`)
  const made: Swarm = {
    key: createSwarmKey(),
    members: values.members ? new Map([[id, 'this site']]) : undefined,
    bootstrap: values.address.map(address => withPeer(checkAddress(address, '--address'), id)),
  }
  await writeSwarm(folder, made)
  out.write(`swarm ${swarmName(made)} is in ${folder}\n`)
}

async function invite(args: readonly string[], { folder }: Place, { out, err }: CommandIo): Promise<void> {
  const [peer, ...name] = parseArgs({ args: [...args], allowPositionals: true }).positionals
  let present = await existing(folder)
  if (peer === undefined && present.members) {
    throw new UsageError('this swarm lists its members: name the peer id of the one to invite')
  }
  if (peer !== undefined) {
    const members = new Map(present.members ?? []).set(checkPeerId(peer), name.join(' '))
    if (present.members) {
      present = { ...present, members }
      await writeSwarm(folder, present)
    } else {
      err.write('every site that has the key belongs to this swarm, so the peer id is not needed\n')
    }
  }
  if (present.bootstrap.length === 0) {
    err.write('this swarm has no address to start from: the other site must find it by QIS_BOOTSTRAP or QIS_MDNS\n')
  }
  out.write(`${encodeInvite(present)}\n`)
}

async function joining(args: readonly string[], { folder, id }: Place, { out }: CommandIo): Promise<void> {
  const given = parseArgs({ args: [...args], allowPositionals: true }).positionals.join(' ')
  if (given === '') throw new UsageError('join needs an invitation, or a file that holds one')
  const invited = decodeInvite(given.includes(INVITE_HEAD) ? given : await readInvite(given))
  if (invited.members && !invited.members.has(id)) {
    throw new SwarmInvalidError(`this invitation is not for this node: have ${id} invited`)
  }
  const present = await readSwarm(folder)
  if (present && present.key !== invited.key) {
    throw new SwarmInvalidError(
      `there is another swarm, ${swarmName(present)}, in ${folder}: move that folder away to leave it; nothing was changed`,
    )
  }
  const joined = present ? mergeSwarms(present, invited) : invited
  await writeSwarm(folder, joined)
  out.write(`swarm ${swarmName(joined)} is in ${folder}\n`)
}

async function show(args: readonly string[], { folder }: Place, { out }: CommandIo): Promise<void> {
  parseArgs({ args: [...args], options: {} })
  const present = await existing(folder)
  const lines = [
    `name     ${swarmName(present)}`,
    ...present.bootstrap.map(address => `address  ${address}`),
    ...(present.members
      ? [...present.members].map(member => `member   ${member.join(' ').trim()}`)
      : ['member   everybody who has the key']),
  ]
  out.write(`${lines.join('\n')}\n`)
}

async function existing(folder: string): Promise<Swarm> {
  const present = await readSwarm(folder)
  if (present) return present
  throw new SwarmInvalidError(`there is no swarm in ${folder}: qis swarm create makes one, qis swarm join joins one`)
}

async function readInvite(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    throw new SwarmInvalidError(`${file} is no invitation, and as a file it cannot be read (${code})`, { cause })
  }
}

function withPeer(address: string, id: string): string {
  return address.includes('/p2p/') ? address : `${address}/p2p/${id}`
}
