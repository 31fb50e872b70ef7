/** Writes what the node exchanges with peers to a file, so that an auditor can search all of it. */
import { open } from 'node:fs/promises'
import type { Capture } from '../router/network/capture.ts'

export interface CaptureFile extends AsyncDisposable {
  write: Capture
}

/** A line for each chunk: `in` or `out`, a space, the bytes in base64. */
export async function openCapture(path: string): Promise<CaptureFile> {
  const file = await open(path, 'a', 0o600)
  const stream = file.createWriteStream()
  return {
    write: (direction, bytes) => void stream.write(`${direction} ${Buffer.from(bytes).toString('base64')}\n`),
    async [Symbol.asyncDispose]() {
      await new Promise<void>(resolve => stream.end(() => resolve()))
    },
  }
}
