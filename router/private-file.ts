/** What nobody but its owner may read, whatever the umask: the folder of data, and files that SQLite would make for all. */
import { chmodSync, closeSync, openSync, statSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'

export const PRIVATE_FILE = 0o600
const PRIVATE_FOLDER = 0o700
const OTHERS = 0o077

/** A folder that is there already stays as it is: who made it chose who may look into it. */
export async function makePrivateFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: PRIVATE_FOLDER })
}

/**
 * Makes an empty file, or takes from others what they may do with the one that is there.
 *
 * @throws NodeJS.ErrnoException when it cannot be made
 */
export function makePrivateFile(path: string): void {
  try {
    // Exclusively, and not opened otherwise: to close a file gives up the locks that SQLite holds on it in this process.
    closeSync(openSync(path, 'wx', PRIVATE_FILE))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    closeToOthers(path)
  }
}

/** Where the file is there, and ours. */
export function closeToOthers(path: string): void {
  try {
    const { mode } = statSync(path)
    if ((mode & OTHERS) !== 0) chmodSync(path, mode & ~OTHERS)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    // Of another user's file in a volume that a group shares, that user decides; nor can what is mounted read-only be changed.
    if (code !== 'ENOENT' && code !== 'EPERM' && code !== 'EROFS') throw error
  }
}
