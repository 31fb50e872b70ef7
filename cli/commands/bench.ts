/** `qis bench`: which figures can be measured here, and measuring them. */
import { nearestName } from '../../proxy/config/nearest-name.ts'
import { runScript, scriptsOf } from '../checkout.ts'
import { type Command, UsageError } from '../command.ts'

const PREFIX = 'bench:'

export const bench: Command = {
  name: 'bench',
  summary: 'list the benches, or run one',
  usage: `Usage: qis bench [--json]
       qis bench NAME [OPTIONS OF THE BENCH]

Without a name, lists the benches; docs/performance.md and docs/scaling.md say what they have found. With one, runs it,
with whatever options follow; most take --json. Needs a checkout, and a machine that does nothing else meanwhile.
`,
  async run([name, ...args], { out, signal }) {
    const scripts = scriptsOf(/^bench:/).map(script => ({ ...script, name: script.name.slice(PREFIX.length) }))
    const names = scripts.map(script => script.name)
    if (name === undefined || name === '--json') {
      if (args.length > 0) throw new UsageError('the name of a bench comes before its options')
      out.write(name === '--json' ? `${JSON.stringify(names)}\n` : `${names.join('\n')}\n`)
      return 0
    }
    const script = scripts.find(one => one.name === name)
    if (script) return runScript(script, args, signal)
    const nearest = nearestName(name, names)
    const hint = nearest === undefined ? `there are ${names.join(', ')}` : `did you mean ${nearest}?`
    throw new UsageError(`there is no bench ${name}; ${hint}`)
  },
}
