/** What passes through a node's connections: how many bytes, and which packets, whether it asked for them or not. */

export interface Wire {
  /** Above encryption, with the multiplexer's framing. */
  bytesIn: number
  bytesOut: number
  /** Copies of each packet that came in, by the name of its answer. */
  readonly copies: Map<string, number>
  capture(direction: 'in' | 'out', bytes: Uint8Array): void
}

/** A packet's payload lies in clear inside its envelope. */
const ANSWER = /"n":"([0-9a-f]{16})"/g
const MARK = Buffer.from('"n":"')

export function createWire(): Wire {
  const wire: Wire = {
    bytesIn: 0,
    bytesOut: 0,
    copies: new Map(),
    capture(direction, bytes) {
      if (direction === 'out') {
        wire.bytesOut += bytes.byteLength
        return
      }
      wire.bytesIn += bytes.byteLength
      for (const answer of answersIn(bytes)) wire.copies.set(answer, (wire.copies.get(answer) ?? 0) + 1)
    },
  }
  return wire
}

/** The names of the answers that the packets in these bytes are about. */
export function answersIn(bytes: Uint8Array): string[] {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (!buffer.includes(MARK)) return []
  return Array.from(buffer.toString('latin1').matchAll(ANSWER), ([, answer = '']) => answer)
}
