/** The file of settings as a JSON schema, for editors; made of the same table that reads it. */
import { type TSchema, Type } from '@sinclair/typebox'
import { keyOf, type Table } from './read.ts'
import type { Variable } from './variable.ts'

export function fileSchema(table: Table): TSchema {
  const properties = Object.values(table).map(variable => [keyOf(variable), property(variable)] as const)
  return Type.Object(Object.fromEntries(properties), {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'qis.config.yaml',
    description: 'The settings of qis-sidecar. Flags are stronger, environment variables weaker.',
    additionalProperties: false,
  })
}

function property(variable: Variable<unknown>): TSchema {
  const { schema } = variable.parse
  const preset = variable.default === undefined ? undefined : native(variable.default, schema)
  return Type.Optional({
    ...schema,
    description: `${variable.help} (${variable.name})`,
    ...(preset !== undefined && { default: preset }),
  } as TSchema)
}

/** A default as it would stand in a file. */
function native(text: string, { type, anyOf = [] }: TSchema): unknown {
  if (type === 'integer' || type === 'number') return Number(text)
  const types = (anyOf as TSchema[]).map(choice => choice.type as string | undefined)
  if (types.includes('boolean')) return text === 'on'
  if (types.includes('number') && Number.isFinite(Number(text)) && text !== '') return Number(text)
  return types.includes('array') && text === '' ? [] : text
}
