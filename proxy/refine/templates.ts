/** The instructions that may be added to a prompt: one for each type of correction, ours or the operator's, never a peer's. */
import { type Static, Type } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import type { CorrectionType } from '../../router/outcome.ts'
import { checkedAgainst, readYamlFile } from '../yaml-file.ts'

export type Templates = Readonly<Record<CorrectionType, string>>

const BUILT_IN: Templates = {
  factual:
    'Answers to questions like this one have had wrong facts in them. Check every name, number, date and claim before you state it, leave out what you cannot be sure of, and say plainly where you are not sure.',
  reasoning:
    'Answers to questions like this one have gone wrong in their reasoning. Work through it step by step, check each step against the question, and give the result only when the steps agree.',
  format:
    'Answers to questions like this one have not had the form that was asked for. Keep exactly to the requested format, length and language, and add nothing that was not asked for.',
  safety:
    'Answers to questions like this one have been found unsafe. Name the risks that matter here, give no instruction that could do harm without them, and say when a qualified person should be asked.',
  other:
    'Answers to questions like this one have often missed what was meant. Read the question again, answer exactly what it asks, and say what you have assumed.',
}

const Text = Type.Optional(
  Type.String({ minLength: 1, maxLength: 4_000, description: 'must be an instruction of 1 to 4000 characters' }),
)
const File = Type.Object(
  { factual: Text, reasoning: Text, format: Text, safety: Text, other: Text },
  {
    additionalProperties: false,
    description: 'must hold instructions for factual, reasoning, format, safety or other, and nothing else',
  },
)
const fileCheck = TypeCompiler.Compile(File)

/**
 * @param file those in it take the place of ours
 * @throws {ConfigInvalidError} naming the file and the field that is not as it must be
 */
export async function readTemplates(file: string | undefined): Promise<Templates> {
  if (file === undefined) return BUILT_IN
  const own: Static<typeof File> = checkedAgainst(
    fileCheck,
    await readYamlFile('QIS_REFINE_TEMPLATES', file),
    `QIS_REFINE_TEMPLATES: ${file}`,
  )
  return { ...BUILT_IN, ...own }
}
