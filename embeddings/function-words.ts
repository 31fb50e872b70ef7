/**
 * English words that say how a sentence is built more than what it is about, so that the static embedder can count
 * them for less. Negations, directions and quantities (not, without, on, off, more, less) are left out on purpose:
 * they turn a question round.
 */
export const FUNCTION_WORDS: readonly string[] = (
  'a an the this that these those some any each every such ' +
  'i me my mine we us our you your he him his she her it its they them their one ' +
  'is am are was were be been being do does did done have has had having will would shall should can could may might must ' +
  'and or but so if then than as because while of in at by for with about to from into over under through ' +
  'there here also just too very please s re ll ve d m'
).split(' ')
