/**
 * Hands what peers send to libp2p in slices, one between two looks at everything else that the process has to do. A socket is
 * read 64 KiB at a time, which may be two hundred packets: without this all are judged in one go, and requests wait for it.
 */
import { type MessageStream, type StreamCloseEvent, StreamMessageEvent } from '@libp2p/interface'

export interface Slices {
  /** From now on, what comes from this stream comes in slices; while any are left, no more is read. */
  follow(stream: MessageStream): void
}

/** Some six packets, which are judged in a millisecond or two. */
const SLICE_BYTES = 2_048

export function createSlices(): Slices {
  /** Of streams that have slices left, in turn. */
  const waiting = new Set<() => void>()
  let isDue = false

  function wait(step: () => void): void {
    waiting.add(step)
    plan()
  }

  function plan(): void {
    if (isDue || waiting.size === 0) return
    isDue = true
    setImmediate(() => {
      isDue = false
      const [step] = waiting
      if (step === undefined) return
      waiting.delete(step)
      plan()
      step()
    })
  }

  return {
    follow(stream) {
      let rest = NOTHING
      /** Whether somebody else wants nothing to come. */
      let isHeld = false
      let isResuming = false
      let hasEnded = false
      const dispatch = stream.dispatchEvent.bind(stream)
      const pause = stream.pause.bind(stream)
      const resume = stream.resume.bind(stream)

      function hand(bytes: number): void {
        const slice = rest.subarray(0, bytes)
        rest = rest.subarray(bytes)
        dispatch(new StreamMessageEvent(slice))
      }

      /** libp2p hands out what has gathered, and then reads on whatever that has led to: nothing may be paused in between. */
      function readOn(): void {
        isResuming = true
        try {
          resume()
        } finally {
          isResuming = false
        }
        if (rest.byteLength === 0 || hasEnded) return
        pause()
        wait(step)
      }

      function step(): void {
        hand(Math.min(SLICE_BYTES, rest.byteLength))
        if (isHeld) return
        if (rest.byteLength > 0) wait(step)
        else if (!hasEnded) readOn()
      }

      stream.pause = () => {
        pause()
        isHeld = true
        waiting.delete(step)
      }
      stream.resume = () => {
        isHeld = false
        if (rest.byteLength > 0) wait(step)
        else readOn()
      }
      stream.dispatchEvent = event => {
        if (event.type === 'message') {
          const { data } = event as StreamMessageEvent
          const isShort = data.byteLength <= SLICE_BYTES && rest.byteLength === 0 && waiting.size === 0
          if (hasEnded || (isShort && !isResuming)) return dispatch(event)
          rest = Buffer.concat([rest, data.subarray()])
          if (isResuming) return true
          pause()
          if (!isHeld) wait(step)
          return true
        }
        if (event.type === 'remoteCloseWrite' || event.type === 'close') {
          hasEnded = true
          waiting.delete(step)
          // what is left was said before the end, unless that is a breach
          if ((event as StreamCloseEvent).error !== undefined) rest = NOTHING
          if (rest.byteLength > 0) hand(rest.byteLength)
        }
        return dispatch(event)
      }
    },
  }
}

const NOTHING: Uint8Array = new Uint8Array()
