/** Finds what kind of mistake a correction puts right, by rules that anyone can read; the text goes no further than here. */
import type { CorrectionType } from '../../router/outcome.ts'
import type { AnswerFact } from '../answer-index.ts'
import type { Said } from './opinion.ts'
import type { Saying } from './reading.ts'

/** The first that fits counts: safety before all, since missing it costs most; facts last, since most text has some. */
const rules: readonly { type: CorrectionType; words?: RegExp; facts?: readonly AnswerFact[] }[] = [
  {
    type: 'safety',
    words:
      /\b(?:unsafe|dangerous|harm(?:ful)?|toxic|offensive|insult\w*|racist|sexist|illegal|suicid\w*|overdos\w*|contraindicat\w*|allerg\w*|lethal|fatal|privacy|confidential|disclos\w*|leak(?:s|ed)?|must (?:not|never)|should (?:not|never) (?:have )?(?:say|said|tell|told|answer\w*|recommend\w*|advise\w*)|call (?:911|112|999|an? ambulance))\b/i,
    facts: ['refused'],
  },
  {
    type: 'format',
    words:
      /\b(?:format(?:ted|ting)?|json|yaml|xml|csv|markdown|schema|bullet(?:s| points?)?|table|heading|indent\w*|too (?:long|short|verbose|wordy)|verbose|shorter|longer|truncated|cut off|incomplete|wrong language|in (?:english|german|french|spanish|chinese)|capitali[sz]\w*|punctuation|spelling|typo|grammar|quot(?:es|ation)|code block)\b/i,
    facts: ['bad_json', 'bad_tool_call', 'cut', 'empty', 'failed'],
  },
  {
    type: 'reasoning',
    words:
      /\b(?:because|therefore|thus|hence|follows? from|logic\w*|reason(?:ing|ed)?|contradict\w*|inconsisten\w*|fallac\w*|step(?:s| by step)?|calculat\w*|miscalculat\w*|arithmetic|assum(?:e|es|ed|ing|ption\w*)|conclu(?:de|des|ded|sion)|doesn'?t follow|misunderst\w*|missed the (?:point|question)|not what i asked|instead of)\b/i,
  },
  {
    type: 'factual',
    words:
      /\d|\b(?:wrong|incorrect|false|untrue|inaccurate|actually|in fact|correct (?:answer|name|date|value)|the (?:answer|capital|author|name|date|year|dose|dosage) (?:is|was)|is not|are not|isn'?t|aren'?t|wasn'?t|outdated|hallucinat\w*|made up|does(?:n'?t| not) exist|source|citation)\b/i,
  },
]

/**
 * Words count before facts: what somebody says outweighs what the sidecar saw.
 *
 * @param text undefined when there is none
 */
export function classify(text: string | undefined, facts: readonly AnswerFact[] = []): CorrectionType {
  const said = text !== undefined ? rules.find(({ words }) => words?.test(text)) : undefined
  if (said) return said.type
  return rules.find(rule => rule.facts?.some(fact => facts.includes(fact)))?.type ?? 'other'
}

/** Decides what kind of correction it is, and whether its text is kept. */
export function settle(
  { correction, ...rest }: Saying,
  facts: readonly AnswerFact[] | undefined,
  keepTexts: boolean,
): Said {
  if (!correction) return rest
  const { type, text } = correction
  return {
    ...rest,
    correction: {
      type: type ?? classify(text, facts),
      ...(type === undefined && { classified: true }),
      ...(text !== undefined && { chars: text.length }),
      ...(text !== undefined && keepTexts && { text }),
    },
  }
}

/** What the words did not tell, facts may that came later. */
export function reconsider(said: Said, facts: readonly AnswerFact[] | undefined): Said {
  const { correction } = said
  if (!correction?.classified || correction.type !== 'other') return said
  return { ...said, correction: { ...correction, type: classify(undefined, facts) } }
}
