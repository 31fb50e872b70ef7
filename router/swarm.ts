/** The files that close a swarm: its key, its members, where to start. And the invitation that carries them to another site. */
import { createHash, randomBytes } from 'node:crypto'
import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { makePrivateFolder, PRIVATE_FILE } from './private-file.ts'

export interface Swarm {
  /** Text of a pre-shared key file, as other libp2p programs have it. */
  key: string
  /** Peer ids and what each is called; undefined when the key alone decides who belongs. */
  members: ReadonlyMap<string, string> | undefined
  /** Multiaddrs. */
  bootstrap: readonly string[]
}

export class SwarmInvalidError extends Error {
  override readonly name = 'SwarmInvalidError'
  readonly code = 'ERR_SWARM_INVALID'
}

const KEY_FILE = 'swarm.key'
const MEMBERS_FILE = 'members.txt'
const BOOTSTRAP_FILE = 'bootstrap.txt'

const KEY_HEAD = '/key/swarm/psk/1.0.0/\n/base16/\n'
const KEY = /^\/key\/swarm\/psk\/1\.0\.0\/\n\/base16\/\n[0-9a-f]{64}$/
/** How an invitation begins. */
export const INVITE_HEAD = 'qis1.'
const MAX_MEMBERS = 10_000

export function createSwarmKey(): string {
  return KEY_HEAD + randomBytes(32).toString('hex')
}

/** Eight hex digits by which two people can see that they have the same key, without saying it. */
export function swarmName({ key }: Pick<Swarm, 'key'>): string {
  return createHash('sha256').update(`qis/1/swarm\n${key}`).digest('hex').slice(0, 8)
}

/**
 * Undefined when there is no key in the folder.
 *
 * @throws {SwarmInvalidError} naming the file and line that cannot be understood
 */
export async function readSwarm(folder: string): Promise<Swarm | undefined> {
  const key = (await readIfThere(join(folder, KEY_FILE)))?.trim().replaceAll('\r', '')
  if (key === undefined) return undefined
  const members = await readIfThere(join(folder, MEMBERS_FILE))
  const bootstrap = await readIfThere(join(folder, BOOTSTRAP_FILE))
  return {
    key: checkKey(key, join(folder, KEY_FILE)),
    members: members === undefined ? undefined : new Map(membersIn(members, join(folder, MEMBERS_FILE))),
    bootstrap: bootstrap === undefined ? [] : addressesIn(bootstrap, join(folder, BOOTSTRAP_FILE)),
  }
}

/** Writes what is there; the key last, since a folder with a key is one that is used. */
export async function writeSwarm(folder: string, { key, members, bootstrap }: Swarm): Promise<void> {
  await makePrivateFolder(folder)
  if (members !== undefined) {
    const lines = [...members].map(([id, name]) => `${id} ${name}`.trim())
    await replaceFile(join(folder, MEMBERS_FILE), lines)
  }
  await replaceFile(join(folder, BOOTSTRAP_FILE), bootstrap)
  await replaceFile(join(folder, KEY_FILE), [key])
}

export function encodeInvite({ key, members, bootstrap }: Swarm): string {
  const content = { key: key.slice(KEY_HEAD.length), bootstrap, ...(members && { members: [...members] }) }
  return INVITE_HEAD + Buffer.from(JSON.stringify(content)).toString('base64url')
}

/**
 * @param text holds the invitation somewhere: mail programs put words before it and break it into lines
 * @throws {SwarmInvalidError}
 */
export function decodeInvite(text: string): Swarm {
  let fault: unknown = new SyntaxError(`there is no ${INVITE_HEAD} in it`)
  for (let at = text.indexOf(INVITE_HEAD); at >= 0; at = text.indexOf(INVITE_HEAD, at + 1)) {
    try {
      return decodeContent(text.slice(at + INVITE_HEAD.length))
    } catch (error) {
      fault = error
    }
  }
  const reason = fault instanceof Error ? fault.message : String(fault)
  throw new SwarmInvalidError(`this is no whole invitation (${reason}): have it sent again`, { cause: fault })
}

/** Line breaks, the marks of quoted mail before lines, and those of quoted-printable at their ends. */
const MAIL = /=\r?\n|[\s>|]/g

/** @param text from the first character of the content; what stands behind it is of no account */
function decodeContent(text: string): Swarm {
  const [code = ''] = /^[\w-]*/.exec(text.replace(MAIL, '')) ?? []
  const content: unknown = JSON.parse(firstObject(Buffer.from(code, 'base64url').toString()))
  if (typeof content !== 'object' || content === null) throw new TypeError('it holds no object')
  const { key, bootstrap, members } = content as { key?: unknown; bootstrap?: unknown; members?: unknown }
  return {
    key: checkKey(KEY_HEAD + String(key), 'its key'),
    bootstrap: addressesIn(textsOf(bootstrap).join('\n'), 'its bootstrap addresses'),
    members: members === undefined ? undefined : new Map(membersIn(rowsOf(members).join('\n'), 'its members')),
  }
}

/** Without what follows it: words of the next line, which are base64 as well. */
function firstObject(json: string): string {
  for (const { 0: found, index } of json.matchAll(/"(?:[^"\\]|\\.)*"|\}/g)) {
    if (found === '}') return json.slice(0, index + 1)
  }
  throw new SyntaxError('its end is missing')
}

/** What both say, of the same swarm. */
export function mergeSwarms(ours: Swarm, theirs: Swarm): Swarm {
  const members = ours.members && theirs.members && new Map([...ours.members, ...theirs.members])
  return {
    key: ours.key,
    bootstrap: [...new Set([...ours.bootstrap, ...theirs.bootstrap])],
    members: members ?? theirs.members ?? ours.members,
  }
}

/** @throws {SwarmInvalidError} */
export function checkPeerId(text: string, place = 'a peer id'): string {
  try {
    return peerIdFromString(text).toString()
  } catch (cause) {
    throw new SwarmInvalidError(`${place}: ${text} is no peer id; qis identity prints one`, { cause })
  }
}

/** @throws {SwarmInvalidError} */
export function checkAddress(text: string, place = 'an address'): string {
  try {
    return multiaddr(text).toString()
  } catch (cause) {
    throw new SwarmInvalidError(`${place}: ${text} is no multiaddr like /ip4/203.0.113.7/tcp/4001`, { cause })
  }
}

function checkKey(text: string, place: string): string {
  if (KEY.test(text)) return text
  throw new SwarmInvalidError(`${place} is no swarm key: restore it, or join again; nothing was changed`)
}

function* membersIn(text: string, place: string): Generator<[string, string]> {
  let count = 0
  for (const line of linesOf(text)) {
    if (++count > MAX_MEMBERS) throw new SwarmInvalidError(`${place} has more than ${MAX_MEMBERS} members`)
    const [id = '', ...name] = line.split(/\s+/)
    yield [checkPeerId(id, place), name.join(' ')]
  }
}

function addressesIn(text: string, place: string): string[] {
  return linesOf(text).map(line => checkAddress(line, place))
}

/** Without what follows a `#`, and without what is empty then. */
function linesOf(text: string): string[] {
  return text
    .split('\n')
    .map(line => line.replace(/#.*/, '').trim())
    .filter(line => line !== '')
}

function textsOf(value: unknown): string[] {
  if (Array.isArray(value) && value.every(item => typeof item === 'string')) return value
  throw new TypeError('a list is missing')
}

function rowsOf(value: unknown): string[] {
  if (!Array.isArray(value)) throw new TypeError('a list is missing')
  return value.map(row => textsOf(row).join(' '))
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8')
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    if (code === 'ENOENT') return undefined
    throw new SwarmInvalidError(`${file} cannot be read (${code}): check its permissions`, { cause })
  }
}

async function replaceFile(file: string, lines: readonly string[]): Promise<void> {
  const draft = `${file}.${process.pid}.new`
  await writeFile(draft, `${lines.join('\n')}\n`, { mode: PRIVATE_FILE })
  await rename(draft, file)
}
