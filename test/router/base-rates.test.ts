import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createEvidenceIndex, SELF } from '../../router/evidence.ts'
import { modelSize } from '../../router/synthesis/base-rates.ts'
import { decodeCell, someEvidence } from '../support/router-support.ts'

type Vote = Parameters<typeof someEvidence>[0]

function ratesOf(votes: readonly Vote[]) {
  const index = createEvidenceIndex(decodeCell, 100_000)
  for (const [answer, vote] of votes.entries()) index.put(someEvidence({ ...vote, answer: `${answer}` }))
  return index.rates
}

const many = (count: number, vote: Vote): Vote[] => Array<Vote>(count).fill(vote)
const peers = (count: number, each: number, vote: Vote): Vote[] =>
  Array.from({ length: count }, (_, peer) => many(each, { author: `${vote?.model}-${peer}`, ...vote })).flat()

describe('base rates', () => {
  it('come from the prior to what was seen', () => {
    const rates = [0, 1, 10, 1000].map(count =>
      ratesOf(many(count, { author: SELF, model: 'llama', signal: 1 })).of('llama', 'general', 'own'),
    )
    assert.equal(rates[0], 0.5)
    assert.ok(rates.every((rate, i) => i === 0 || rate > (rates[i - 1] as number)))
    assert.ok((rates[1] as number) < 0.65, 'one outcome is not the average')
    assert.ok((rates[3] as number) > 0.99)
  })

  it('answer for a model that nobody has seen, by its family and size', () => {
    const rates = ratesOf([
      ...many(50, { author: SELF, model: 'llama-3.1-8b', signal: 0.3 }),
      ...many(50, { author: SELF, model: 'llama-3.1-70b', signal: 0.9 }),
      ...many(50, { author: SELF, model: 'qwen2.5-7b', signal: 0.5 }),
    ])
    const of = (model: string) => rates.of(model, 'general', 'own')
    assert.ok(of('llama-3.3-70b') > of('llama-3.2-9b') + 0.1, 'size')
    assert.ok(of('llama-3.2-9b') < of('qwen3-9b'), 'family')
    assert.ok(of('llama-3.3-70b') < 0.9)
  })

  it('carry a hard domain over to models that were not asked there', () => {
    const seen = (signal: number, domain: string) => many(40, { author: SELF, model: 'llama-3.1-8b', signal, domain })
    const rates = ratesOf([
      ...seen(0.8, 'travel'),
      ...seen(0.2, 'law'),
      ...many(40, { author: SELF, model: 'qwen', signal: 0.8, domain: 'travel' }),
    ])
    assert.ok(rates.of('qwen', 'law', 'own') < rates.of('qwen', 'cooking', 'own') - 0.1)
  })

  it('are held to the median of peers in the robust view', () => {
    const votes = [
      ...peers(7, 20, { model: 'llama', signal: 0.4 }),
      ...peers(3, 20, { model: 'llama', signal: 1 }).map(vote => ({ ...vote, author: `liar-${vote?.author}` })),
    ]
    const rates = ratesOf(votes)
    assert.ok(rates.of('llama', 'general', 'all') > 0.55)
    assert.ok(Math.abs(rates.of('llama', 'general', 'robust') - 0.4) < 0.05)
    assert.ok(rates.witness('liar-llama-0', 'llama').excess > 0.5)
    assert.equal(rates.witness('llama-0', 'llama').excess, 0)
    const [honest, liar] = ['llama-0', 'liar-llama-0'].map(author => rates.witness(author, 'llama').experience)
    assert.ok(Number(honest) > 0.9 && Number(liar) < 0.05, 'who cannot have seen that is not heard on details')
  })

  it('give all strangers together no more than they give two proven peers', () => {
    const own = many(40, { author: SELF, model: 'llama', signal: 1 })
    const rate = ratesOf([...own, ...peers(1000, 1, { model: 'llama', signal: 0 })]).of('llama', 'general', 'all')
    assert.ok(rate >= 0.45, `${rate}`)
  })

  it('read the size of a model in its name', () => {
    const sizes = {
      'qwen2.5-7b-instruct': 7,
      'smollm-135m': 0.135,
      'phi-3': undefined,
      'mixtral-8x7b': 7,
      gpt4: undefined,
    }
    for (const [name, size] of Object.entries(sizes)) assert.equal(modelSize(name), size, name)
  })
})
