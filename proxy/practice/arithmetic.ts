/** Exact arithmetic, one of the things the practice model is good at: decimals as fractions of big integers. */

/** A fraction; the denominator is above 0. */
interface Fraction {
  n: bigint
  d: bigint
}

const MAX_EXPRESSION = 200
const MAX_DECIMALS = 10

const SMALL =
  'zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen'.split(
    ' ',
  )
const TENS = 'twenty thirty forty fifty sixty seventy eighty ninety'.split(' ')
const NUMBER_WORDS = new RegExp(
  `\\b(?:(${TENS.join('|')})(?:[ -](${SMALL.slice(1, 10).join('|')}))?|(${SMALL.join('|')}))\\b`,
  'g',
)

/** Phrases that stand for an operator, in the order they are replaced. */
const PHRASES: [RegExp, string][] = [
  [/\bmultiplied by\b|\btimes\b|[×·]|(?<=\d\s*)x(?=\s*\d)/g, '*'],
  [/\bdivided by\b|\bover\b|÷/g, '/'],
  [/\bplus\b|\badded to\b/g, '+'],
  [/\bminus\b|\bless\b|[−–]/g, '-'],
  [/(\d+(?:\.\d+)?)\s*(?:%|percent)\s*of\b/g, '$1/100*'],
  [/(?<=\d),(?=\d{3}\b)/g, ''],
]

/** `sum of 3, 4 and 5`: the operator that joins the list. */
const LISTS: [RegExp, string][] = [
  [/\b(?:sum|total) of\b/, '+'],
  [/\bproduct of\b/, '*'],
  [/\bdifference (?:between|of)\b/, '-'],
]

const POLITE =
  /\b(?:what|is|are|s|the|result|value|of|please|calculate|compute|evaluate|solve|work|out|how|much|hi|hello|can|could|you|tell|me|equals?|to|answer|add|find)\b/g

const ISO_DATE = /\b\d{4}-\d{2}-\d{2}\b/

/** The expression that a question asks to be worked out, or undefined when it asks for something else. */
export function findExpression(question: string): string | undefined {
  let text = question.toLowerCase().slice(0, 2 * MAX_EXPRESSION)
  text = text.replace(NUMBER_WORDS, (_, tens?: string, unit?: string, small?: string) =>
    String(
      small === undefined
        ? (TENS.indexOf(tens ?? '') + 2) * 10 + Math.max(0, SMALL.indexOf(unit ?? ''))
        : SMALL.indexOf(small),
    ),
  )
  for (const [phrase, operator] of PHRASES) text = text.replace(phrase, operator)
  for (const [phrase, operator] of LISTS) {
    if (phrase.test(text)) text = text.replace(phrase, '').replace(/,?\s*\band\b|,/g, operator)
  }
  text = text
    .replace(POLITE, '')
    .replace(/[?!=:,'’]|\.(?!\d)/g, ' ')
    .trim()
  const isExpression =
    text.length <= MAX_EXPRESSION && /^[\d\s.+\-*/()]+$/.test(text) && /[\d)]\s*[-+*/]\s*[-(.\d]/.test(text)
  if (!isExpression || ISO_DATE.test(text)) return undefined
  return text.replace(/\s*([-+*/()])\s*/g, '$1').replace(/(?<=[\d)])([-+*/])/g, ' $1 ')
}

/**
 * Works out + - * / and parentheses exactly. At most 10 decimals are written.
 *
 * @returns undefined when the expression is not well formed; `null` when it divides by zero
 */
export function evaluate(expression: string): string | null | undefined {
  const tokens = expression.match(/\d+(?:\.\d+)?|\.\d+|[-+*/()]/g) ?? []
  if (tokens.join('') !== expression.replace(/\s+/g, '')) return undefined
  let at = 0
  let divided = false

  const sum = (): Fraction | undefined => {
    let left = product()
    while (left !== undefined && (tokens[at] === '+' || tokens[at] === '-')) {
      const sign = tokens[at++] === '+' ? 1n : -1n
      const right = product()
      if (right === undefined) return undefined
      left = { n: left.n * right.d + sign * right.n * left.d, d: left.d * right.d }
    }
    return left
  }
  const product = (): Fraction | undefined => {
    let left = factor()
    while (left !== undefined && (tokens[at] === '*' || tokens[at] === '/')) {
      const isQuotient = tokens[at++] === '/'
      const right = factor()
      if (right === undefined) return undefined
      if (isQuotient && right.n === 0n) divided = true
      left = isQuotient && right.n !== 0n ? quotient(left, right) : { n: left.n * right.n, d: left.d * right.d }
    }
    return left
  }
  const factor = (): Fraction | undefined => {
    const token = tokens[at++]
    if (token === '-') {
      const value = factor()
      return value && { n: -value.n, d: value.d }
    }
    if (token === '(') {
      const value = sum()
      return tokens[at++] === ')' ? value : undefined
    }
    return token !== undefined && /\d/.test(token) ? parseDecimal(token) : undefined
  }

  const value = sum()
  if (value === undefined || at !== tokens.length) return undefined
  return divided ? null : format(value)
}

function quotient(left: Fraction, right: Fraction): Fraction {
  const sign = right.n < 0n ? -1n : 1n
  return { n: sign * left.n * right.d, d: sign * left.d * right.n }
}

function parseDecimal(token: string): Fraction {
  const [whole = '', decimals = ''] = token.split('.')
  return { n: BigInt(whole + decimals), d: 10n ** BigInt(decimals.length) }
}

function format({ n, d }: Fraction): string {
  const scale = 10n ** BigInt(MAX_DECIMALS)
  const size = n < 0n ? -n : n
  const rounded = (size * scale * 2n + d) / (d * 2n)
  const whole = (rounded / scale).toString()
  const decimals = (rounded % scale).toString().padStart(MAX_DECIMALS, '0').replace(/0+$/, '')
  return `${n < 0n && rounded > 0n ? '-' : ''}${whole}${decimals === '' ? '' : `.${decimals}`}`
}
