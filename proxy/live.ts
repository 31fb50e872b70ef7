/** Settings, and parts made of them, that change while requests are under way: all of them at once, or none. */
import type { Logger } from '../router/telemetry.ts'
import { type Config, settings } from './config.ts'

/** What is made of settings, as it is now. */
export interface Part<T> {
  readonly current: T
}

export interface Live extends AsyncDisposable {
  /** The settings as they are at each look; whoever keeps a copy keeps what was. */
  readonly config: Readonly<Config>
  /** Made now, and made anew at each change. What it replaces is disposed of. */
  part<T>(build: (config: Config) => T | Promise<T>): Promise<Part<T>>
  /** From now on told of each change; must not throw. */
  follow(take: (config: Config) => void): void
  /** Rejects with what the building of a part threw; nothing has changed then. */
  change(next: Config): Promise<void>
}

interface Slot {
  /** Makes the new one, without putting it to use. */
  prepare(next: Config): Promise<Prepared>
  dispose(): Promise<void>
}

interface Prepared {
  /** Puts it to use; returns what disposes of the old one. */
  commit(): () => Promise<void>
  discard(): Promise<void>
}

export function createLive({ logger }: { logger: Logger }, initial: Config): Live {
  let config = initial
  const slots: Slot[] = []
  const followers: ((config: Config) => void)[] = []
  const view = {}
  for (const name of Object.keys(settings)) {
    Object.defineProperty(view, name, { enumerable: true, get: () => config[name as keyof Config] })
  }

  async function dispose(part: unknown): Promise<void> {
    const { [Symbol.asyncDispose]: later, [Symbol.dispose]: atOnce } = (part ?? {}) as Partial<
      AsyncDisposable & Disposable
    >
    try {
      if (later) await later.call(part)
      else atOnce?.call(part)
    } catch (error) {
      logger.warn({ err: error }, 'what earlier settings had made could not be taken down')
    }
  }

  return {
    config: view as Config,
    async part(build) {
      let current = await build(config)
      slots.push({
        async prepare(next) {
          const made = await build(next)
          return {
            commit() {
              const old = current
              current = made
              return () => dispose(old)
            },
            discard: () => dispose(made),
          }
        },
        dispose: () => dispose(current),
      })
      return {
        get current() {
          return current
        },
      }
    },
    follow(take) {
      followers.push(take)
    },
    async change(next) {
      const prepared: Prepared[] = []
      try {
        for (const slot of slots) prepared.push(await slot.prepare(next))
      } catch (error) {
        for (const part of prepared) await part.discard()
        throw error
      }
      // Without a pause, so that no request sees one part of the change and not another.
      config = next
      const disposals = prepared.map(part => part.commit())
      for (const take of followers) take(next)
      for (const disposeOld of disposals) await disposeOld()
    },
    async [Symbol.asyncDispose]() {
      for (const slot of slots.reverse()) await slot.dispose()
    },
  }
}
