/** Bodies as other systems' clients send them, from their own documentation; `$ID` stands for the id of the answer. */

export interface Dialect {
  system: string
  /** As the system's own documentation has it. */
  body: object
  /** Where the system names the answer in its URL. */
  query?: string
  /** What is kept of it. */
  kept: object
  /** 0..1, as the router learns it; undefined where nothing was said of how good the answer was. */
  signal: number | undefined
  /** It can only come from an evaluator. */
  evaluator?: true
}

export const dialects: Dialect[] = [
  {
    system: 'TensorZero, a boolean metric',
    body: { inference_id: '$ID', metric_name: 'task_success', value: true },
    kept: { scores: { task_success: 1 } },
    signal: 1,
  },
  {
    system: 'TensorZero, a float metric',
    body: { inference_id: '$ID', metric_name: 'haiku_score', value: 0.25, tags: { user_id: '123' }, dryrun: false },
    kept: { scores: { haiku_score: 0.25 } },
    signal: 0.25,
  },
  {
    system: 'TensorZero, a comment',
    body: { inference_id: '$ID', metric_name: 'comment', value: 'too vague' },
    kept: { comment: 'too vague' },
    signal: undefined,
  },
  {
    system: 'TensorZero, a demonstration',
    body: { inference_id: '$ID', metric_name: 'demonstration', value: 'The capital is Canberra.' },
    kept: { correction: { type: 'factual', classified: true, chars: 24 } },
    signal: 0,
  },
  {
    system: 'Langfuse, a numeric score',
    body: {
      id: 'score-1',
      traceId: '$ID',
      name: 'user-satisfaction',
      value: 0.9,
      dataType: 'NUMERIC',
      comment: 'User was happy with the overall result.',
      environment: 'production',
      metadata: { session: 7 },
    },
    kept: { scores: { 'user-satisfaction': 0.9 }, comment: 'User was happy with the overall result.' },
    signal: 0.9,
  },
  {
    system: 'Langfuse, a boolean score on an observation',
    body: { traceId: 'cdef-1234', observationId: '$ID', name: 'helpfulness', value: 1, dataType: 'BOOLEAN' },
    kept: { scores: { helpfulness: 1 } },
    signal: 1,
  },
  {
    system: 'Langfuse, a categorical score',
    body: { traceId: '$ID', name: 'correctness', value: 'incorrect', dataType: 'CATEGORICAL' },
    kept: { scores: { correctness: 0 } },
    signal: 0,
  },
  {
    system: 'LangSmith, a score',
    body: {
      id: '1c3f0a7e-0d8c-4c54-9d0f-1f6f3a3f8a11',
      run_id: '$ID',
      trace_id: 'cdef-1234',
      key: 'correctness',
      score: 0.75,
      value: 'mostly right',
      comment: 'cites its source',
      feedback_source: { type: 'api', metadata: {} },
      created_at: '2025-06-01T12:00:00Z',
      correction: null,
      session_id: null,
    },
    kept: { scores: { correctness: 0.75 }, comment: 'cites its source' },
    signal: 0.75,
  },
  {
    system: 'LangSmith, a correction',
    body: { run_id: '$ID', key: 'user_edit', correction: { answer: 'use a table' }, score: null },
    kept: { correction: { type: 'format', classified: true, chars: 24 } },
    signal: 0,
  },
  {
    system: "LangSmith, a model's score",
    body: { run_id: '$ID', key: 'conciseness', score: true, feedback_source: { type: 'model' } },
    kept: { scores: { conciseness: 1 } },
    signal: 1,
    evaluator: true,
  },
  {
    system: 'Helicone',
    body: { rating: false },
    query: 'helicone_id=$ID',
    kept: { rating: 'down' },
    signal: 0,
  },
  {
    system: 'Helicone, the id in the body',
    body: { 'helicone-id': '$ID', rating: true },
    kept: { rating: 'up' },
    signal: 1,
  },
  {
    system: 'Dify',
    body: { rating: 'like', user: 'abc-123', content: 'message feedback information' },
    query: 'message_id=$ID',
    kept: { rating: 'up', comment: 'message feedback information' },
    signal: 1,
  },
  {
    system: 'Dify, taken back',
    body: { rating: null, user: 'abc-123' },
    query: 'message_id=$ID',
    kept: { rating: null },
    signal: undefined,
  },
  {
    system: 'Open WebUI',
    body: {
      type: 'rating',
      data: {
        rating: -1,
        model_id: 'llama3.2',
        sibling_model_ids: null,
        reason: 'not_factually_correct',
        comment: '',
        tags: ['medicine'],
        details: { rating: 1 },
      },
      meta: { arena: false, chat_id: 'c-1', message_id: '$ID', message_index: 2, tags: ['medicine'] },
      snapshot: { chat: { title: 'a chat', messages: [{ role: 'user', content: 'the question' }] } },
    },
    kept: { rating: 'down', score: 0, tags: ['medicine'] },
    signal: 0,
  },
  {
    system: 'a thumb',
    body: { completion_id: '$ID', thumbsUp: true },
    kept: { rating: 'up' },
    signal: 1,
  },
  {
    system: 'a verdict with the answer that was wanted',
    body: { response_id: '$ID', good_response: false, desired_response: 'Nobody knows.' },
    kept: { rating: 'down', correction: { type: 'other', classified: true, chars: 13 } },
    signal: 0,
  },
]
