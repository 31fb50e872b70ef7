/** The files of the page, read once: a fixed list, so that no request can name another. */
import { hash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export interface PageFile {
  /** Below `/qis/`. */
  path: string
  type: string
  bytes: Buffer
  /** As HTTP wants it, in quotes. */
  etag: string
}

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
}
const PAGE = [
  'style.css',
  'icon.svg',
  'app.js',
  'api.js',
  'dom.js',
  'charts.js',
  'now.js',
  'past.js',
  'swarm.js',
  'knowledge.js',
  'reliability.js',
  'ledger.js',
  'packet-words.js',
  'advise.js',
  'feedback.js',
]

export function readPageFiles(): PageFile[] {
  const own = (name: string) => join(import.meta.dirname, 'page', name)
  const chart = (name: string) => fileURLToPath(import.meta.resolve(`uplot/dist/${name}`))
  return [
    pageFile('', own('index.html')),
    ...PAGE.map(name => pageFile(`page/${name}`, own(name))),
    pageFile('page/uplot.js', chart('uPlot.iife.min.js')),
    pageFile('page/uplot.css', chart('uPlot.min.css')),
  ]
}

function pageFile(path: string, file: string): PageFile {
  const bytes = readFileSync(file)
  return { path, type: TYPES[extname(file)] ?? '', bytes, etag: `"${hash('sha256', bytes, 'base64url').slice(0, 22)}"` }
}
