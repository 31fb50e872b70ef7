/** Long work on the thread that answers requests, cut so fine that nobody who asks meanwhile waits for it. */
import { setImmediate as nextTurn } from 'node:timers/promises'

/** Longest stretch without a turn for others. */
const SLICE_MS = 2

/** Does `work` with each item, one after another, until they end or `stopping` is aborted. */
export async function inSlices<T>(
  items: AsyncIterable<T>,
  work: (item: T) => void | Promise<void>,
  { stopping, sliceMs = SLICE_MS }: { stopping: AbortSignal; sliceMs?: number },
): Promise<void> {
  let begun = performance.now()
  for await (const item of items) {
    if (stopping.aborted) return
    await work(item)
    if (performance.now() - begun < sliceMs) continue
    await nextTurn()
    begun = performance.now()
  }
}
