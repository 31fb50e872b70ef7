/** JSON as others write it: any white space, any escapes, names that come twice. */
import fc from 'fast-check'

const space = fc.constantFrom('', '', '', ' ', '\n', '\r\n\t ')
const scalar = fc.constantFrom('null', 'true', 'false', '0', '-0.0', '1.0', '12345678901234567890', '1e-7', '6.02E+23')
const character = fc.oneof(
  { weight: 4, arbitrary: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 1 }) },
  fc.constantFrom('"', '\\', '/', '\n', '\u0000', '\ufeff', '\ud83d', '\ude00', ' ', '{', '[', ']', '}', ',', ':'),
)

/** A string's JSON, some of its characters written as escapes. */
export function written(text: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc.tuple(text, fc.nat(30)).map(([value, seed]) => {
    const escaped = (unit: string) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`
    const spelled = value.split('').map((unit, i) => ((i * 7 + seed) % 11 < 2 ? escaped(unit) : unit))
    // What must be escaped, and half of a pair whose other half was, is left to JSON.stringify.
    return `"${spelled.map(part => (part.length > 1 ? part : JSON.stringify(part).slice(1, -1))).join('')}"`
  })
}

/** The JSON of an array. */
export function array(elements: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc
    .tuple(fc.array(elements, { maxLength: 5 }), space)
    .map(([items, gap]) => `[${gap}${items.join(`${gap},`)}${gap}]`)
}

/** The JSON of an object with any number of these members, in any order; of one name, several may come. */
export function object(members: readonly fc.Arbitrary<[key: string, value: string]>[]): fc.Arbitrary<string> {
  return fc
    .tuple(fc.array(fc.oneof(...members), { maxLength: 6 }), space)
    .map(([list, gap]) => `{${gap}${list.map(([key, value]) => `${key}${gap}:${value}`).join(`${gap},${gap}`)}${gap}}`)
}

export const text = fc.string({ unit: character, maxLength: 40 })
export const string = written(text)

/** The JSON of any value whose objects have these names for members. */
export function jsonText(keys: readonly string[]): fc.Arbitrary<string> {
  const key = written(fc.constantFrom(...keys))
  return fc.letrec<{ value: string }>(tie => ({
    value: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      scalar,
      string,
      array(tie('value')),
      object([fc.tuple(key, tie('value'))]),
    ),
  })).value
}
