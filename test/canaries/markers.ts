/** Texts that stand nowhere else, each remembered with the field it was put into; and their traces in bytes. */
import { randomInt } from 'node:crypto'
import { inflated, spellingsOf } from '../../demo/leak-scan.ts'

/** No hex digit among them, so that no hash or id looks like one. */
const LETTERS = 'ghjkmnpqrstvwxyz'
const ID_CHARS = 8
/** What is cut shorter could be anything's. */
const MIN_ID_CHARS = 5

export interface Markers {
  /** Begins every marker, so that one search finds all of them. */
  readonly stem: string
  /** A new one: sixteen lower-case letters. */
  make(kind: string): string
  /** How many of each kind there are. */
  readonly made: ReadonlyMap<string, number>
  readonly count: number
  /** @param id the second half of a marker */
  kindOf(id: string): string | undefined
  /** Of all that begin so, where what was cut may be any of them; of none where too little is left to tell. */
  kindsOf(beginning: string): ReadonlySet<string>
}

const drawn = () => Array.from({ length: ID_CHARS }, () => LETTERS[randomInt(LETTERS.length)]).join('')

/**
 * @param stem eight letters
 * @param draw the second half of a new one
 */
export function createMarkers(stem = 'zqkanari', draw = drawn): Markers {
  const kinds = new Map<string, string>()
  const made = new Map<string, number>()
  return {
    stem,
    make(kind) {
      let id = draw()
      while (kinds.has(id)) id = draw()
      kinds.set(id, kind)
      made.set(kind, (made.get(kind) ?? 0) + 1)
      return stem + id
    },
    made,
    get count() {
      return kinds.size
    },
    kindOf: id => kinds.get(id),
    kindsOf(beginning) {
      if (beginning.length < MIN_ID_CHARS) return new Set()
      return new Set([...kinds].filter(([id]) => id.startsWith(beginning)).map(([, kind]) => kind))
    },
  }
}

export interface Trace {
  /** Of the marker found; `unknown` where its end is missing or in an encoding that hides it. */
  kind: string
  encoding: string
  /** What stands around it, printable. */
  around: string
}

const ID = new RegExp(`^[${LETTERS}]+`)
/** What stands before a marker in a record of ours, and which kind it then is. */
const FIELDS: readonly [before: string, kind: string][] = [
  ['mpl-', 'completion id'],
  ['canaries.', 'domain'],
  ['"tags":["', 'tag'],
  ['"comment":"', 'comment'],
  ['"strategy":"', 'strategy'],
  ['"model":"', 'model'],
  // columns side by side
  ['general', 'model'],
]
const MAX_TRACES = 1_000_000
const AROUND = 60

/** Markers in `bytes`, whole or in halves, in any of the scanner's encodings, compressed parts included. */
export function findMarkers(bytes: Buffer, markers: Markers): Trace[] {
  const traces = search(bytes, '', markers)
  for (const { bytes: opened, within } of inflated(bytes)) traces.push(...search(opened, within, markers))
  return traces
}

function search(bytes: Buffer, within: string, markers: Markers): Trace[] {
  const { stem } = markers
  const traces: Trace[] = []
  const exact = bytes.toString('latin1')
  const lower = exact.toLowerCase()
  /** Of a whole marker, and of letters that stand behind it by chance: among so many, one in ten runs finds such a half. */
  const isWithin = (place: number) => {
    const stemAt = exact.lastIndexOf(stem, place)
    const idAt = stemAt + stem.length
    return stemAt !== -1 && place < idAt + ID_CHARS && markers.kindOf(exact.slice(idAt, idAt + ID_CHARS)) !== undefined
  }
  /** Where SQLite has moved pages about: it is what the field before it says, if that is what it can be. */
  const kindOfCut = (beginning: string, at: number) => {
    const kinds = markers.kindsOf(beginning)
    const field = FIELDS.find(([before]) => exact.endsWith(before, at))?.[1]
    return field !== undefined && (kinds.size === 0 || kinds.has(field)) ? field : kinds.values().next().value
  }
  const note = (at: number, encoding: string, id: string) => {
    if (traces.length >= MAX_TRACES) return
    const around = exact.slice(Math.max(0, at - AROUND), at + AROUND).replace(/[^\x20-\x7e]/g, '·')
    traces.push({ kind: markers.kindOf(id) ?? kindOfCut(id, at) ?? 'unknown', encoding: within + encoding, around })
  }
  for (const { encoding, text, anyCase } of spellingsOf(stem)) {
    const within = anyCase ? lower : exact
    for (let at = within.indexOf(text); at !== -1; at = within.indexOf(text, at + 1)) {
      const tail = lower.slice(at + stem.length, at + stem.length + ID_CHARS)
      note(at, encoding, encoding === 'plain' ? (ID.exec(tail)?.[0] ?? '') : '')
    }
  }
  // The second half alone, where a marker was cut.
  for (const { 0: run, index } of exact.matchAll(new RegExp(`[${LETTERS}]{${ID_CHARS},}`, 'g'))) {
    for (let at = 0; at + ID_CHARS <= run.length; at++) {
      const id = run.slice(at, at + ID_CHARS)
      if (markers.kindOf(id) !== undefined && !isWithin(index + at)) note(index + at, 'half', id)
    }
  }
  return traces
}
