/** This node's key: made on first start, kept in one file that only its owner can read. Pseudonymous, never a name. */
import { hkdfSync } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { generateKeyPair, privateKeyFromProtobuf, privateKeyToProtobuf } from '@libp2p/crypto/keys'
import type { Ed25519PrivateKey } from '@libp2p/interface'

export interface Identity {
  privateKey: Ed25519PrivateKey
  /** The peer id under which others know this node. */
  id: string
  /** A secret for one purpose, from which neither the key nor another purpose's secret can be told. */
  secret(purpose: string): Buffer
}

export class IdentityInvalidError extends Error {
  override readonly name = 'IdentityInvalidError'
  readonly code = 'ERR_IDENTITY_INVALID'
}

/** @throws {IdentityInvalidError} when the file holds something else; it is left as it is */
export async function loadIdentity(file: string): Promise<Identity> {
  const stored = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw new IdentityInvalidError(`${file} cannot be read (${error.code}): check its permissions`, { cause: error })
  })
  return identityOf(stored === undefined ? await create(file) : parse(stored, file))
}

async function create(file: string): Promise<Ed25519PrivateKey> {
  const privateKey = await generateKeyPair('Ed25519')
  const text = Buffer.from(privateKeyToProtobuf(privateKey)).toString('base64')
  await writeFile(file, `${text}\n`, { mode: 0o600, flag: 'wx' })
  return privateKey
}

function parse(text: string, file: string): Ed25519PrivateKey {
  const explain = `${file} does not hold an Ed25519 key: restore it from a backup, or move it away to start under a new identity; nothing was changed`
  try {
    const key = privateKeyFromProtobuf(Buffer.from(text.trim(), 'base64'))
    if (key.type === 'Ed25519') return key
  } catch (cause) {
    throw new IdentityInvalidError(explain, { cause })
  }
  throw new IdentityInvalidError(explain)
}

function identityOf(privateKey: Ed25519PrivateKey): Identity {
  return {
    privateKey,
    id: privateKey.publicKey.toString(),
    secret: purpose => Buffer.from(hkdfSync('sha256', privateKey.raw, 'qis/1', purpose, 32)),
  }
}
