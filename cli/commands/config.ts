/** `qis config`: the settings, from wherever they were said: checked, shown, described for editors. */
import { parseArgs } from 'node:util'
import { readFlags } from '../../proxy/config/flags.ts'
import { nearestName } from '../../proxy/config/nearest-name.ts'
import { isSecret, keyOf, withoutCredentials } from '../../proxy/config/read.ts'
import { fileSchema } from '../../proxy/config/schema.ts'
import {
  configOf,
  environmentVariables,
  readSettings,
  type Settings,
  settings as table,
  unknownVariables,
} from '../../proxy/config.ts'
import { type Command, type CommandIo, UsageError } from '../command.ts'

const JSON_OPTION = { json: { type: 'boolean', default: false } } as const
const HIDDEN = '(hidden)'
const MAX_SHOWN_CHARS = 60

const parts: Record<string, (args: readonly string[], io: CommandIo) => Promise<number>> = { check, show, schema }

export const config: Command = {
  name: 'config',
  summary: 'check the settings, show where each comes from, describe them for editors',
  usage: `Usage: qis config check [--json] [FLAGS]
       qis config show [--set] [--json] [FLAGS]
       qis config schema

Settings come from environment variables (QIS_DATA_LISTEN), from the file qis.config.yaml or the one that QIS_CONFIG
names (data_listen), and from the flags of qis start (--data-listen), which may be given here too; the later are the
stronger.

check   says what is wrong with them, with file, line and key, and with the files that they name; exit code 1 if
        anything is.
show    lists them with where each was said; secrets are hidden.
schema  prints a JSON schema of the file, by which editors complete and check it.

Options:
  --set    only those that are set, and not by default
  --json   check: {"ok", "file", "faults", "warnings"}; show: one object a line
`,
  async run([name = '', ...args], io) {
    const part = Object.hasOwn(parts, name) ? parts[name] : undefined
    if (part) return part(args, io)
    const nearest = nearestName(name, Object.keys(parts))
    const needs = `config needs one of ${Object.keys(parts).join(', ')}`
    throw new UsageError(nearest === undefined ? needs : `${needs}; did you mean ${nearest}?`)
  },
}

async function check(args: readonly string[], { out, env }: CommandIo): Promise<number> {
  const { flags, values } = readFlags(table, args, JSON_OPTION)
  const settings = readSettings(env, flags)
  const faults = settings.faults.length > 0 ? settings.faults : await faultsOfFiles(settings)
  const warnings = unknownVariables(env).map(name => {
    const nearest = nearestName(name, environmentVariables)
    return `${name} is no setting, and has no effect${nearest === undefined ? '' : `; did you mean ${nearest}?`}`
  })
  const ok = faults.length === 0
  if (values.json) {
    out.write(`${JSON.stringify({ ok, file: settings.file ?? null, faults, warnings })}\n`)
    return ok ? 0 : 1
  }
  for (const fault of faults) out.write(`${fault}\n`)
  for (const warning of warnings) out.write(`warning: ${warning}\n`)
  if (ok)
    out.write(`${settings.file ?? 'no file'}; ${countSet(settings)} settings are set, and all are as they must be\n`)
  return ok ? 0 : 1
}

/** Of the files that the settings name, one fault each. */
async function faultsOfFiles(settings: Settings): Promise<string[]> {
  const config = configOf(settings)
  const { readDomainRules } = await import('../../proxy/domain/rules.ts')
  const { readPolicies } = await import('../../proxy/routing/policies.ts')
  const { readTemplates } = await import('../../proxy/refine/templates.ts')
  const readings = await Promise.allSettled([
    config.domainsFile === undefined ? undefined : readDomainRules(config.domainsFile),
    config.route.length > 0 ? readPolicies(config) : undefined,
    readTemplates(config.refineTemplates),
  ])
  return readings.filter(({ status }) => status === 'rejected').map(reading => messageOf(reading))
}

function messageOf(reading: PromiseSettledResult<unknown>): string {
  const { reason } = reading as PromiseRejectedResult
  if (reason instanceof Error && 'code' in reason) return reason.message
  throw reason
}

function countSet({ given }: Settings): number {
  return Object.values(given).filter(({ from }) => from !== 'default').length
}

async function show(args: readonly string[], { out, env }: CommandIo): Promise<number> {
  const { flags, values } = readFlags(table, args, { ...JSON_OPTION, set: { type: 'boolean', default: false } })
  const settings = readSettings(env, flags)
  configOf(settings)
  const rows = Object.entries(table).flatMap(([id, variable]) => {
    const given = settings.given[id]
    if (given === undefined || (values.set && given.from === 'default')) return []
    const { text, from, place } = given
    const value = text === undefined ? null : isSecret(variable) ? HIDDEN : withoutCredentials(text)
    return [{ key: keyOf(variable), value, from, place: from === 'default' ? 'default' : place }]
  })
  if (values.json) {
    for (const row of rows) out.write(`${JSON.stringify(row)}\n`)
    return 0
  }
  const width = Math.max(...rows.map(({ key }) => key.length))
  for (const { key, value, place } of rows) {
    out.write(`${key.padEnd(width)}  ${shown(value).padEnd(24)}  ${place.replace(`: ${key}`, '')}\n`)
  }
  return 0
}

function shown(value: string | null): string {
  if (value === null) return '-'
  return value.length > MAX_SHOWN_CHARS ? `${value.slice(0, MAX_SHOWN_CHARS)}…` : value
}

async function schema(args: readonly string[], { out }: CommandIo): Promise<number> {
  parseArgs({ args: [...args], options: {} })
  out.write(`${JSON.stringify(fileSchema(table), undefined, 2)}\n`)
  return 0
}
