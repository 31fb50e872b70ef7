/** Who belongs to the swarm, as the operator's files say now; looked at again while the sidecar runs. */
import { isDeepStrictEqual } from 'node:util'
import type { FastifyBaseLogger } from 'fastify'
import type { Access } from '../router/network/libp2p.ts'
import { readSwarm, type Swarm, SwarmInvalidError } from '../router/swarm.ts'

export interface SwarmAccess extends AsyncDisposable {
  /** As it is now. */
  current(): Access
  /** Whether packets that this peer has signed count. */
  admits(author: string): boolean
  /** From now on, told of each change. */
  watch(onChange: (access: Access) => Promise<void>): void
  /** Reads the files again now, for whoever watches. */
  look(): Promise<void>
}

export interface SwarmAccessOptions {
  folder: string
  /** Whether a swarm without a key is a mistake. */
  mustBeClosed: boolean
  /** Beside those in the folder. */
  bootstrap: readonly string[]
  /** How often the files are read again. Reading is cheap, and tells of every kind of mount alike. @default 2500 */
  lookMs?: number
}

/** @throws {SwarmInvalidError} when the files cannot be understood, or are missing though they must be there */
export async function openSwarmAccess(
  { logger }: { logger: FastifyBaseLogger },
  options: SwarmAccessOptions,
): Promise<SwarmAccess> {
  const { folder, mustBeClosed, bootstrap, lookMs = 2_500 } = options
  let swarm = await readSwarm(folder)
  if (swarm === undefined && mustBeClosed) {
    throw new SwarmInvalidError(`QIS_SWARM must be the folder of a closed swarm; there is no swarm.key in ${folder}`)
  }
  /** A change is believed when it is seen twice: an editor may be half-way through writing a list. */
  let candidate: Swarm | undefined = swarm
  let timer: NodeJS.Timeout | undefined
  let looking: Promise<void> = Promise.resolve()
  let told: ((access: Access) => Promise<void>) | undefined

  async function look(onChange: (access: Access) => Promise<void>): Promise<void> {
    let seen: Swarm | undefined
    try {
      seen = await readSwarm(folder)
    } catch (error) {
      logger.warn({ err: error }, 'the files of the swarm cannot be understood; what they said before stays in force')
      return
    }
    const isSettled = isDeepStrictEqual(seen, candidate)
    candidate = seen
    if (!isSettled || isDeepStrictEqual(seen, swarm)) return
    if (seen === undefined) {
      logger.warn({ folder }, 'the key of the swarm is gone; it stays closed until the sidecar is restarted')
      return
    }
    swarm = seen
    logger.info({ members: seen.members?.size }, 'the files of the swarm have changed')
    try {
      await onChange(accessOf(swarm, bootstrap))
    } catch (error) {
      logger.warn({ err: error }, 'the network could not follow a change of the swarm')
    }
  }

  function lookAgain(): Promise<void> {
    const onChange = told
    if (onChange) looking = looking.then(() => look(onChange))
    return looking
  }

  return {
    current: () => accessOf(swarm, bootstrap),
    admits: author => swarm?.members?.has(author) ?? true,
    watch(onChange) {
      told = onChange
      timer = setInterval(lookAgain, lookMs).unref()
    },
    look: lookAgain,
    async [Symbol.asyncDispose]() {
      clearInterval(timer)
      await looking
    },
  }
}

function accessOf(swarm: Swarm | undefined, bootstrap: readonly string[]): Access {
  return {
    ...(swarm && { swarmKey: swarm.key }),
    ...(swarm?.members && { members: [...swarm.members.keys()] }),
    bootstrap: [...bootstrap, ...(swarm?.bootstrap ?? [])],
  }
}
