/** Ports that stay free until a test takes them: neither another listener nor an outgoing connection is given one of these. */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'

const LOWEST = 10_000
/** Where nothing tells where the ports begin that the system hands out by itself. */
const USUAL_LIMIT = 32_768

/** A port of 127.0.0.1 that is free, and that the system gives to nobody who did not ask for it by its number. */
export async function freePort(): Promise<number> {
  const limit = handedOutFrom()
  for (;;) {
    const port = LOWEST + Math.floor(Math.random() * (limit - LOWEST))
    if (await isFree(port)) return port
  }
}

function handedOutFrom(): number {
  try {
    const [first] = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').split(/\s+/)
    return Number(first) > LOWEST ? Number(first) : USUAL_LIMIT
  } catch {
    return USUAL_LIMIT
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port, '127.0.0.1')
  try {
    await once(server, 'listening')
  } catch {
    return false
  }
  server.close()
  await once(server, 'close')
  return true
}
