/** Tells letters, digits and separators apart for the static embedder, the same way under every version of Unicode. */

/** What a UTF-16 code unit is to the tokeniser. */
export const SEPARATOR = 0
export const LETTER = 1
export const DIGIT = 2
/** Scripts written without spaces, in which a word is one to three characters. */
export const DENSE = 3

/**
 * By hand and not by \p{L}: a newer Unicode table in a newer Node must not move any vector. Whatever is neither ASCII
 * nor listed is a letter, emoji included.
 */
export const UNIT_CLASSES: Uint8Array = classifyUnits()

function classifyUnits(): Uint8Array {
  const classes = new Uint8Array(0x10000).fill(LETTER)
  const mark = (from: number, to: number, kind: number) => classes.fill(kind, from, to + 1)
  mark(0x00, 0xbf, SEPARATOR)
  mark(0x30, 0x39, DIGIT)
  mark(0x41, 0x5a, LETTER)
  mark(0x61, 0x7a, LETTER)
  mark(0xd7, 0xd7, SEPARATOR)
  mark(0xf7, 0xf7, SEPARATOR)
  mark(0x0e00, 0x0eff, DENSE) // Thai, Lao
  mark(0x1000, 0x109f, DENSE) // Myanmar
  mark(0x1780, 0x17ff, DENSE) // Khmer
  mark(0x2000, 0x2bff, SEPARATOR) // punctuation, currency, arrows, operators, boxes
  mark(0x3000, 0x303f, SEPARATOR) // CJK punctuation
  mark(0x3040, 0x9fff, DENSE) // kana, ideographs
  mark(0xac00, 0xd7a3, DENSE) // Hangul: spaced, but its words are two or three syllables long
  mark(0xfe00, 0xfe0f, SEPARATOR) // variation selectors
  mark(0xfeff, 0xfeff, SEPARATOR) // byte order mark
  return classes
}
