/** Knows short questions in English that need nothing before them, as "What is DNS?", from follow-ups, as "and in children?". */

/** With which a question or an order begins. */
const OPENINGS = words(
  'what who whom whose when where which why how is are was were do does did can could should will would may define explain describe translate summarize summarise list name write compute calculate solve convert',
)
/** They say nothing of what is asked. */
const GRAMMAR = words(
  "a an be been am has have had of in on at by for from to with into up if as s what's who's where's how's please tell show give say mean means meant work works use used go get got make made many much long often old far big come like next best better worse good bad need needs happen happens happened wrong right true false sure possible necessary safe ok okay time year day date kind sort type color colour size price cost rating address phone number fast exactly further detail details step shorter longer simpler briefly now today tomorrow changed playing available included open free",
)
/** They point at what was said before, or at who says it: "Can I get a room?" is asked in the middle of something. */
const POINTERS = words(
  "i me my mine we us our you your it its he him his she her hers they them their theirs this that these those there here then so such else more less one ones both either neither another other others same again instead too also about not and or but the that's it's he's she's they're there's",
)
const WORD = /[\p{L}\p{N}][\p{L}\p{N}'’+#.-]*/gu

/** False also where it cannot tell: of other languages, and of a name alone. */
export function standsAlone(text: string): boolean {
  const all = (text.toLowerCase().match(WORD) ?? []).map(word => word.replaceAll('’', "'").replace(/[.'-]+$/, ''))
  const [first = ''] = all
  if (!OPENINGS.has(first.replace(/'s$/, ''))) return false
  return !all.some(word => POINTERS.has(word)) && all.some(word => !OPENINGS.has(word) && !GRAMMAR.has(word))
}

function words(text: string): ReadonlySet<string> {
  return new Set(text.split(' '))
}
