/** Long prompts say what they want at the top or at the bottom; this bounds a text without losing either. */

/** The text itself, or its first and last `limit / 2` UTF-16 code units with a line break between them. */
export function excerpt(text: string, limit: number): string {
  if (text.length <= limit) return text
  const half = limit >> 1
  return `${text.slice(0, half)}\n${text.slice(-half)}`
}
