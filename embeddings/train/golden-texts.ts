/** By these texts a node knows that its model file is the one a space was made for. */
import { project } from '../../router/fingerprint.ts'
import type { Space } from '../../router/space.ts'
import type { Embedder } from '../embedder.ts'

/** Different in subject, form and length. */
const GOLDEN_TEXTS = [
  'How much ibuprofen may an adult take per day?',
  'Write a function that reverses a linked list in place.',
  'Which planets of the solar system have rings?',
  'I was charged twice for the same order, can you refund one of them?',
  'SELECT name, COUNT(*) FROM users GROUP BY name HAVING COUNT(*) > 1;',
  'A train leaves at 9:40 and arrives at 13:05. How long does the journey take, and how fast is it over 287 km?',
  'Summarise the following contract in three sentences for somebody who is not a lawyer.',
  'hello',
]

/** What `embedder` makes of them in `space`. */
export async function goldenVectors(embedder: Embedder, space: Space): Promise<Space['golden']> {
  const vectors = await embedder.embed(GOLDEN_TEXTS)
  return vectors.map((vector, i) => ({ text: GOLDEN_TEXTS[i] as string, vector: project(space, vector) }))
}
