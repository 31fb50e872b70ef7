/** What every network checks before it carries or keeps bytes. */
import { createHash } from 'node:crypto'
import { MAX_FRAME_BYTES, NetworkFrameError } from './network.ts'

export function isFrame(bytes: { byteLength: number }): boolean {
  return bytes.byteLength > 0 && bytes.byteLength <= MAX_FRAME_BYTES
}

/** A copy that shares no memory with the caller's bytes or with a larger network buffer. */
export function frame(bytes: Uint8Array): Uint8Array {
  if (isFrame(bytes)) return new Uint8Array(bytes)
  throw new NetworkFrameError(`a packet has 1 to ${MAX_FRAME_BYTES} bytes, not ${bytes.byteLength}`)
}

/** The first 16 bytes of the SHA-256 of a packet: its id on the wire. */
export function packetId(bytes: Uint8Array): Uint8Array {
  return createHash('sha256').update(bytes).digest().subarray(0, 16)
}
