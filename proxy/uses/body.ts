/** Checks the bodies of our own endpoints against their schemas; the error names the field at fault. */
import type { Static, TSchema } from '@sinclair/typebox'
import type { TypeCheck } from '@sinclair/typebox/compiler'
import { HttpError } from '../errors.ts'
import { spelt } from '../yaml-file.ts'

/**
 * @param check of a schema whose descriptions say what each field must be
 * @throws {HttpError} invalid_field
 */
export function checkedBody<T extends TSchema>(check: TypeCheck<T>, body: unknown): Static<T> {
  if (check.Check(body)) return body
  const fault = check.Errors(body).First()
  const field = fault && fault.path !== '' ? spelt(fault.path) : undefined
  const message = `${field ?? 'the body'} ${fault?.schema.description ?? 'is not valid'}`
  throw new HttpError('invalid_field', message, field === undefined ? {} : { field })
}
