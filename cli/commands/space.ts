/** `qis space`: making, looking into and checking what peers must share for two fingerprints to mean the same. */

import { nearestName } from '../../proxy/config/nearest-name.ts'
import { type Command, type CommandIo, UsageError } from '../command.ts'

type Run = (args: readonly string[], io: CommandIo) => Promise<number>

const parts: Record<string, () => Promise<Run>> = {
  train: async () => (await import('../space/train.ts')).train,
  inspect: async () => (await import('../space/inspect.ts')).inspect,
  verify: async () => (await import('../space/verify.ts')).verify,
  explain: async () => (await import('../space/explain.ts')).explain,
}

export const space: Command = {
  name: 'space',
  summary: 'make, look into and check spaces of fingerprints',
  usage: `Usage: qis space train --corpus FOLDER --out FOLDER [--seed N]
       qis space inspect [SPACE…]
       qis space verify [SPACE…]
       qis space explain "TEXT" [--corpus FOLDER]

SPACE is the name of a shipped space or a folder.

train    makes a private space from the .txt files of a folder, one text a line, 2,000 different ones at least. It
         holds averages and counts of them and no text; all who are to share must have the same folder (QIS_SPACE).
         Takes a minute or two with the built-in embedder, and longer with others.
inspect  says what a space is made of; without SPACE, the one that the settings choose.
verify   compares every file with the hash in its manifest, and names the one that is wrong (exit code 1); without
         SPACE, all that are shipped.
explain  says which code a text has, how much of it may leave at k = 20 and k = 50, and, with --corpus, which texts
         of a folder are most like it.

Options:
  --embedder, --model   for train and explain, in place of QIS_EMBEDDER and QIS_EMBEDDER_MODEL
  --space               for explain, in place of QIS_SPACE
  --json                one line of JSON for each result
`,
  async run([name = '', ...args], io) {
    const load = Object.hasOwn(parts, name) ? parts[name] : undefined
    if (load) return (await load())(args, io)
    const nearest = nearestName(name, Object.keys(parts))
    const needs = `space needs one of ${Object.keys(parts).join(', ')}`
    throw new UsageError(nearest === undefined ? needs : `${needs}; did you mean ${nearest}?`)
  },
}
