/** `qis space inspect`: what a space is made of. */
import { parseArgs } from 'node:util'
import { spaceFolder } from '../../proxy/embedding.ts'
import type { CommandIo } from '../command.ts'
import { readChoice } from './choice.ts'
import { survey, surveyText } from './survey.ts'

export async function inspect(args: readonly string[], { out, env }: CommandIo): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { json: { type: 'boolean', default: false } },
  })
  const spaces = positionals.length > 0 ? positionals : [undefined]
  for (const space of spaces) {
    const seen = await survey(spaceFolder(readChoice(env, { space })))
    out.write(values.json ? `${JSON.stringify(seen)}\n` : surveyText(seen))
  }
  return 0
}
