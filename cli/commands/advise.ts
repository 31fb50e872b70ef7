/** `qis advise`: what a running sidecar knows of a question, before any model is asked. */
import type { Command } from '../command.ts'
import { UsageError } from '../command.ts'
import { openRemote } from '../remote.ts'
import { columns, counted } from '../words.ts'

interface Advice {
  domain: string
  domain_source: string
  fingerprint: string
  models: {
    model: string
    confidence: number | null
    adjustment: number
    evidence: string
    packets: number
    peers: number
    why: { this_model: { outcomes: number }; other_models: { outcomes: number } }
    would_change: { after_one_good: number; after_one_bad: number }
  }[]
}

export const advise: Command = {
  name: 'advise',
  summary: 'say what is known of a question, without asking any model',
  usage: `Usage: qis advise "TEXT" [--model NAME]… [--domain NAME] [--json] [FLAGS]

Asks the running sidecar what is to be expected of the models' answers to a question like TEXT, and why. No model is
asked, nothing leaves, and the swarm does not hear of it. Settings can be given as flags, as --data-listen.

Options:
  --model NAME    of which models; those of QIS_ROUTE unless given
  --domain NAME   the question's domain, where the sidecar cannot tell
  --json          all of it as JSON, as POST /qis/advise answers
`,
  async run(args, { out, env, signal }) {
    const options = {
      model: { type: 'string', multiple: true },
      domain: { type: 'string' },
      json: { type: 'boolean', default: false },
    } as const
    const { remote, values, positionals } = openRemote(args, env, options, true)
    const [text, ...more] = positionals
    if (text === undefined || more.length > 0) throw new UsageError('advise needs one text, in quotes')
    const { model: models, domain } = values
    const body = { text, ...(models && { models }), ...(domain !== undefined && { domain }) }
    const advice = (await remote.ask('data', '/qis/advise', signal, body)) as Advice
    out.write(values.json ? `${JSON.stringify(advice)}\n` : describe(advice))
    return 0
  },
}

function describe({ domain, domain_source, fingerprint, models }: Advice): string {
  const rows = models.map(({ model, confidence, evidence, adjustment, packets, peers, why, would_change }) => [
    model,
    confidence === null ? '-' : confidence.toFixed(2),
    evidence,
    adjustment.toFixed(2),
    String(why.this_model.outcomes),
    `${packets} of ${counted(peers, 'peer')}`,
    `${would_change.after_one_good.toFixed(2)} / ${would_change.after_one_bad.toFixed(2)}`,
  ])
  const headings = ['MODEL', 'CONFIDENCE', 'EVIDENCE', 'BY PEERS', 'OUTCOMES NEAR', 'PACKETS', 'AFTER A GOOD / BAD ONE']
  return `domain ${domain} (${domain_source}), fingerprint ${fingerprint}\n${columns(headings, rows)}`
}
