/** The feedback endpoints as their callers see them, for the API's description; reading.ts is what decides. */
import { correctionTypes } from '../../router/outcome.ts'
import { described } from '../openapi.ts'
import { sources } from './opinion.ts'
import { FILTERS } from './view.ts'
import { MAX_ID_CHARS, MAX_TEXT_CHARS } from './words.ts'

const id = { type: 'string', minLength: 1, maxLength: MAX_ID_CHARS }
const text = { type: 'string', minLength: 1, maxLength: MAX_TEXT_CHARS }
const whole = { type: 'integer', minimum: 0 }
const FEEDBACK_ID = {
  type: 'object',
  properties: {
    id: { type: 'string', pattern: '^[A-Za-z0-9_-]{1,100}$', description: 'as POST /qis/feedback gave it' },
  },
}

/** Our own names; those of other systems are taken as well, and docs/feedback.md explains all. */
const said = {
  rating: { enum: ['up', 'down', null] },
  score: { type: 'number', minimum: 0, maximum: 1 },
  correction: {
    oneOf: [
      text,
      {
        type: 'object',
        properties: { type: { enum: correctionTypes }, text },
        required: ['type'],
        additionalProperties: false,
      },
    ],
  },
  comment: text,
  tags: { type: 'array', maxItems: 16, items: { type: 'string', minLength: 1, maxLength: 64 } },
}
const target = { request_id: id, completion_id: id, receipt: { type: 'string', minLength: 1, maxLength: 2_048 } }
const anyOf = (fields: object) => ({ anyOf: Object.keys(fields).map(name => ({ required: [name] })) })
const { tags, ...words } = said

const one = {
  type: 'object',
  allOf: [anyOf(words), { oneOf: Object.keys(target).map(name => ({ required: [name] })) }],
  properties: { ...said, ...target, source: { enum: ['user', 'app', 'evaluator'] }, idempotency_key: id },
  additionalProperties: false,
}
const result = {
  type: 'object',
  required: ['feedback_id', 'status'],
  properties: {
    feedback_id: { type: 'string' },
    status: { enum: ['accepted', 'updated', 'revoked', 'duplicate', 'pending'] },
  },
}
const refusal = {
  type: 'object',
  required: ['status', 'error'],
  properties: { status: { const: 'error' }, error: { type: 'object', required: ['code', 'message', 'field'] } },
}
const shown = {
  type: 'object',
  required: ['feedback_id', 'source', 'state', 'rating', 'verdict', 'signal', 'created_at', 'updated_at', 'history'],
  properties: { source: { enum: sources }, created_at: whole, updated_at: whole, history: { type: 'array' } },
}

export const describedFeedback = {
  give: described({
    summary: 'Says of one answer, or of many, how good it was',
    body: { oneOf: [one, { type: 'array', minItems: 1, maxItems: 1_000, items: one }] },
    response: {
      202: { description: 'of one', ...result },
      207: {
        description: 'of many, in their order',
        type: 'object',
        properties: { results: { type: 'array', items: { anyOf: [result, refusal] } } },
      },
    },
  }),
  show: described({ summary: 'What was said', params: FEEDBACK_ID, response: { 200: shown } }),
  change: described({
    summary: 'Says something else instead',
    params: FEEDBACK_ID,
    body: { type: 'object', ...anyOf(words), properties: said, additionalProperties: false },
    response: { 200: shown },
  }),
  withdraw: described({
    summary: 'Takes it back and forgets its texts',
    params: FEEDBACK_ID,
    response: { 200: result },
  }),
  list: described({
    summary: 'All feedback, newest first',
    querystring: {
      type: 'object',
      properties: {
        ...Object.fromEntries(FILTERS.map(name => [name, { type: 'string', minLength: 1 }])),
        limit: { type: 'integer', minimum: 1, maximum: 500 },
        since: { ...whole, maximum: 999_999_999_999, description: 'Unix seconds, or a date as ISO 8601 has it' },
        until: { ...whole, maximum: 999_999_999_999, description: 'Unix seconds, or a date as ISO 8601 has it' },
        rating: { enum: ['up', 'down', 'none', 'revoked'] },
        source: { enum: sources },
        state: { enum: ['kept', 'pending', 'expired'] },
      },
    },
    response: {
      200: {
        type: 'object',
        required: ['feedback', 'next_cursor'],
        properties: { feedback: { type: 'array', items: shown }, next_cursor: { type: ['string', 'null'] } },
      },
    },
  }),
}
