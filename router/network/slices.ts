/**
 * Hands what peers send to libp2p in slices, one between two looks at everything else that the process has to do. A socket is
 * read 64 KiB at a time, which may be two hundred packets: without this all are judged in one go, and requests wait for it.
 */
import { type MessageStream, type StreamCloseEvent, StreamMessageEvent } from '@libp2p/interface'
import { overhear } from './overhear.ts'

export interface Slices {
  /**
   * From now on, what comes from `plaintext` comes in slices.
   *
   * @param brake is not read while any are left; paused and resumed by others, it holds them back as well
   */
  follow(plaintext: MessageStream, brake?: MessageStream): void
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
    follow(plaintext, brake) {
      let rest = NOTHING
      /** Whether somebody else wants nothing to come. */
      let isHeld = false
      let hasEnded = false
      const reading = brake && brakeOn(brake, () => isHeld || rest.byteLength > 0)
      const dispatch = plaintext.dispatchEvent.bind(plaintext)

      function hand(bytes: number): void {
        const slice = rest.subarray(0, bytes)
        rest = rest.subarray(bytes)
        dispatch(new StreamMessageEvent(slice))
      }

      function step(): void {
        hand(Math.min(SLICE_BYTES, rest.byteLength))
        goOn()
      }

      function goOn(): void {
        if (isHeld) return
        if (rest.byteLength > 0) wait(step)
        else reading?.resume()
      }

      if (brake) {
        brake.pause = () => {
          isHeld = true
          waiting.delete(step)
          reading?.pause()
        }
        brake.resume = () => {
          isHeld = false
          goOn()
        }
      }

      plaintext.dispatchEvent = event => {
        if (event.type === 'message') {
          const { data } = event as StreamMessageEvent
          const isNext = rest.byteLength === 0 && waiting.size === 0 && !isHeld
          if (hasEnded || (isNext && data.byteLength <= SLICE_BYTES)) return dispatch(event)
          rest = Buffer.concat([rest, data.subarray()])
          reading?.pause()
          goOn()
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

/** Reading of a stream, to be paused and resumed at any time: as libp2p has it, both throw once the stream has ended. */
function brakeOn(stream: MessageStream, isWanted: () => boolean) {
  const pause = stream.pause.bind(stream)
  const resume = stream.resume.bind(stream)
  let isResuming = false
  let hasEnded = false
  for (const end of ['remoteCloseWrite', 'close']) {
    overhear(stream, end, () => {
      hasEnded = true
    })
  }
  const brake = {
    pause() {
      if (!isResuming && !hasEnded) pause()
    },
    /** libp2p hands out what has gathered, and then reads on whatever that has led to: only then can it be paused again. */
    resume() {
      if (isResuming || hasEnded) return
      isResuming = true
      try {
        resume()
      } finally {
        isResuming = false
      }
      if (isWanted()) brake.pause()
    },
  }
  return brake
}
