/** The pages of the repository, taken apart far enough to hold what they name against what there is. */
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '../..')
const NOT_OURS = /^(?:node_modules|out|dist|\..+|qis-data.*)$/

export interface Page {
  /** From the root of the repository. */
  readonly path: string
  readonly text: string
}

export function readPages(): Page[] {
  return globSync('**/*.md', { cwd: ROOT, exclude: name => NOT_OURS.test(name) })
    .sort()
    .map(path => ({ path, text: readFileSync(join(ROOT, path), 'utf8') }))
}

/** The targets of its links and pictures, but for those on other sites. */
export function localLinks({ text }: Page): string[] {
  const prose = text.replace(/^```[\s\S]*?^```$/gm, '').replace(/`[^`\n]*`/g, '')
  return [...prose.matchAll(/\]\(([^()\s]+)\)/g), ...text.matchAll(/(?:src|href|srcset)="([^"]+)"/g)]
    .map(([, target = '']) => target)
    .filter(target => !/^[a-z]+:/.test(target))
}

/** By which its headings can be linked to, as GitHub makes them. */
export function anchors({ text }: Page): Set<string> {
  const seen = new Map<string, number>()
  const headings = text.replace(/^```[\s\S]*?^```$/gm, '').matchAll(/^#{1,6} (.+)$/gm)
  return new Set(
    [...headings].map(([, heading = '']) => {
      const slug = heading
        .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
        .toLowerCase()
        .replace(/[^\p{L}\p{N}_ -]/gu, '')
        .replaceAll(' ', '-')
      const before = seen.get(slug) ?? 0
      seen.set(slug, before + 1)
      return before === 0 ? slug : `${slug}-${before}`
    }),
  )
}

/** What stands between backticks, and the lines of its blocks of code. */
export function code({ text }: Page): string[] {
  const fenced = [...text.matchAll(/^```\w*\n([\s\S]*?)^```$/gm)].flatMap(([, block = '']) => block.split('\n'))
  const rest = text.replace(/^```[\s\S]*?^```$/gm, '')
  const indented = [...rest.matchAll(/^ {4}(?! *[-*] )(\S.*)$/gm)].map(([, line = '']) => line)
  const spans = [...rest.matchAll(/`([^`]+)`/g)].map(([, span = '']) => span.replace(/\s+/g, ' '))
  return [...fenced, ...indented, ...spans]
}
