import OpenAI from 'openai'
import { createClient, readInsight } from 'qis-sidecar/client'

const sidecar = process.env.SIDECAR ?? 'http://127.0.0.1:8787'
const model = process.env.MODEL ?? 'qis-practice'

const openai = new OpenAI({ baseURL: `${sidecar}/v1`, apiKey: 'none' })
const { data: stream, response } = await openai.chat.completions
  .create({ model, stream: true, messages: [{ role: 'user', content: 'What is 17 times 23?' }] })
  .withResponse()
// The headers are there before the first word is.
const insight = readInsight(response.headers)
console.log('confidence', insight.confidence ?? 'unknown', 'evidence', insight.evidence)
for await (const chunk of stream) process.stdout.write(chunk.choices[0]?.delta.content ?? '')

const { status } = await createClient(sidecar).feedback(insight, { rating: 'up' })
console.log('\nfeedback', status)
