/**
 * Talks to this node's own admin listener, and to nobody else.
 *
 * The page and its files hold nothing, so anyone may load them; all that they show needs the admin token, where one is set.
 * It is kept in the tab's sessionStorage and sent as a bearer: unlike a cookie, no other page can have the browser send it;
 * it survives a reload, and goes with the tab. Scripts of others, which could read it, the content security policy keeps out.
 */
const KEY = 'qis-admin-token'
const DEADLINE_MS = 15_000

export class Refused extends Error {
  /**
   * @param {number} status
   * @param {string} message
   */
  constructor(status, message) {
    super(message)
    this.status = status
  }
}

export const token = {
  get: () => sessionStorage.getItem(KEY),
  /** @param {string} value */
  set: value => sessionStorage.setItem(KEY, value),
  forget: () => sessionStorage.removeItem(KEY),
}

/**
 * @param {string} path below `/qis/`
 * @param {{method?: string, body?: object}} [options]
 * @returns {Promise<any>} the parsed answer; rejects with Refused for any that is no success
 */
export async function call(path, { method = 'GET', body } = {}) {
  const held = token.get()
  const answer = await fetch(path, {
    method,
    headers: {
      ...(held !== null && { authorization: `Bearer ${held}` }),
      ...(body && { 'content-type': 'application/json' }),
    },
    ...(body && { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(DEADLINE_MS),
  })
  const said = await answer.json().catch(() => ({}))
  if (!answer.ok) throw new Refused(answer.status, said.error?.message ?? `it answered ${answer.status}`)
  return said
}
