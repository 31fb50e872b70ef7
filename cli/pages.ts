/** Lists that the admin listener gives piece by piece, put together up to a limit. */
import { UsageError } from './command.ts'
import { RemoteError } from './remote.ts'

export const JSON_AND_LIMIT = {
  json: { type: 'boolean', default: false },
  limit: { type: 'string' },
} as const

const SHOWN = 100

/** @throws {UsageError} */
export function limitOf({ json, limit }: { json?: boolean | undefined; limit?: string | undefined }): number {
  if (limit === undefined) return json ? Number.POSITIVE_INFINITY : SHOWN
  if (!/^\d{1,9}$/.test(limit)) throw new UsageError('--limit must be a whole number')
  return Number(limit)
}

/**
 * @param page asks for what follows the first `offset`; answers `{ total, [name]: […] }`
 * @throws {RemoteError} when the answer is something else
 */
export async function allPages<T>(
  page: (offset: number) => Promise<unknown>,
  name: string,
  limit: number,
): Promise<{ total: number; items: T[] }> {
  const items: T[] = []
  for (;;) {
    const answer = (await page(items.length)) as { total?: unknown } & Record<string, unknown>
    const { total, [name]: more } = answer
    if (typeof total !== 'number' || !Array.isArray(more)) throw new RemoteError('what answers there is not a sidecar')
    items.push(...(more as T[]).slice(0, limit - items.length))
    // What was there at first may be gone meanwhile.
    if (items.length >= Math.min(limit, total) || more.length === 0) return { total, items }
  }
}
