/** `qis ledger`: every packet that ever left, for the privacy officer to read, to check, and to try out beforehand. */
import { parseArgs } from 'node:util'
import { type Command, UsageError } from '../command.ts'
import { DRY_RUN_OPTIONS } from '../ledger/options.ts'

export const ledger: Command = {
  name: 'ledger',
  summary: 'show every packet that left, check that none was hidden, or try what would leave',
  usage: `Usage: qis ledger [--limit N] [--json]
       qis ledger --verify [--noted SEQ:HASH] [--json]
       qis ledger --dry-run "TEXT" [--rating up|down] [--json] …

Shows the packets that left, the last ones last: when, under which topic, to how many peers, on account of which request
and feedback, and what they said. Reads the database in QIS_DATA; the sidecar may run meanwhile, and need not.

--verify recomputes the hash of every entry, which covers the entry before it. Exit code 1 when one was changed, removed
or put elsewhere. It prints the end of the chain: note it where this machine cannot reach, and give it as --noted later,
since whoever may write the file could write all of it anew.

--dry-run prints what would leave if an answer to TEXT were rated, under each profile and with the domains that the
settings share, without sending or keeping anything.

Options:
  --limit N             so many of the last entries (20); with --json all, unless it is given
  --json                one JSON object a line, with the packet's bytes in hex
  --rating up|down      for --dry-run (down), or --score 0..1
  --domain, --model, --correction TYPE, --strategy, --self-confidence 0..1
                        for --dry-run: what else would be known of the answer
  --embedder, --embedder-model, --space
                        for --dry-run, in place of QIS_EMBEDDER, QIS_EMBEDDER_MODEL and QIS_SPACE
`,
  async run(args, io) {
    const { values } = parseArgs({
      args: [...args],
      options: {
        limit: { type: 'string' },
        json: { type: 'boolean', default: false },
        verify: { type: 'boolean', default: false },
        noted: { type: 'string' },
        'dry-run': { type: 'string' },
        ...DRY_RUN_OPTIONS,
      },
    })
    const { 'dry-run': text, verify, noted, limit, json } = values
    if (text !== undefined) return (await import('../ledger/dry-run.ts')).tryOut(text, values, io)
    if (verify) return (await import('../ledger/verify.ts')).verify({ noted, json }, io)
    if (noted !== undefined) throw new UsageError('--noted belongs to --verify')
    return (await import('../ledger/list.ts')).list({ limit, json }, io)
  },
}
