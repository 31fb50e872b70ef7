/**
 * What an insider learns from packets, who has the codebook, all traffic, and lists of likely questions: under each
 * profile, and for each further digit of a code. `npm run bench:privacy -- --json`
 */
import { mkdtempDisposable, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BUILT_IN_SPACE } from '../embeddings/table.ts'
import { seededRandom, shuffle } from '../embeddings/train/corpus.ts'
import { type ProfileName, profiles } from '../router/disclosure.ts'
import { loadIdentity } from '../router/identity.ts'
import { loadSpace } from '../router/space.ts'
import { readArguments } from './arguments.ts'
import { attackConfidences, attackKs } from './privacy/choices.ts'
import { look } from './privacy/codes.ts'
import { attackDepths, attackDictionary, drawByWeight, promised, zipf } from './privacy/dictionary.ts'
import { createDoor } from './privacy/door.ts'
import { skillKept } from './privacy/kept.ts'
import { aucKnowingOutcomes } from './privacy/knowing.ts'
import { printTable, rounded } from './privacy/print.ts'
import { attackRare } from './privacy/rare.ts'
import { measureRatings } from './privacy/ratings.ts'
import { measureTags } from './privacy/tags.ts'
import { drawDictionary, readTexts } from './privacy/texts.ts'
import { createTraffic, linkAnswers, linkTexts, readInterests, traceSites } from './privacy/traffic.ts'

const NAMES = Object.keys(profiles) as ProfileName[]
const RATED = 3_000
const REPEATED = 100

const values = readArguments(import.meta.filename, {
  json: { type: 'boolean', default: false, help: 'the figures alone, as JSON' },
  data: { type: 'string', default: join(import.meta.dirname, '../../shared'), help: 'the folder that holds data/' },
  dictionary: { type: 'string', default: '10000', help: 'likely questions that the insider knows' },
  targets: { type: 'string', default: '3000', help: 'questions that were asked' },
  seed: { type: 'string', default: '1', help: 'of what is drawn by lot' },
  outcomes: { type: 'string', help: 'a file of what bench:outcomes printed, for the skill that is kept' },
})
const random = seededRandom(Number(values.seed))
const kept = values.outcomes === undefined ? undefined : skillKept(await readFile(values.outcomes, 'utf8'))
const space = await loadSpace(join(import.meta.dirname, '../embeddings/spaces', BUILT_IN_SPACE))
const sets = await readTexts(values.data, random)

const entries = drawDictionary(sets, Number(values.dictionary), random).map(known => ({
  ...known,
  ...look(space, known.text),
}))
const indices = [...entries.keys()]
const popularity = zipf(shuffle([...indices], random))
const attacked = { space, entries, popularity, confidence: indices.map(() => 0.5 + 0.5 * random()) }
const targets = shuffle([...indices], random).slice(0, Number(values.targets))
const popularTargets = drawByWeight(popularity, targets.length >> 1, random)
// Codes alone: their tables would fill half a gigabyte.
const population = sets.corpus.map(({ text, tag }) => ({ tag, code: look(space, text).code }))
const populationCodes = population.map(({ code }) => code)
const listed = entries.map(({ code }) => code)
const outside = sets.outside.map(({ text }) => look(space, text).code)
const tested = sets.outcomes.questions.map(({ text, outcomes }) => ({ code: look(space, text).code, outcomes }))
const traffic = createTraffic(space, sets.topics, random)

await using folder = await mkdtempDisposable(join(tmpdir(), 'qis-privacy-'))
const identity = await loadIdentity(join(folder.path, 'identity.key'))
const figures = Object.fromEntries(
  await Array.fromAsync(NAMES, async name => {
    const door = createDoor({ space, identity, random }, name)
    const someCode = population[0]?.code ?? ''
    const rare = attackRare(space, name, outside, populationCodes, false)
    const rareListed = attackRare(space, name, listed, listed, true)
    return [
      name,
      {
        ...(await attackDictionary(attacked, door, name, targets, popularTargets)),
        auc_knowing_outcomes: aucKnowingOutcomes(
          space,
          name,
          tested.map(({ code }) => code),
          tested.map(({ outcomes }) => outcomes),
          random,
        ),
        rare_questions: rare.questions,
        rare_left: rare.left,
        rare_recovered: rare.recovered,
        rare_worst: rare.worst,
        one_of_k: 1 / profiles[name].k,
        rare_recovered_from_dictionary: rareListed.recovered,
        ...traceSites(traffic, name, random),
        ...linkTexts(traffic, name, random),
        ...(await linkAnswers(door, someCode, REPEATED)),
        ...(await readInterests(traffic, name, random)),
        ...measureTags(space, name, population),
        bss_kept: kept?.[name].bss_kept ?? null,
        bss_kept_tagged: kept?.[name].bss_kept_tagged ?? null,
      },
    ] as const
  }),
)
const noisy = createDoor({ space, identity, random }, 'clinical')
const ratings = await measureRatings(noisy, population[0]?.code ?? '', RATED)
const depths = attackDepths(entries)
const ks = attackKs(space, listed, populationCodes)
const confidences = attackConfidences(
  listed.map(code => promised(space, 'standard', code)),
  attacked.confidence,
)

const say = values.json ? () => undefined : (line: string) => console.log(line)
printTable(say, `${entries.length} texts`, figures)
printTable(
  say,
  'digits, whatever k says',
  Object.fromEntries(depths.map(({ digits, ...hits }) => [String(digits), hits])),
)
printTable(say, 'odds of a rating', { clinical: { ...ratings } })
printTable(say, 'k', Object.fromEntries(ks.map(({ k, ...told }) => [String(k), told])))
printTable(
  say,
  'steps of confidence; 0 is none',
  Object.fromEntries(confidences.map(({ steps, ...told }) => [` ${steps}`, told])),
)
console.log(JSON.stringify({ profiles: figures, depths, ks, confidences, clinical_rating_odds: ratings }, rounded))
