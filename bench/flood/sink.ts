/** A TCP server that reads and forgets: what a flood costs when nobody looks at it. */
import { createServer } from 'node:net'

const server = createServer(socket => socket.on('error', () => {}).resume()).listen(0, '127.0.0.1', () => {
  const address = server.address()
  if (address !== null && typeof address === 'object') console.log(address.port)
})
process.on('SIGTERM', () => process.exit())
