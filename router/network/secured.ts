/** Lets others in on each connection as soon as it is encrypted. */
import {
  type ConnectionEncrypter,
  type MessageStream,
  type MultiaddrConnection,
  type SecuredConnection,
  serviceCapabilities,
} from '@libp2p/interface'
import { hostOf } from './gate.ts'

/**
 * The same encrypter, with `onSecured` called for each connection before anything passes through it.
 *
 * @param onSecured is also given the stream that holds the ciphertext
 */
export function attended<Components>(
  createEncrypter: (components: Components) => ConnectionEncrypter,
  onSecured: (secured: SecuredConnection<unknown>, ciphertext: MessageStream) => void,
): (components: Components) => ConnectionEncrypter {
  return components => {
    const encrypter = createEncrypter(components)
    return {
      protocol: encrypter.protocol,
      // libp2p reads from here that the node has encryption
      ...{ [serviceCapabilities]: ['@libp2p/connection-encryption'] },
      async secureInbound(connection, options) {
        const secured = await encrypter.secureInbound(connection, options)
        onSecured(secured, connection)
        return secured
      },
      async secureOutbound(connection, options) {
        const secured = await encrypter.secureOutbound(connection, options)
        onSecured(secured, connection)
        return secured
      },
    }
  }
}

/**
 * What to pause so that a peer has to wait: the socket under the encryption. Undefined where that is not to be had, under the
 * key of a closed swarm, or may not be paused, since a relayed stream loses what has come when it ends.
 */
export function brakeOf(ciphertext: MessageStream): MessageStream | undefined {
  const isSocket = 'remoteAddr' in ciphertext && hostOf(ciphertext as MultiaddrConnection) !== undefined
  return isSocket ? ciphertext : undefined
}
