import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { generateText } from 'ai'
import { createClient, readInsight } from 'qis-sidecar/client'

const sidecar = process.env.SIDECAR ?? 'http://127.0.0.1:8787'
const model = process.env.MODEL ?? 'qis-practice'

const provider = createOpenAICompatible({ name: 'sidecar', baseURL: `${sidecar}/v1` })
const { text, response } = await generateText({
  model: provider(model),
  prompt: 'How much ibuprofen may an adult take per day?',
})
const insight = readInsight(response.headers)
console.log(text)
console.log('confidence', insight.confidence ?? 'unknown', 'evidence', insight.evidence)

const { status } = await createClient(sidecar).feedback(insight, { rating: 'down' })
console.log('feedback', status)
