/** Settings that say where something is: what we listen on, and whom we call. */
import { Type } from '@sinclair/typebox'
import type { UpstreamEntry } from '../upstream/upstreams.ts'
import { kind, list, listSchema } from './variable.ts'

export interface Address {
  host: string
  port: number
}

export const address = kind(Type.String({ pattern: ':\\d{1,5}$' }), (text): Address => {
  const [, bracketed, plain, port] = /^(?:\[([0-9a-fA-F:]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text) ?? []
  const host = bracketed ?? plain
  if (!host || Number(port) > 65_535) throw new Error('HOST:PORT, for example 127.0.0.1:8787 or [::1]:8787')
  return { host, port: Number(port) }
})

function origin(text: string): string {
  const url = URL.parse(text)
  // Clients are told the API's base URL with its /v1; an operator may well paste the same here.
  if (!url || !/^https?:$/.test(url.protocol) || !/^\/(v1\/?)?$/.test(url.pathname) || url.search || url.username) {
    throw new Error('an origin like http://127.0.0.1:11434')
  }
  return url.origin
}

export const endpoint = kind(Type.String({ pattern: '^https?://' }), text => {
  const url = URL.parse(text)
  if (!url || !/^https?:$/.test(url.protocol)) throw new Error('a URL like http://127.0.0.1:4318')
  return text
})

export const upstreamEntries = kind(listSchema(), (text): UpstreamEntry[] => {
  const entries = list(text).map(entry => {
    const [url = '', ...models] = entry.split(/\s+/)
    return { origin: origin(url), models }
  })
  if (entries.length === 0) throw new Error('an origin like http://127.0.0.1:11434')
  if (new Set(entries.map(entry => entry.origin)).size < entries.length)
    throw new Error('servers that are all different')
  return entries
})
