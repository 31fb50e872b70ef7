/** `qis ledger --verify`: whether all that was ever written into the ledger still stands there. */
import { join } from 'node:path'
import { readConfig } from '../../proxy/config.ts'
import { type ChainEnd, type LedgerVerdict, verifyLedger } from '../../router/ledger.ts'
import { readLedger } from '../../router/store/read-ledger.ts'
import { type CommandIo, UsageError } from '../command.ts'

const FAULTS: Record<NonNullable<LedgerVerdict['fault']>, string> = {
  changed: 'is not what was written',
  missing: 'is missing, or stands elsewhere',
  end_missing: 'and what followed it is missing',
  not_as_noted: 'does not lead to the end that was noted: the ledger was written anew',
  noted_too_long_ago: 'was noted, and has been let go since; what it covered cannot be checked any more',
}

export async function verify(
  { noted, json }: { noted: string | undefined; json: boolean },
  { out, env }: CommandIo,
): Promise<number> {
  const end = noted === undefined ? undefined : readEnd(noted)
  using ledger = readLedger(join(readConfig(env).dataDir, 'qis.db'))
  const verdict = await verifyLedger(ledger.entries(), ledger.chain, end)
  out.write(json ? `${JSON.stringify({ ...verdict, head: written(verdict.head) })}\n` : describe(verdict))
  return verdict.ok ? 0 : 1
}

function describe({ at, fault, entries, unchained, head }: LedgerVerdict): string {
  if (fault) return `entry ${at} ${FAULTS[fault]}\n`
  const earlier = unchained > 0 ? `, ${unchained} of them from before there was a chain` : ''
  return `all ${entries} entries are as they were written${earlier}\nend of the chain: ${written(head)}\n`
}

function written({ seq, hash }: ChainEnd): string {
  return `${seq}:${Buffer.from(hash).toString('hex')}`
}

function readEnd(text: string): ChainEnd {
  const [, seq, hash] = /^(\d{1,15}):([0-9a-f]{64})$/.exec(text) ?? []
  if (seq === undefined || hash === undefined) {
    throw new UsageError('--noted must be a number, a colon and 64 hex digits, as --verify prints them')
  }
  return { seq: Number(seq), hash: Buffer.from(hash, 'hex') }
}
