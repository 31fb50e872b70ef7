import { networkContract } from '../../contracts/network.ts'
import { createLibp2pSwarm } from './swarm.ts'

networkContract('the libp2p network', async () => createLibp2pSwarm())
