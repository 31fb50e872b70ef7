/**
 * Addresses of peers in a file, so that a node that comes back finds its swarm though none of its bootstrap peers is
 * there. libp2p would keep all that it ever heard of; this is who was really there.
 */
import { readFile, rename, writeFile } from 'node:fs/promises'
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import { PRIVATE_FILE } from '../private-file.ts'
import type { Logger } from '../telemetry.ts'
import type { Node } from './node.ts'

export interface AddressBook {
  /** As it was when the node started. */
  readonly addresses: Multiaddr[]
  /** Notes who is there now; keeps who was, while there is room. Never rejects. */
  update(node: Node): Promise<void>
}

/** A few of which somebody will be there. */
const MAX_PEERS = 32
const MAX_ADDRESSES = 4
const MAX_FILE_BYTES = 64 * 1024

export async function openAddressBook(file: string | undefined, logger: Logger): Promise<AddressBook> {
  let known = file === undefined ? [] : await read(file, logger)
  let last = Promise.resolve()

  async function note(target: string, node: Node): Promise<void> {
    const lines = [...new Set([...(await present(node)), ...known])].slice(0, MAX_PEERS * MAX_ADDRESSES)
    if (lines.join() === known.join()) return
    const draft = `${target}.new`
    await writeFile(draft, `${lines.join('\n')}\n`, { mode: PRIVATE_FILE })
    await rename(draft, target)
    known = lines
  }

  return {
    addresses: known.map(address => multiaddr(address)),
    async update(node) {
      if (file === undefined) return
      last = last
        .then(() => note(file, node))
        .catch(error => logger.debug({ err: error }, 'the address book could not be written'))
      await last
    },
  }
}

async function read(file: string, logger: Logger): Promise<string[]> {
  try {
    const text = await readFile(file, 'utf8')
    if (text.length > MAX_FILE_BYTES) throw new RangeError(`${file} is too long for an address book`)
    const lines = text.split('\n').filter(line => line !== '')
    return lines.slice(0, MAX_PEERS * MAX_ADDRESSES).filter(isAddress)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') logger.warn({ err: error }, 'no address book can be read')
    return []
  }
}

function isAddress(text: string): boolean {
  try {
    multiaddr(text)
    return true
  } catch {
    return false
  }
}

/** Where the peers that are connected say that they listen. */
async function present(node: Node): Promise<string[]> {
  const lines = await Promise.all(
    node
      .getPeers()
      .slice(0, MAX_PEERS)
      .map(async id => {
        const peer = await node.peerStore.get(id).catch(() => undefined)
        return (peer?.addresses ?? []).slice(0, MAX_ADDRESSES).map(({ multiaddr: address }) => {
          const text = address.toString()
          return text.includes(`/p2p/${id}`) ? text : `${text}/p2p/${id}`
        })
      }),
  )
  return lines.flat().sort()
}
