/** Tells callers apart without keeping who they are: by a digest under a salt that this process alone holds, and forgets. */
import { hash, randomBytes } from 'node:crypto'

export interface Callers {
  /**
   * The same for the same credentials or, without any, for the same address; undefined when there is neither. To be called
   * when the answer is on its way: it takes a microsecond.
   */
  of(authorization: string | undefined, address: string | undefined): string | undefined
}

export function createCallers(): Callers {
  const salt = randomBytes(16).toString('hex')
  return {
    of(authorization, address) {
      const who = authorization ?? address
      return who === undefined ? undefined : hash('sha256', salt + who, 'base64')
    },
  }
}
