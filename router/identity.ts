/** This node's key: made on first start, kept in one file that only its owner can read. Pseudonymous, never a name. */
import { hkdfSync } from 'node:crypto'
import { generateKeyPair, privateKeyFromProtobuf, privateKeyToProtobuf } from '@libp2p/crypto/keys'
import type { Ed25519PrivateKey, PrivateKey } from '@libp2p/interface'
import { readOrCreate } from './key-file.ts'

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

/** @throws {IdentityInvalidError} when the file holds something else or cannot be read; it is left as it is */
export async function loadIdentity(file: string): Promise<Identity> {
  try {
    return identityOf(parse(await readOrCreate(file, create), file))
  } catch (error) {
    if (error instanceof IdentityInvalidError) throw error
    const { code } = error as NodeJS.ErrnoException
    throw new IdentityInvalidError(`${file} cannot be read (${code}): check its permissions`, { cause: error })
  }
}

async function create(): Promise<string> {
  return Buffer.from(privateKeyToProtobuf(await generateKeyPair('Ed25519'))).toString('base64')
}

function parse(text: string, file: string): Ed25519PrivateKey {
  const explain = `${file} does not hold an Ed25519 key: restore it from a backup, or move it away to start under a new identity; nothing was changed`
  let key: PrivateKey
  try {
    key = privateKeyFromProtobuf(Buffer.from(text, 'base64'))
  } catch (cause) {
    throw new IdentityInvalidError(explain, { cause })
  }
  if (key.type !== 'Ed25519') throw new IdentityInvalidError(explain)
  return key
}

function identityOf(privateKey: Ed25519PrivateKey): Identity {
  return {
    privateKey,
    id: privateKey.publicKey.toString(),
    secret: purpose => Buffer.from(hkdfSync('sha256', privateKey.raw, 'qis/1', purpose, 32)),
  }
}
