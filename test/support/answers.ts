/** Answers as model servers send them, one for each API and way of sending, with what there is to be learnt from each. */
import type { Observation } from '../../proxy/observe-response.ts'

export type Facts = Omit<Observation, 'firstTokenAt' | 'lastTokenAt' | 'endedAt'>

export interface Answer {
  name: string
  type: string
  text: string
  facts: Facts
}

export const NOTHING: Facts = {
  result: 'complete',
  completionId: undefined,
  model: undefined,
  confidence: undefined,
  inputTokens: undefined,
  outputTokens: undefined,
  finishReason: undefined,
  toolCall: false,
  refused: false,
  failed: false,
  empty: false,
  cutShort: false,
  badJson: false,
  badToolCall: false,
}

export const JSON_TYPE = 'application/json'
export const SSE_TYPE = 'text/event-stream; charset=utf-8'
export const NDJSON_TYPE = 'application/x-ndjson'

const events = (...data: string[]) => data.map(one => `data: ${one}\n\n`).join('')
/** With the name that Anthropic and the Responses API give each event. */
const named = (...data: string[]) =>
  data.map(one => `event: ${(JSON.parse(one) as { type: string }).type}\ndata: ${one}\n\n`).join('')
const lines = (...data: string[]) => data.map(one => `${one}\n`).join('')
const mean = (...logprobs: number[]) => logprobs.reduce((sum, one) => sum + Math.exp(one), 0) / logprobs.length

function chunk(choice: string, rest = '') {
  return `{"id":"chatcmpl-b1a","object":"chat.completion.chunk","created":1735689600,"model":"llama-3.1-8b","choices":[${choice}]${rest}}`
}
const delta = (content: string, finish = 'null', logprobs = 'null') =>
  `{"index":0,"delta":${content},"logprobs":${logprobs},"finish_reason":${finish}}`
const said = (text: string) => delta(JSON.stringify({ content: text }))
const sure = (logprob: number) =>
  `{"content":[{"token":"x","logprob":${logprob},"bytes":[120],"top_logprobs":[{"token":"y","logprob":-9,"bytes":[121]}]}]}`

const CHAT = { ...NOTHING, completionId: 'chatcmpl-b1a', model: 'llama-3.1-8b' }
const RESPONSE_HEAD =
  '"id":"resp_67","object":"response","created_at":1,"error":null,"incomplete_details":null,"model":"gpt-oss-20b"'
const RESPONSE = { ...NOTHING, completionId: 'resp_67', model: 'gpt-oss-20b' }
const MESSAGE_HEAD = '"id":"msg_01","type":"message","role":"assistant","model":"claude-s"'
const MESSAGE = { ...NOTHING, completionId: 'msg_01', model: 'claude-s' }
const OLLAMA = { ...NOTHING, model: 'llama3.2' }
const TGI_TOKENS = [-0.5, -1.2]

export const answers: Answer[] = [
  {
    name: 'a chat completion',
    type: JSON_TYPE,
    text: `{"id":"chatcmpl-b1a","object":"chat.completion","created":1,"model":"llama-3.1-8b","choices":[{"index":0,"message":{"role":"assistant","content":"Grüße 🙂","refusal":null,"tool_calls":[]},"logprobs":{"content":[{"token":"Grüße","logprob":-0.25,"top_logprobs":[]},{"token":"🙂","logprob":-1,"top_logprobs":[]}]},"finish_reason":"stop","stop_reason":null}],"usage":{"prompt_tokens":4,"total_tokens":9,"completion_tokens":5},"prompt_logprobs":null,"kv_transfer_params":null}`,
    facts: {
      ...CHAT,
      confidence: mean(-0.25, -1),
      inputTokens: 4,
      outputTokens: 5,
      finishReason: 'stop',
    },
  },
  {
    name: 'a streamed chat with usage in a chunk without choices',
    type: SSE_TYPE,
    text: events(
      chunk(delta('{"role":"assistant","content":""}'), ',"usage":null'),
      ...['Gr', 'üße', ' 🙂'].map(text => chunk(said(text), ',"usage":null')),
      chunk(delta('{}', '"stop"'), ',"usage":null'),
      chunk('', ',"usage":{"prompt_tokens":4,"completion_tokens":3,"total_tokens":7}'),
      '[DONE]',
    ),
    facts: { ...CHAT, inputTokens: 4, outputTokens: 3, finishReason: 'stop' },
  },
  {
    name: 'a streamed chat of vLLM with logprobs and running usage in each chunk',
    type: SSE_TYPE,
    text: events(
      chunk(
        delta('{"role":"assistant","content":""}'),
        ',"usage":{"prompt_tokens":4,"total_tokens":4,"completion_tokens":0}',
      ),
      ...[-0.1, -0.7, -2].map((logprob, index) =>
        chunk(
          `{"index":0,"delta":{"content":"x"},"logprobs":${sure(logprob)},"finish_reason":null,"token_ids":null}`,
          `,"usage":{"prompt_tokens":4,"total_tokens":${5 + index},"completion_tokens":${1 + index}}`,
        ),
      ),
      chunk(
        '{"index":0,"delta":{"content":""},"logprobs":null,"finish_reason":"length","stop_reason":null}',
        ',"usage":{"prompt_tokens":4,"total_tokens":7,"completion_tokens":3}',
      ),
      '[DONE]',
    ),
    facts: {
      ...CHAT,
      confidence: mean(-0.1, -0.7, -2),
      inputTokens: 4,
      outputTokens: 3,
      finishReason: 'length',
      cutShort: true,
    },
  },
  {
    name: 'a streamed chat of Azure, whose first chunk has neither id nor model nor choices',
    type: SSE_TYPE,
    text: events(
      '{"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results":[{"prompt_index":0}]}',
      chunk(said('yes')),
      chunk(delta('{}', '"content_filter"')),
      '[DONE]',
    ),
    facts: { ...CHAT, finishReason: 'content_filter', refused: true },
  },
  {
    name: 'a streamed chat that reasons for long before it speaks',
    type: SSE_TYPE,
    text: events(
      ...Array.from({ length: 30 }, () => chunk(delta('{"reasoning_content":"hm"}'))),
      chunk(said('yes')),
      chunk(delta('{}', '"stop"')),
      '[DONE]',
    ),
    facts: { ...CHAT, finishReason: 'stop' },
  },
  {
    name: 'two streamed choices, of which the first counts',
    type: SSE_TYPE,
    text: events(
      chunk('{"index":1,"delta":{"content":"b"},"logprobs":{"content":[{"logprob":-5}]},"finish_reason":null}'),
      chunk(delta('{"content":"a"}', 'null', sure(-0.5))),
      chunk('{"index":1,"delta":{},"finish_reason":"length"}'),
      chunk(delta('{}', '"stop"')),
      '[DONE]',
    ),
    facts: { ...CHAT, confidence: mean(-0.5), finishReason: 'stop' },
  },
  {
    name: 'a streamed refusal',
    type: SSE_TYPE,
    text: events(
      chunk(delta('{"role":"assistant","content":null,"refusal":null}')),
      chunk(delta('{"refusal":"I cannot"}')),
      chunk(delta('{}', '"stop"')),
      '[DONE]',
    ),
    facts: { ...CHAT, finishReason: 'stop', refused: true },
  },
  {
    name: 'a text completion',
    type: JSON_TYPE,
    text: '{"id":"cmpl-1","object":"text_completion","created":1,"model":"m","choices":[{"index":0,"text":" Paris","logprobs":{"tokens":[" Paris","."],"token_logprobs":[null,-0.5],"text_offset":[0,6],"top_logprobs":null},"finish_reason":"length","prompt_logprobs":null}],"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}',
    facts: {
      ...NOTHING,
      completionId: 'cmpl-1',
      model: 'm',
      confidence: mean(-0.5),
      inputTokens: 5,
      outputTokens: 2,
      finishReason: 'length',
      cutShort: true,
    },
  },
  {
    name: 'a streamed text completion',
    type: SSE_TYPE,
    text: events(
      '{"id":"cmpl-1","object":"text_completion","model":"m","choices":[{"index":0,"text":" Pa","logprobs":{"token_logprobs":[-0.5]},"finish_reason":null}]}',
      '{"id":"cmpl-1","object":"text_completion","model":"m","choices":[{"index":0,"text":"ris","logprobs":{"token_logprobs":[-1]},"finish_reason":null}]}',
      '{"id":"cmpl-1","object":"text_completion","model":"m","choices":[{"index":0,"text":"","logprobs":null,"finish_reason":"stop"}]}',
      '[DONE]',
    ),
    facts: { ...NOTHING, completionId: 'cmpl-1', model: 'm', confidence: mean(-0.5, -1), finishReason: 'stop' },
  },
  {
    name: 'an answer of the Responses API',
    type: JSON_TYPE,
    text: `{${RESPONSE_HEAD},"status":"completed","output":[{"type":"reasoning","id":"rs_1","summary":[]},{"type":"message","id":"msg_1","status":"completed","role":"assistant","content":[{"type":"output_text","text":"yes","annotations":[],"logprobs":[{"token":"yes","logprob":-0.3}]}]}],"usage":{"input_tokens":9,"input_tokens_details":{"cached_tokens":8},"output_tokens":10,"total_tokens":19}}`,
    facts: { ...RESPONSE, confidence: mean(-0.3), inputTokens: 9, outputTokens: 10, finishReason: 'completed' },
  },
  {
    name: 'a streamed answer of the Responses API, cut short',
    type: SSE_TYPE,
    text: named(
      `{"type":"response.created","sequence_number":0,"response":{${RESPONSE_HEAD},"status":"in_progress","output":[],"usage":null}}`,
      `{"type":"response.in_progress","sequence_number":1,"response":{${RESPONSE_HEAD},"status":"in_progress","output":[],"usage":null}}`,
      '{"type":"response.output_item.added","sequence_number":2,"output_index":0,"item":{"id":"msg_1","type":"message","status":"in_progress","role":"assistant","content":[]}}',
      ...Array.from(
        { length: 12 },
        (_, index) =>
          `{"type":"response.output_text.delta","sequence_number":${3 + index},"item_id":"msg_1","output_index":0,"content_index":0,"delta":"no","logprobs":[]}`,
      ),
      `{"type":"response.incomplete","sequence_number":15,"response":{"id":"resp_67","object":"response","error":null,"incomplete_details":{"reason":"max_output_tokens"},"model":"gpt-oss-20b","status":"incomplete","output":[{"type":"message","id":"msg_1","content":[{"type":"output_text","text":"nono","logprobs":[]}]}],"usage":{"input_tokens":9,"output_tokens":12}}}`,
    ),
    facts: { ...RESPONSE, inputTokens: 9, outputTokens: 12, finishReason: 'max_output_tokens', cutShort: true },
  },
  {
    name: 'a streamed answer of the Responses API that calls a function',
    type: SSE_TYPE,
    text: named(
      `{"type":"response.created","response":{${RESPONSE_HEAD},"status":"in_progress","output":[],"usage":null}}`,
      '{"type":"response.output_item.added","output_index":0,"item":{"id":"fc_1","type":"function_call","status":"in_progress","arguments":"","call_id":"call_1","name":"f"}}',
      '{"type":"response.function_call_arguments.delta","item_id":"fc_1","output_index":0,"delta":"{}"}',
      `{"type":"response.completed","response":{${RESPONSE_HEAD},"status":"completed","output":[{"id":"fc_1","type":"function_call"}],"usage":{"input_tokens":1,"output_tokens":2}}}`,
    ),
    facts: { ...RESPONSE, inputTokens: 1, outputTokens: 2, finishReason: 'completed', toolCall: true },
  },
  {
    name: 'a streamed answer of the Responses API that fails',
    type: SSE_TYPE,
    text: named(
      `{"type":"response.created","response":{${RESPONSE_HEAD},"status":"in_progress","output":[],"usage":null}}`,
      '{"type":"response.failed","response":{"id":"resp_67","object":"response","status":"failed","error":{"code":"server_error","message":"no"},"model":"gpt-oss-20b","output":[]}}',
    ),
    facts: { ...RESPONSE, finishReason: 'failed', failed: true },
  },
  {
    name: 'an answer of the Responses API that is still being made',
    type: JSON_TYPE,
    text: `{${RESPONSE_HEAD},"status":"queued","output":[],"usage":null}`,
    facts: { ...RESPONSE, empty: true },
  },
  {
    name: "an answer of Anthropic's API, its cached input counted",
    type: JSON_TYPE,
    text: `{${MESSAGE_HEAD},"content":[{"type":"text","text":"yes"},{"type":"tool_use","id":"toolu_1","name":"f","input":{}}],"stop_reason":"tool_use","stop_sequence":null,"usage":{"input_tokens":5,"cache_creation_input_tokens":10,"cache_read_input_tokens":100,"output_tokens":7}}`,
    facts: { ...MESSAGE, inputTokens: 115, outputTokens: 7, finishReason: 'tool_use', toolCall: true },
  },
  {
    name: "a streamed answer of Anthropic's API",
    type: SSE_TYPE,
    text: named(
      `{"type":"message_start","message":{${MESSAGE_HEAD},"content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":25,"output_tokens":1}}}`,
      '{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}',
      '{"type":"ping"}',
      ...['Hel', 'lo'].map(
        text => `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"${text}"}}`,
      ),
      '{"type":"content_block_stop","index":0}',
      '{"type":"message_delta","delta":{"stop_reason":"max_tokens","stop_sequence":null},"usage":{"output_tokens":15}}',
      '{"type":"message_stop"}',
    ),
    facts: { ...MESSAGE, inputTokens: 25, outputTokens: 15, finishReason: 'max_tokens', cutShort: true },
  },
  {
    name: "a streamed answer of Anthropic's API that uses a tool after it has spoken",
    type: SSE_TYPE,
    text: named(
      `{"type":"message_start","message":{${MESSAGE_HEAD},"content":[],"stop_reason":null,"usage":{"input_tokens":25,"output_tokens":1}}}`,
      '{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"wait"}}',
      '{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"toolu_1","name":"f","input":{}}}',
      '{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{}"}}',
      '{"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":15}}',
      '{"type":"message_stop"}',
    ),
    facts: { ...MESSAGE, inputTokens: 25, outputTokens: 15, finishReason: 'tool_use', toolCall: true },
  },
  {
    name: "Ollama's /api/chat, whole",
    type: 'application/json; charset=utf-8',
    text: '{"model":"llama3.2","created_at":"2025-01-01T00:00:00Z","message":{"role":"assistant","content":"Hi"},"done_reason":"stop","done":true,"total_duration":5,"prompt_eval_count":26,"eval_count":8,"logprobs":[{"token":"Hi","logprob":-0.2}]}',
    facts: { ...OLLAMA, confidence: mean(-0.2), inputTokens: 26, outputTokens: 8, finishReason: 'stop' },
  },
  {
    name: "Ollama's /api/chat, line by line",
    type: NDJSON_TYPE,
    text: lines(
      ...Array.from(
        { length: 12 },
        () =>
          '{"model":"llama3.2","created_at":"2025-01-01T00:00:00Z","message":{"role":"assistant","content":"x"},"done":false}',
      ),
      '{"model":"llama3.2","created_at":"2025-01-01T00:00:00Z","message":{"role":"assistant","content":""},"done_reason":"stop","done":true,"total_duration":4883583458,"prompt_eval_count":26,"eval_count":282}',
    ),
    facts: { ...OLLAMA, inputTokens: 26, outputTokens: 282, finishReason: 'stop' },
  },
  {
    name: "Ollama's /api/chat with a tool call and no prompt count, as when the prompt was cached",
    type: NDJSON_TYPE,
    text: lines(
      '{"model":"llama3.2","message":{"role":"assistant","content":"","tool_calls":[{"function":{"name":"f","arguments":{}}}]},"done":false}',
      '{"model":"llama3.2","message":{"role":"assistant","content":""},"done":true,"eval_count":9}',
    ),
    facts: { ...OLLAMA, outputTokens: 9, toolCall: true },
  },
  {
    name: "Ollama's /api/generate of an old version, which gives no reason",
    type: NDJSON_TYPE,
    text: lines(
      ...Array.from({ length: 12 }, () => '{"model":"llama3.2","response":"x","done":false}'),
      '{"model":"llama3.2","response":"","done":true,"prompt_eval_count":26,"eval_count":12}',
    ),
    facts: { ...OLLAMA, inputTokens: 26, outputTokens: 12 },
  },
  {
    name: "Ollama's /api/generate, line by line, ending at its length limit",
    type: NDJSON_TYPE,
    text: lines(
      '{"model":"llama3.2","created_at":"2025-01-01T00:00:00Z","response":"The","done":false,"logprobs":[{"token":"The","logprob":-0.4}]}',
      `{"model":"llama3.2","response":"","done":true,"done_reason":"length","context":[${Array.from({ length: 60_000 }, () => 123_456)}],"prompt_eval_count":26,"eval_count":290}`,
    ),
    facts: {
      ...OLLAMA,
      confidence: mean(-0.4),
      inputTokens: 26,
      outputTokens: 290,
      finishReason: 'length',
      cutShort: true,
    },
  },
  {
    name: "TGI's /generate",
    type: JSON_TYPE,
    text: '{"generated_text":"Hello!","details":{"finish_reason":"eos_token","generated_tokens":3,"seed":null,"prefill":[{"id":1,"text":"<s>","logprob":null}],"tokens":[{"id":22557,"text":"Hello","logprob":-0.5,"special":false},{"id":330,"text":"!","logprob":-1.2,"special":false},{"id":2,"text":"</s>","logprob":-0.01,"special":true}]}}',
    facts: {
      ...NOTHING,
      confidence: mean(...TGI_TOKENS),
      inputTokens: 1,
      outputTokens: 3,
      finishReason: 'eos_token',
    },
  },
  {
    name: "TGI's /generate without details, in the array of its older interface",
    type: JSON_TYPE,
    text: '[{"generated_text":"Hello!"}]',
    facts: NOTHING,
  },
  {
    name: "TGI's /generate_stream, which leaves out the space after the colon",
    type: 'text/event-stream',
    text: [
      '{"index":1,"token":{"id":22557,"text":"Hello","logprob":-0.5,"special":false},"generated_text":null,"details":null}',
      '{"index":2,"token":{"id":330,"text":"!","logprob":-1.2,"special":false},"generated_text":null,"details":null}',
      '{"index":3,"token":{"id":2,"text":"</s>","logprob":-0.01,"special":true},"generated_text":"Hello!","details":{"finish_reason":"eos_token","generated_tokens":3,"seed":null,"input_length":7}}',
    ]
      .map(one => `data:${one}\n\n`)
      .join(''),
    facts: {
      ...NOTHING,
      confidence: mean(...TGI_TOKENS),
      inputTokens: 7,
      outputTokens: 3,
      finishReason: 'eos_token',
    },
  },
  {
    name: 'embeddings, which say nothing and are not empty',
    type: JSON_TYPE,
    text: '{"id":"embd-1","object":"list","model":"e5","data":[{"object":"embedding","index":0,"embedding":[0.1]}],"usage":{"prompt_tokens":8,"total_tokens":8}}',
    facts: { ...NOTHING, completionId: 'embd-1', model: 'e5', inputTokens: 8 },
  },
]

/** Hard case 35: usage in every state in which servers leave it. */
export const usages: Answer[] = [
  {
    name: 'absent',
    type: SSE_TYPE,
    text: events(chunk(said('a')), chunk(delta('{}', '"stop"')), '[DONE]'),
    facts: { ...CHAT, finishReason: 'stop' },
  },
  {
    name: 'null throughout',
    type: SSE_TYPE,
    text: events(chunk(said('a'), ',"usage":null'), chunk(delta('{}', '"stop"'), ', "usage": null'), '[DONE]'),
    facts: { ...CHAT, finishReason: 'stop' },
  },
  {
    name: 'unsolicited, in the chunk that finishes',
    type: SSE_TYPE,
    text: events(
      chunk(said('a')),
      chunk(delta('{}', '"stop"'), ',"usage":{"prompt_tokens":2,"completion_tokens":1}'),
      '[DONE]',
    ),
    facts: { ...CHAT, inputTokens: 2, outputTokens: 1, finishReason: 'stop' },
  },
  {
    name: 'in a chunk with empty choices, after [DONE] even',
    type: SSE_TYPE,
    text: events(
      chunk(said('a')),
      chunk(delta('{}', '"stop"')),
      '[DONE]',
      '{"choices":[],"usage":{"prompt_tokens":2,"completion_tokens":1}}',
    ),
    facts: { ...CHAT, inputTokens: 2, outputTokens: 1, finishReason: 'stop' },
  },
  {
    name: 'without choices at all',
    type: SSE_TYPE,
    text: events(chunk(said('a')), '{"usage":{"prompt_tokens":2,"completion_tokens":1}}', '[DONE]'),
    facts: { ...CHAT, inputTokens: 2, outputTokens: 1 },
  },
  {
    name: 'partial',
    type: JSON_TYPE,
    text: '{"id":"chatcmpl-b1a","model":"llama-3.1-8b","choices":[{"message":{"content":"a"},"finish_reason":"stop"}],"usage":{"completion_tokens":1}}',
    facts: { ...CHAT, outputTokens: 1, finishReason: 'stop' },
  },
  {
    name: 'nonsense',
    type: JSON_TYPE,
    text: '{"id":"chatcmpl-b1a","model":"llama-3.1-8b","choices":[{"message":{"content":"a"},"finish_reason":"stop"}],"usage":{"prompt_tokens":-1,"completion_tokens":"many","input_tokens":1e300}}',
    facts: { ...CHAT, finishReason: 'stop' },
  },
]

const toolDelta = (call: string) => chunk(delta(`{"tool_calls":[${call}]}`))

/** Hard case 36: tool calls as they should be numbered and named, and as they are. */
export const toolCalls: Answer[] = [
  {
    name: 'numbered 0 each and without ids',
    type: SSE_TYPE,
    text: events(
      chunk(said('wait')),
      toolDelta('{"index":0,"function":{"name":"f","arguments":"{"}}'),
      toolDelta('{"index":0,"function":{"arguments":"}"}}'),
      toolDelta('{"index":0,"function":{"name":"g","arguments":"{}"}}'),
      chunk(delta('{}', '"tool_calls"')),
      '[DONE]',
    ),
    facts: { ...CHAT, toolCall: true, finishReason: 'tool_calls' },
  },
  {
    name: 'without even a number, and a finish reason that denies them',
    type: SSE_TYPE,
    text: events(toolDelta('{"function":{"name":"f"}}'), chunk(delta('{}', '"stop"')), '[DONE]'),
    facts: { ...CHAT, toolCall: true, finishReason: 'stop' },
  },
  {
    name: 'an empty list of them, which is none',
    type: SSE_TYPE,
    text: events(
      chunk(delta('{"content":"a","tool_calls":[]}')),
      chunk(delta('{"content":"b","tool_calls": [ ]}')),
      chunk(delta('{"tool_calls":null}', '"stop"')),
      '[DONE]',
    ),
    facts: { ...CHAT, finishReason: 'stop' },
  },
  {
    name: 'in the older form',
    type: JSON_TYPE,
    text: '{"id":"chatcmpl-b1a","model":"llama-3.1-8b","choices":[{"message":{"content":null,"function_call":{"name":"f","arguments":"{}"}},"finish_reason":"function_call"}]}',
    facts: { ...CHAT, toolCall: true, finishReason: 'function_call' },
  },
  {
    name: 'spoken of in the text alone',
    type: SSE_TYPE,
    text: events(
      chunk(said('a')),
      chunk(said('{"tool_calls":[{"index":0}],"usage":{"prompt_tokens":99},"error":{}}')),
      chunk(delta('{}', '"stop"')),
      '[DONE]',
    ),
    facts: { ...CHAT, finishReason: 'stop' },
  },
]

/** What goes wrong, and what must be made of it. */
export const failures: Answer[] = [
  {
    name: 'an error as the first event, under status 200',
    type: SSE_TYPE,
    text: events('{"error":{"message":"the model fell over","type":"server_error","code":null}}', '[DONE]'),
    facts: { ...NOTHING, failed: true },
  },
  {
    name: 'an error in mid-stream, in a word',
    type: SSE_TYPE,
    text: events(chunk(said('a')), '{"error":"out of memory","error_type":"generation"}'),
    facts: { ...CHAT, failed: true, cutShort: true },
  },
  {
    name: 'an event that is called error and is no JSON',
    type: SSE_TYPE,
    text: `${events(chunk(said('a')))}event: error\ndata: oh dear\n\n`,
    facts: { ...CHAT, failed: true, cutShort: true },
  },
  {
    name: "an error of Anthropic's API",
    type: SSE_TYPE,
    text: named('{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}'),
    facts: { ...NOTHING, failed: true, cutShort: true },
  },
  {
    name: "an error in Ollama's lines",
    type: NDJSON_TYPE,
    text: lines('{"model":"llama3.2","response":"a","done":false}', '{"error":"unexpected EOF"}'),
    facts: { ...OLLAMA, failed: true, cutShort: true },
  },
  {
    name: 'an error document under status 200',
    type: JSON_TYPE,
    text: '{"object":"error","message":"no","type":"BadRequestError","code":400}',
    facts: { ...NOTHING, failed: true },
  },
  {
    name: 'an empty answer',
    type: JSON_TYPE,
    text: '{"id":"chatcmpl-b1a","model":"llama-3.1-8b","choices":[{"message":{"content":""},"finish_reason":"stop"}]}',
    facts: { ...CHAT, finishReason: 'stop', empty: true },
  },
  {
    name: 'an empty stream',
    type: SSE_TYPE,
    text: events(chunk(delta('{"role":"assistant","content":""}')), chunk(delta('{}', '"stop"')), '[DONE]'),
    facts: { ...CHAT, finishReason: 'stop', empty: true },
  },
  {
    name: 'a stream that stops without saying that it is over',
    type: SSE_TYPE,
    text: events(chunk(said('a')), chunk(said('b'))),
    facts: { ...CHAT, cutShort: true },
  },
  {
    name: 'a stream of the Responses API that stops while in progress',
    type: SSE_TYPE,
    text: named(
      `{"type":"response.created","response":{${RESPONSE_HEAD},"status":"in_progress","output":[],"usage":null}}`,
      '{"type":"response.output_text.delta","delta":"a","logprobs":[]}',
    ),
    facts: { ...RESPONSE, cutShort: true },
  },
  {
    name: 'a probability above 1',
    type: JSON_TYPE,
    text: '{"id":"chatcmpl-b1a","model":"llama-3.1-8b","choices":[{"text":"a","logprobs":{"token_logprobs":[0.5,0]}}]}',
    facts: { ...CHAT, confidence: 1 },
  },
  {
    name: 'choices that are no choices',
    type: JSON_TYPE,
    text: '{"id":7,"model":{},"choices":[null,3,{"index":"x"}],"usage":[]}',
    facts: { ...NOTHING, empty: true },
  },
  {
    name: 'a JSON document that is none',
    type: JSON_TYPE,
    text: '<html>502</html>',
    facts: { ...NOTHING, result: 'unreadable' },
  },
  {
    name: 'a JSON document that breaks off',
    type: JSON_TYPE,
    text: '{"id":"chatcmpl-b1a","choices":[{"mess',
    facts: { ...NOTHING, result: 'unreadable' },
  },
  { name: 'no bytes', type: JSON_TYPE, text: '', facts: { ...NOTHING, result: 'unreadable' } },
  {
    name: 'a stream of nothing but garbage',
    type: SSE_TYPE,
    text: events('{broken', 'nothing', '\xff\xfe'),
    facts: { ...NOTHING, result: 'unreadable' },
  },
  {
    name: 'garbage among events',
    type: SSE_TYPE,
    text: `garbage\n${events('{broken', chunk(said('a')), '[1,2', chunk(delta('{}', '"stop"')))}data`,
    facts: { ...CHAT, finishReason: 'stop' },
  },
  {
    name: 'a name that is too long to be one',
    type: JSON_TYPE,
    text: `{"id":"${'x'.repeat(257)}","model":"m","choices":[{"text":"a"}]}`,
    facts: { ...NOTHING, model: 'm' },
  },
]
