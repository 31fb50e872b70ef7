/** Compares bearer tokens in constant time. */
import { createHash, timingSafeEqual } from 'node:crypto'

/** A check of `Authorization` headers; when no token is set, everyone may pass. */
export function bearerCheck(token: string | undefined): (authorization: string | undefined) => boolean {
  if (token === undefined) return () => true
  const expected = digest(`Bearer ${token}`)
  return authorization => timingSafeEqual(digest(authorization ?? ''), expected)
}

/** Of equal length, whatever was sent. */
function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
