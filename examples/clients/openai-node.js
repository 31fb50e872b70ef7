import OpenAI from 'openai'
import { createClient, readInsight } from 'qis-sidecar/client'

const sidecar = process.env.SIDECAR ?? 'http://127.0.0.1:8787'
const model = process.env.MODEL ?? 'qis-practice'

const openai = new OpenAI({ baseURL: `${sidecar}/v1`, apiKey: 'none' })
const { data, response } = await openai.chat.completions
  .create({ model, messages: [{ role: 'user', content: 'How much ibuprofen may an adult take per day?' }] })
  .withResponse()
const insight = readInsight(response.headers)
console.log(data.choices[0].message.content)
console.log('confidence', insight.confidence ?? 'unknown', 'evidence', insight.evidence)

const { status } = await createClient(sidecar).feedback(insight, {
  rating: 'down',
  correction: { type: 'factual', text: 'At most 1200 mg without a doctor.' },
})
console.log('feedback', status)
