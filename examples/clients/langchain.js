import { ChatOpenAI } from '@langchain/openai'
import { createClient, readInsight } from 'qis-sidecar/client'

const sidecar = process.env.SIDECAR ?? 'http://127.0.0.1:8787'
const model = process.env.MODEL ?? 'qis-practice'

// LangChain keeps the headers to itself, so they are read on their way. Make one such model for each conversation.
let insight
const chat = new ChatOpenAI({
  model,
  apiKey: 'none',
  configuration: {
    baseURL: `${sidecar}/v1`,
    fetch: async (...request) => {
      const response = await fetch(...request)
      insight = readInsight(response.headers)
      return response
    },
  },
})
const answer = await chat.invoke('How much ibuprofen may an adult take per day?')
console.log(answer.content)
console.log('confidence', insight.confidence ?? 'unknown', 'evidence', insight.evidence)

// Without the headers, the answer's own id will do.
const { status } = await createClient(sidecar).feedback({ completionId: answer.id }, { rating: 'down' })
console.log('feedback', status)
