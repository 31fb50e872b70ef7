import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { Operation } from '../../proxy/observe/operation.ts'
import { addInstruction } from '../../proxy/query/instruction.ts'

const TEXT = 'Check "all"\nfacts.'
const ESCAPED = '\\n\\nCheck \\"all\\"\\nfacts.'
const PART = '{"type":"text","text":"Check \\"all\\"\\nfacts."}'

const added: [name: string, operation: Operation, before: string, after: string][] = [
  [
    'before all other messages',
    'chat',
    ' {"x":1.0,"messages": [ {"role":"user","content":"hi"}],"x":2}',
    ' {"x":1.0,"messages": [{"role":"system","content":"Check \\"all\\"\\nfacts."}, {"role":"user","content":"hi"}],"x":2}',
  ],
  [
    'at the end of the system message',
    'chat',
    '{"messages":[{"role":"system","content":"Be br\\u0069ef."},{"role":"user","content":"hi"}]}',
    `{"messages":[{"role":"system","content":"Be br\\u0069ef.${ESCAPED}"},{"role":"user","content":"hi"}]}`,
  ],
  [
    'at the end of the developer message, wherever it stands',
    'chat',
    '{"messages":[{"role":"user","content":"hi"},{"content":"","role":"developer"}]}',
    `{"messages":[{"role":"user","content":"hi"},{"content":"${ESCAPED}","role":"developer"}]}`,
  ],
  [
    'as a part of its own',
    'chat',
    '{"messages":[{"role":"system","content":[{"type":"text","text":"a"} ]},{"role":"user","content":"hi"}]}',
    `{"messages":[{"role":"system","content":[{"type":"text","text":"a"} ,${PART}]},{"role":"user","content":"hi"}]}`,
  ],
  [
    'as the only part',
    'chat',
    '{"messages":[{"role":"system","content":[]},{"role":"user","content":"hi"}]}',
    `{"messages":[{"role":"system","content":[${PART}]},{"role":"user","content":"hi"}]}`,
  ],
  [
    "at the end of Anthropic's system text",
    'messages',
    '{"system":"a","messages":[{"role":"user","content":"hi"}]}',
    `{"system":"a${ESCAPED}","messages":[{"role":"user","content":"hi"}]}`,
  ],
  [
    "as Anthropic's system text",
    'messages',
    '\ufeff { "messages":[{"role":"user","content":"hi"}]}',
    '\ufeff {"system":"Check \\"all\\"\\nfacts.", "messages":[{"role":"user","content":"hi"}]}',
  ],
  [
    "as a part of Anthropic's system",
    'messages',
    '{"messages":[{"role":"user","content":"hi"}],"system":[{"type":"text","text":"a"}]}',
    `{"messages":[{"role":"user","content":"hi"}],"system":[{"type":"text","text":"a"},${PART}]}`,
  ],
]

suite('an instruction is added', () => {
  for (const [name, operation, before, after] of added) {
    test(`${name}, and no other byte changes`, () => {
      assert.equal(String(addInstruction(operation, Buffer.from(before), TEXT)), after)
      if (!after.startsWith('\ufeff')) JSON.parse(after)
    })
  }

  const refused: [name: string, operation: Operation, body: string][] = [
    ['to no other kind of request', 'text_completion', '{"prompt":"hi"}'],
    ['where there are no messages', 'chat', '{"messages":[]}'],
    ['where messages are none', 'chat', '{"messages":"hi"}'],
    ['to content that is neither text nor parts', 'chat', '{"messages":[{"role":"system","content":null}]}'],
    ['to what is no JSON', 'chat', '{"messages":['],
    ["to Anthropic's without messages", 'messages', '{}'],
  ]
  for (const [name, operation, body] of refused) {
    test(`not ${name}`, () => {
      const bytes = Buffer.from(body)
      assert.equal(addInstruction(operation, bytes, TEXT), bytes)
    })
  }
})
