/** Calls from one thread to another and back, by messages; a signal reaches over, an error comes back as one. */
import type { MessagePort, Worker } from 'node:worker_threads'

type Port = Pick<MessagePort | Worker, 'postMessage' | 'on'>
export type Answering = Record<string, (signal: AbortSignal, ...args: never[]) => unknown>

type Message =
  | { call: string; id: number; args: unknown[] }
  | { abort: number; reason: Failure }
  | { done: number; result: unknown }
  | { failed: number; error: Failure }

interface Failure {
  name: string
  message: string
  code: string | undefined
}

export interface Calls {
  /** Rejects with what the other side threw, or with the signal's reason. */
  call(name: string, args: readonly unknown[], signal?: AbortSignal): Promise<unknown>
  /** The same where nobody waits for the end. */
  tell(name: string, args: readonly unknown[]): void
  /** Every call under way rejects with this, and every later one. */
  end(reason: Error): void
}

/** Calls to nobody in particular have this number. */
const TOLD = 0

/** @param revive makes an error of what has crossed */
export function createCalls(port: Port, answering: Answering, revive: (failure: Failure) => Error = plain): Calls {
  const waiting = new Map<number, PromiseWithResolvers<unknown>>()
  const serving = new Map<number, AbortController>()
  let lastId = TOLD
  let ended: Error | undefined

  async function serve({ call, id, args }: Extract<Message, { call: string }>): Promise<void> {
    const controller = new AbortController()
    if (id !== TOLD) serving.set(id, controller)
    try {
      const result = await answering[call]?.(controller.signal, ...(args as never[]))
      if (id !== TOLD) port.postMessage({ done: id, result } satisfies Message)
    } catch (error) {
      if (id !== TOLD) port.postMessage({ failed: id, error: describe(error) } satisfies Message)
    } finally {
      serving.delete(id)
    }
  }

  function settle(id: number): PromiseWithResolvers<unknown> | undefined {
    const answer = waiting.get(id)
    waiting.delete(id)
    return answer
  }

  port.on('message', (message: Message) => {
    if ('call' in message) void serve(message)
    else if ('abort' in message) serving.get(message.abort)?.abort(revive(message.reason))
    else if ('done' in message) settle(message.done)?.resolve(message.result)
    else settle(message.failed)?.reject(revive(message.error))
  })

  return {
    async call(name, args, signal) {
      signal?.throwIfAborted()
      if (ended) throw ended
      lastId += 1
      const id = lastId
      const answer = Promise.withResolvers<unknown>()
      waiting.set(id, answer)
      port.postMessage({ call: name, id, args: [...args] } satisfies Message)
      const onAbort = () => {
        port.postMessage({ abort: id, reason: describe(signal?.reason) } satisfies Message)
        settle(id)?.reject(signal?.reason)
      }
      signal?.addEventListener('abort', onAbort, { once: true })
      try {
        return await answer.promise
      } finally {
        signal?.removeEventListener('abort', onAbort)
      }
    },
    tell(name, args) {
      if (!ended) port.postMessage({ call: name, id: TOLD, args: [...args] } satisfies Message)
    },
    end(reason) {
      ended ??= reason
      for (const answer of waiting.values()) answer.reject(reason)
      waiting.clear()
      for (const controller of serving.values()) controller.abort(reason)
    },
  }
}

function describe(error: unknown): Failure {
  if (!(error instanceof Error)) return { name: 'Error', message: String(error), code: undefined }
  const { code } = error as { code?: unknown }
  return { name: error.name, message: error.message, code: typeof code === 'string' ? code : undefined }
}

function plain({ name, message, code }: Failure): Error {
  return Object.assign(new Error(message), { name }, code === undefined ? {} : { code })
}
