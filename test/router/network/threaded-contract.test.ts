import { generateKeyPair } from '@libp2p/crypto/keys'
import { createThreadedNetwork } from '../../../router/network/threaded.ts'
import { networkContract } from '../../contracts/network.ts'
import { quiet } from './swarm.ts'

networkContract('the libp2p network in its own thread', async () => {
  const stack = new AsyncDisposableStack()
  let bootstrap: string[] | undefined
  return {
    async add(handlers, options = {}) {
      const privateKey = await generateKeyPair('Ed25519')
      const network = stack.use(
        createThreadedNetwork({ privateKey, logger: quiet }, { bootstrap: bootstrap ?? [], ...options }),
      )
      await network.start(handlers)
      bootstrap ??= network.status().addresses
      return network
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  }
})
