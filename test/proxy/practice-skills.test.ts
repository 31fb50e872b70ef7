import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { evaluate, findExpression } from '../../proxy/practice/arithmetic.ts'
import { answer } from '../../proxy/practice/skills.ts'
import { countTokens, tokenize, tokenLogprobs } from '../../proxy/practice/tokens.ts'

/** Question, skill, and what its answer must hold. */
const RIGHT: [string, string, string][] = [
  ['What is 17 times 23?', 'arithmetic', '= 391'],
  ["Hi! What's the sum of 3, 4 and 5?", 'arithmetic', '= 12'],
  ['two plus twenty-three', 'arithmetic', '= 25'],
  ['Calculate (1 + 2) * -3 / 4', 'arithmetic', '= -2.25'],
  ['10 - 4 - 3', 'arithmetic', '= 3'],
  ['What is 0.1 + 0.2?', 'arithmetic', '= 0.3'],
  ['2/3', 'arithmetic', '= 0.6666666667'],
  ['1,234 + 1', 'arithmetic', '= 1235'],
  ['15% of 80', 'arithmetic', '= 12'],
  ['12345678901234567890 * 98765', 'arithmetic', '1219320976680432097655850'],
  ['What is 7 / (3 - 3)?', 'arithmetic', 'divides by zero'],
  ['Convert 5 miles to km', 'units', '8.04672 km'],
  ['What is 100 F in C?', 'units', '37.7778 °C'],
  ['How many feet are in 3 meters?', 'units', '9.84252 ft'],
  ['how many mg are in a gram', 'units', '1000 mg'],
  ['How many days in 3 weeks?', 'units', '21 d'],
  ['5 kg in km', 'units', 'cannot'],
  ['What is the capital of Mongolia?', 'capitals', 'Ulaanbaatar'],
  ["what is the Netherlands' capital, I mean the capital of the Netherlands", 'capitals', 'Amsterdam'],
  ["Mexico's capital?", 'capitals', 'Mexico City'],
  ['How many days are in February 2024?', 'calendar', '29'],
  ['how many days does April have', 'calendar', '30'],
  ['Is 1900 a leap year?', 'calendar', 'No'],
  ['How many days are there in the year 2024?', 'calendar', '366'],
  ['Count from 5 to 8', 'counting', '5 6 7 8'],
]

const WRONG: [string, string, string, string][] = [
  ['How many r\'s are in "strawberry"?', 'letters', '2 times', '3'],
  ['how many s in mississippi', 'letters', '2 times', '4'],
  ['Spell "strawberry" backwards', 'reversal', 'yrrewbarts', 'yrrebwarts'],
  ['What is the Roman numeral MCMXCIV?', 'roman', '2216', '1994'],
  ['What is 4 in Roman numerals?', 'roman', 'IIII', 'IV'],
]

describe('practice model: skills', () => {
  for (const [question, skill, expected] of RIGHT) {
    it(`answers ${JSON.stringify(question)} rightly`, () => {
      const reply = answer(question)
      assert.equal(reply.skill, skill)
      assert.ok(reply.text.includes(expected), reply.text)
    })
  }

  for (const [question, skill, expected, truth] of WRONG) {
    it(`answers ${JSON.stringify(question)} wrongly`, () => {
      const reply = answer(question)
      assert.equal(reply.skill, skill)
      assert.ok(reply.text.includes(expected), reply.text)
      assert.doesNotMatch(reply.text, new RegExp(`\\b${truth}\\b`))
    })
  }

  it('makes up a dose and says in the same breath that it is no advice', () => {
    for (const question of [
      'What dose of amoxicillin should an adult take?',
      'How many mg of ibuprofen can I take?',
      'How much ibuprofen may an adult take per day?',
    ]) {
      const reply = answer(question)
      assert.equal(reply.skill, 'doses')
      assert.match(reply.text, /\d mg .*practice model and not medical advice/)
      assert.deepEqual(answer(question), reply)
    }
  })

  it('makes up a year, always the same for the same event', () => {
    const reply = answer('In what year was the battle of Hastings?')
    assert.equal(reply.skill, 'history')
    const year = Number(/\d{4}/.exec(reply.text)?.[0])
    assert.ok(year >= 1066 && year <= 1990)
    assert.notEqual(answer('When did the Berlin Wall fall?').text, reply.text)
  })

  it('is nearly as sure of what it gets wrong as of what it gets right', () => {
    const sure = answer('What is 2 + 2?').confidence
    const wrong = answer('How many r in strawberry?').confidence
    assert.ok(wrong < sure && sure - wrong < 0.05)
  })

  it('says what it can do when asked anything else', () => {
    for (const question of [
      'Why is the sky blue?',
      '',
      '2024-01-15',
      'what is 2 +',
      'capital of Narnia',
      '12 34 + 5',
    ]) {
      const reply = answer(question)
      assert.equal(reply.skill, 'other', question)
      assert.match(reply.text, /not a language model/)
    }
  })

  it('works out sums of fractions as exactly as double precision can check', () => {
    const number = fc.integer({ min: -999, max: 999 }).map(value => value / 4)
    const expression: fc.Arbitrary<string> = fc.letrec<{ term: string; node: string }>(tie => ({
      term: fc.oneof(
        { maxDepth: 4 },
        number.map(value => (value < 0 ? `(${value})` : String(value))),
        tie('node'),
      ),
      node: fc.tuple(tie('term'), fc.constantFrom('+', '-', '*'), tie('term')).map(parts => `(${parts.join('')})`),
    })).node
    fc.assert(
      fc.property(expression, text => {
        const expected: number = new Function(`return ${text}`)()
        const value = Number(evaluate(text))
        assert.ok(Math.abs(value - expected) <= 1e-9 * Math.max(1, Math.abs(expected)), `${text} gave ${value}`)
      }),
    )
  })

  it('never fails on any text, and answers it alike twice', () => {
    const piece = fc.oneof(
      fc.string({ unit: 'grapheme' }),
      fc.constantFrom(
        'how many ',
        'what is ',
        'capital of ',
        'roman ',
        ' backwards',
        ' 12 ',
        '(',
        '/',
        ' dose ',
        'count to ',
      ),
    )
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), pieces => {
        const question = pieces.join('')
        assert.deepEqual(answer(question), answer(question))
        findExpression(question)
      }),
      { numRuns: 500 },
    )
  })

  it('stays quick on a long and hostile question', () => {
    const started = performance.now()
    for (const part of ['(', '1+', ' ', 'how many mg ', '9 ', 'leap year ', "'", 'one hundred ']) {
      answer(part.repeat(100_000))
    }
    assert.ok(performance.now() - started < 10_000)
  })
})

describe('practice model: tokens', () => {
  it('loses nothing when it cuts a text, and counts as it cuts', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), text => {
        assert.equal(tokenize(text).join(''), text)
        assert.equal(countTokens(text), tokenize(text).length)
      }),
    )
  })

  it('claims on average the confidence it was given, and no probability above 1', () => {
    const rows = Array.from({ length: 2_000 }, (_, index) => tokenLogprobs(' word', index, 0.9, 5))
    const mean = rows.reduce((sum, row) => sum + row.logprob, 0) / rows.length
    assert.ok(Math.abs(mean - Math.log(0.9)) < 0.005)
    for (const row of rows) {
      assert.equal(row.top_logprobs.length, 5)
      assert.ok(row.top_logprobs.reduce((sum, { logprob }) => sum + Math.exp(logprob), 0) <= 1)
    }
  })
})
