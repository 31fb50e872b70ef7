/** `qis feedback`: says how an answer was, and looks at what was said, through the running sidecar. */

import { nearestName } from '../../proxy/config/nearest-name.ts'
import { type Command, type CommandIo, UsageError } from '../command.ts'
import { openRemote } from '../remote.ts'
import { columns } from '../words.ts'

interface Shown {
  feedback_id: string
  request_id: string | null
  verdict: string
  source: string
  state: string
  domain: string | null
  model: string | null
  created_at: number
}

const JSON_OPTION = { json: { type: 'boolean', default: false } } as const
const SHOWN = 20

const parts: Record<string, (args: readonly string[], io: CommandIo) => Promise<number>> = {
  give,
  list,
  show,
  withdraw,
}

export const feedback: Command = {
  name: 'feedback',
  summary: 'say how an answer was, look at what was said, take it back',
  usage: `Usage: qis feedback give ANSWER [--rating up|down|none] [--score 0..1] [--correction TYPE] … [--json]
       qis feedback list [--limit N] [--rating R] [--domain D] [--model M] [--json]
       qis feedback show ID [--json]
       qis feedback withdraw ID [--json]

ANSWER is what came with it: the header x-qis-request-id or x-qis-receipt, or the id of the completion. ID is what
giving feedback has answered. docs/feedback.md says what all of it means. Settings can be given as flags, as
--data-listen and --admin-listen.

Options of give:
  --rating up|down|none   none takes back what was said before
  --score 0..1            in place of a rating, or beside it
  --correction TYPE       factual, reasoning, format, safety or other
  --text TEXT             what the correction says; it stays on this machine
  --comment TEXT          stays on this machine as well
  --source user|app|evaluator
`,
  async run([name = '', ...args], io) {
    const part = Object.hasOwn(parts, name) ? parts[name] : undefined
    if (part) return part(args, io)
    const nearest = nearestName(name, Object.keys(parts))
    const needs = `feedback needs one of ${Object.keys(parts).join(', ')}`
    throw new UsageError(nearest === undefined ? needs : `${needs}; did you mean ${nearest}?`)
  },
}

async function give(args: readonly string[], { out, env, signal }: CommandIo): Promise<number> {
  const options = {
    ...JSON_OPTION,
    rating: { type: 'string' },
    score: { type: 'string' },
    correction: { type: 'string' },
    text: { type: 'string' },
    comment: { type: 'string' },
    source: { type: 'string' },
  } as const
  const { remote, values, positionals } = openRemote(args, env, options, true)
  const { rating, score, correction, text, comment, source } = values
  if (text !== undefined && correction === undefined) throw new UsageError('--text belongs to --correction')
  const body = {
    ...answerOf(one(positionals, 'give needs one answer: a request id, a receipt or the id of a completion')),
    ...(rating !== undefined && { rating: rating === 'none' ? null : rating }),
    ...(score !== undefined && { score: Number(score) }),
    ...(correction !== undefined && { correction: { type: correction, ...(text !== undefined && { text }) } }),
    ...(comment !== undefined && { comment }),
    ...(source !== undefined && { source }),
  }
  if (rating === undefined && score === undefined && correction === undefined && comment === undefined) {
    throw new UsageError('give needs --rating, --score, --correction or --comment')
  }
  const taken = (await remote.ask('data', '/qis/feedback', signal, body)) as { feedback_id: string; status: string }
  out.write(values.json ? `${JSON.stringify(taken)}\n` : `${taken.status}: ${taken.feedback_id}\n`)
  return 0
}

/** Ours begin alike, receipts are long, and the rest was made by the LLM server. */
function answerOf(name: string): object {
  if (/^qis-/.test(name)) return { request_id: name }
  return name.length > 120 ? { receipt: name } : { completion_id: name }
}

async function list(args: readonly string[], { out, env, signal }: CommandIo): Promise<number> {
  const filters = ['rating', 'domain', 'model', 'source', 'state', 'since', 'until'] as const
  const filterOptions = Object.fromEntries(filters.map(name => [name, { type: 'string' }])) as Record<
    (typeof filters)[number],
    { type: 'string' }
  >
  const { remote, values } = openRemote(args, env, { ...JSON_OPTION, ...filterOptions, limit: { type: 'string' } })
  const query = new URLSearchParams({ limit: values.limit ?? String(SHOWN) })
  for (const name of filters) if (values[name] !== undefined) query.set(name, values[name])
  const { feedback } = (await remote.ask('admin', `/qis/feedback?${query}`, signal)) as { feedback: Shown[] }
  if (values.json) {
    for (const one of feedback) out.write(`${JSON.stringify(one)}\n`)
    return 0
  }
  const rows = feedback.map(({ feedback_id, verdict, source, state, domain, model, created_at, request_id }) => [
    new Date(created_at * 1000).toISOString().slice(0, 19),
    verdict,
    source,
    state,
    domain ?? '-',
    model ?? '-',
    feedback_id,
    request_id ?? '-',
  ])
  out.write(columns(['TIME', 'VERDICT', 'SOURCE', 'STATE', 'DOMAIN', 'MODEL', 'ID', 'ANSWER'], rows))
  if (rows.length === 0) out.write('there is none\n')
  return 0
}

async function show(args: readonly string[], io: CommandIo): Promise<number> {
  return touch(args, io, 'GET')
}

async function withdraw(args: readonly string[], io: CommandIo): Promise<number> {
  return touch(args, io, 'DELETE')
}

async function touch(args: readonly string[], { out, env, signal }: CommandIo, method: string): Promise<number> {
  const { remote, values, positionals } = openRemote(args, env, JSON_OPTION, true)
  const id = one(positionals, 'it needs the id of one feedback')
  const told = await remote.ask('admin', `/qis/feedback/${encodeURIComponent(id)}`, signal, undefined, method)
  out.write(`${JSON.stringify(told, undefined, values.json ? undefined : 2)}\n`)
  return 0
}

function one([first, ...more]: readonly string[], needed: string): string {
  if (first === undefined || more.length > 0) throw new UsageError(needed)
  return first
}
