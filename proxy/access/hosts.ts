/**
 * Which names a client may have called us by. A page can have its own name resolve to this machine (DNS rebinding), and its
 * browser then takes us for the page's own server; but it cannot hide that name, which stands in `Host`.
 */
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

/** Without the port, and an IPv6 address without its brackets; empty when it is not one host. */
function nameIn(host = ''): string {
  const [, bracketed, plain = ''] = /^(?:\[([0-9a-f:.]+)\]|([^:[\]@/\s]+))(?::\d{1,5})?$/i.exec(host) ?? []
  return bracketed ?? plain.toLowerCase().replace(/\.$/, '')
}
