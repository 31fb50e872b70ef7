/**
 * Which names a client may have called us by. A page can have its own name resolve to this machine (DNS rebinding), and its
 * browser then takes us for the page's own server; but it cannot hide that name, which stands in `Host`.
 */
import type { IncomingMessage } from 'node:http'
import { isIP } from 'node:net'

export type HostCheck = (host: string | undefined) => boolean

/** Addresses and localhost, which no page can be named, and the given names. */
export function hostCheck(names: readonly string[]): HostCheck {
  const known = new Set(names.map(name => name.toLowerCase()))
  return host => {
    const name = nameIn(host)
    return isIP(name) !== 0 || name === 'localhost' || name.endsWith('.localhost') || known.has(name)
  }
}

/** `http://host/path`, up to the path; and `OPTIONS *`, which asks about a server and not about the one behind it. */
const ABSOLUTE_FORM = /^(?:[a-z][a-z0-9+.-]*:\/\/([^/?#]*)\/?|\*$)/i

/**
 * The path that is asked for. Where a target names a host, that is the one that was called, whatever `Host` says (RFC 9112
 * section 3.2.2), and is put in its place for all who look there.
 */
export function pathAsked({ url = '/', headers }: Partial<Pick<IncomingMessage, 'url' | 'headers'>>): string {
  if (url.startsWith('/')) return url
  const [form, host] = ABSOLUTE_FORM.exec(url) ?? []
  if (form === undefined) return url
  if (headers && host !== undefined) headers.host = host
  return `/${url.slice(form.length)}`
}

/** Without the port, and an IPv6 address without its brackets; empty when it is not one host. */
function nameIn(host = ''): string {
  const [, bracketed, plain = ''] = /^(?:\[([0-9a-f:.]+)\]|([^:[\]@/\s]+))(?::\d{1,5})?$/i.exec(host) ?? []
  return bracketed ?? plain.toLowerCase().replace(/\.$/, '')
}
