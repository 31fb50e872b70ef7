/** The API key that a request shows, and its hash: configuration and memory hold no key itself. */
import { hash } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'

/** 64 hex digits, or undefined where the request shows no key. OpenAI's, Anthropic's and Azure's headers, in this order. */
export function hashedKey(headers: IncomingHttpHeaders): string | undefined {
  const bearer = /^Bearer +(\S+) *$/i.exec(headers.authorization ?? '')?.[1]
  const key = bearer ?? single(headers['x-api-key']) ?? single(headers['api-key'])
  return key === undefined || key === '' ? undefined : hash('sha256', key, 'hex')
}

function single(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value
}
