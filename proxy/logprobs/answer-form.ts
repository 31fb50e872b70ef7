/** Whether logprobs can be taken out of an answer, by its head, and how it is told that it has become shorter. */
import { type AnswerKind, answerKind } from '../observe/readers.ts'
import type { AnswerHead } from '../upstream/client.ts'

/**
 * Undefined for what is passed on as it is: errors, compressed answers, other types, streams of a length told before, and
 * what may be a stream under the name of a document.
 *
 * @param streamed whether a stream was asked for
 */
export function formOf({ status, headers }: AnswerHead, streamed: boolean): AnswerKind | undefined {
  if (status !== 200) return undefined
  let kind: AnswerKind | undefined
  let lengths = 0
  for (let at = 0; at + 1 < headers.length; at += 2) {
    const value = (headers[at + 1] as Buffer).toString('latin1')
    const name = nameAt(headers, at)
    if (name === 'content-type') kind ??= answerKind(value)
    else if (name === 'content-encoding' && value.trim().toLowerCase() !== 'identity') return undefined
    else if (name === 'content-length') lengths++
  }
  if (kind === 'events') return lengths === 0 ? kind : undefined
  return kind === 'document' && (lengths === 1 || (lengths === 0 && !streamed)) ? kind : undefined
}

export function withAnswerLength(head: AnswerHead, length: number): AnswerHead {
  const headers = head.headers.map((value, at) =>
    at % 2 === 1 && nameAt(head.headers, at - 1) === 'content-length' ? Buffer.from(String(length)) : value,
  )
  return { ...head, headers }
}

function nameAt(headers: readonly Buffer[], at: number): string {
  return (headers[at] as Buffer).toString('latin1').toLowerCase()
}
