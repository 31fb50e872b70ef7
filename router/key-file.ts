/** Secrets in files of their own: made on first use, readable by their owner alone, never half written. */
import { link, readFile, rm, writeFile } from 'node:fs/promises'
import { PRIVATE_FILE } from './private-file.ts'

/** @throws NodeJS.ErrnoException when the file is there but cannot be read, or cannot be made */
export async function readOrCreate(file: string, create: () => Promise<string> | string): Promise<string> {
  const stored = await readIfThere(file)
  if (stored !== undefined) return stored
  const draft = `${file}.${process.pid}.new`
  try {
    await writeFile(draft, `${await create()}\n`, { mode: PRIVATE_FILE })
    // Unlike a rename, a link does not replace what another process has made meanwhile.
    await link(draft, file).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error
    })
  } finally {
    await rm(draft, { force: true })
  }
  return (await readFile(file, 'utf8')).trim()
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return (await readFile(file, 'utf8')).trim()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
