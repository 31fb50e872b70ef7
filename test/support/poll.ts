/** Waits for something to become true, as a person would: by looking again, for a while. */

/** A machine that is busy with other things is slow, not wrong; who waits in vain waits this long, and nobody else does. */
export const PATIENCE_MS = 60_000

/** @throws {Error} naming what was awaited, when it has not come true in time */
export async function until<T>(
  what: string,
  look: () => T | Promise<T>,
  { deadlineMs = PATIENCE_MS, everyMs = 10 } = {},
): Promise<NonNullable<T>> {
  const deadline = performance.now() + deadlineMs
  for (;;) {
    const seen = await look()
    if (seen) return seen
    if (performance.now() > deadline) throw new Error(`waited ${deadlineMs} ms in vain for ${what}`)
    await new Promise(resolve => setTimeout(resolve, everyMs))
  }
}
