/** Names of models in a server's list of them, of whichever make. */

/** `{"data":[{"id"}]}` as OpenAI has it, `{"models":[{"name"}]}` as Ollama, `{"model_id"}` as TGI; none when it is something else. */
export function modelsIn(text: string): string[] {
  let answer: { data?: unknown; models?: unknown; model_id?: unknown } | null
  try {
    answer = JSON.parse(text)
  } catch {
    return []
  }
  const names = [...namesIn(answer?.data, 'id'), ...namesIn(answer?.models, 'name'), answer?.model_id]
  // A pattern of names, as some aggregators list, is no model.
  return names.filter(name => typeof name === 'string' && name !== '' && !name.includes('*')) as string[]
}

function namesIn(list: unknown, field: string): unknown[] {
  return Array.isArray(list) ? list.map(entry => (entry as Record<string, unknown> | null)?.[field]) : []
}
