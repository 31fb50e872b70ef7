import { createMemorySwarm } from '../../../router/network/memory.ts'
import { networkContract } from '../../contracts/network.ts'

networkContract('the memory network', async () => {
  const swarm = createMemorySwarm()
  const stack = new AsyncDisposableStack()
  return {
    async add(handlers, options) {
      const network = stack.use(swarm.createNetwork(options))
      await network.start(handlers)
      return network
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  }
})
