/** `qis space verify`: whether the files of spaces are the ones that their manifests pin by hash. */
import { parseArgs } from 'node:util'
import { shippedSpaces, spaceFolder } from '../../proxy/embedding.ts'
import { loadSpace, SpaceInvalidError } from '../../router/space.ts'
import type { CommandIo } from '../command.ts'
import { readChoice } from './choice.ts'

interface Verdict {
  folder: string
  valid: boolean
  /** Of a valid space. */
  id?: string
  /** Which file is wrong, and how. */
  fault?: string
}

export async function verify(args: readonly string[], { out, env }: CommandIo): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { json: { type: 'boolean', default: false } },
  })
  const folders =
    positionals.length > 0 ? positionals.map(space => spaceFolder(readChoice(env, { space }))) : shippedSpaces()
  const verdicts = await Promise.all(folders.map(judge))
  for (const verdict of verdicts) {
    const text = verdict.valid ? `valid    ${verdict.folder}, id ${verdict.id}` : `INVALID  ${verdict.fault}`
    out.write(`${values.json ? JSON.stringify(verdict) : text}\n`)
  }
  return verdicts.every(({ valid }) => valid) ? 0 : 1
}

async function judge(folder: string): Promise<Verdict> {
  try {
    return { folder, valid: true, id: (await loadSpace(folder)).id }
  } catch (error) {
    if (error instanceof SpaceInvalidError) return { folder, valid: false, fault: error.message }
    throw error
  }
}
