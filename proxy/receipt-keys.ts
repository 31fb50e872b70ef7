/** The keys that seal and open receipts: a file of the operator's, so that replicas can share it and keys can be replaced. */
import { randomBytes } from 'node:crypto'
import { readOrCreate } from '../router/key-file.ts'
import { ConfigInvalidError } from './config.ts'

const RECEIPT_KEY_BYTES = 32
/** Each more is tried on every receipt that no other opens. */
const MAX_RECEIPT_KEYS = 8

/**
 * One key a line: the first seals, all open. To replace a key, put a new line above it; a week later, take the old one out.
 *
 * @throws {ConfigInvalidError} naming the file; it is left as it is
 */
export async function loadReceiptKeys(file: string): Promise<[Buffer, ...Buffer[]]> {
  const text = await readOrCreate(file, () => randomBytes(RECEIPT_KEY_BYTES).toString('base64')).catch(
    (cause: NodeJS.ErrnoException) => {
      throw new ConfigInvalidError(`${file} cannot be read (${cause.code}): check its permissions`, { cause })
    },
  )
  const lines = text.split('\n').map(line => line.trim())
  const [first, ...older] = lines.filter(line => line !== '').map(line => Buffer.from(line, 'base64'))
  const fits = (key: Buffer) => key.length === RECEIPT_KEY_BYTES
  if (first && older.length < MAX_RECEIPT_KEYS && [first, ...older].every(fits)) return [first, ...older]
  throw new ConfigInvalidError(
    `${file} does not hold a receipt key on each line (32 bytes in base64, at most ${MAX_RECEIPT_KEYS}): restore it from a backup, or move it away (receipts given out so far are then void); nothing was changed`,
  )
}
