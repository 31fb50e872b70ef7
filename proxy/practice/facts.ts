/** What the practice model knows and gets right: units, capitals, the calendar, counting. Each gives undefined for other questions. */

interface Unit {
  dimension: string
  /** Size in the dimension's base unit. */
  factor: number
  /** Added after scaling; only temperatures have one. */
  offset: number
  /** How it is written after a number. */
  label: string
}

/** dimension, factor, offset, then its names, the first being the label. */
const UNIT_TABLE: [string, number, number, string][] = [
  ['length', 1, 0, 'm|metre|metres|meter|meters'],
  ['length', 1000, 0, 'km|kms|kilometre|kilometres|kilometer|kilometers'],
  ['length', 0.01, 0, 'cm|centimetre|centimetres|centimeter|centimeters'],
  ['length', 0.001, 0, 'mm|millimetre|millimetres|millimeter|millimeters'],
  ['length', 0.0254, 0, 'in|inch|inches'],
  ['length', 0.3048, 0, 'ft|foot|feet'],
  ['length', 0.9144, 0, 'yd|yard|yards'],
  ['length', 1609.344, 0, 'mi|mile|miles'],
  ['length', 1852, 0, 'nmi|nautical mile|nautical miles'],
  ['mass', 1, 0, 'kg|kgs|kilo|kilos|kilogram|kilograms'],
  ['mass', 1e-3, 0, 'g|gram|grams'],
  ['mass', 1e-6, 0, 'mg|milligram|milligrams'],
  ['mass', 1000, 0, 't|tonne|tonnes'],
  ['mass', 0.45359237, 0, 'lb|lbs|pound|pounds'],
  ['mass', 0.028349523125, 0, 'oz|ounce|ounces'],
  ['mass', 6.35029318, 0, 'st|stone|stones'],
  ['volume', 1, 0, 'L|litre|litres|liter|liters'],
  ['volume', 1e-3, 0, 'mL|millilitre|millilitres|milliliter|milliliters'],
  ['volume', 3.785411784, 0, 'US gal|gal|gallon|gallons|us gallon|us gallons'],
  ['volume', 0.473176473, 0, 'US pt|pint|pints|us pint|us pints'],
  ['time', 1, 0, 's|sec|second|seconds'],
  ['time', 60, 0, 'min|minute|minutes'],
  ['time', 3600, 0, 'h|hour|hours'],
  ['time', 86_400, 0, 'd|day|days'],
  ['time', 604_800, 0, 'wk|week|weeks'],
  ['speed', 1, 0, 'm/s|metres per second|meters per second'],
  ['speed', 1 / 3.6, 0, 'km/h|kmh|kph|kilometres per hour|kilometers per hour'],
  ['speed', 0.44704, 0, 'mph|miles per hour'],
  ['temperature', 1, 273.15, '°C|c|celsius|degrees celsius|degrees c'],
  ['temperature', 5 / 9, 459.67 * (5 / 9), '°F|f|fahrenheit|degrees fahrenheit|degrees f'],
  ['temperature', 1, 0, 'K|kelvin|kelvins'],
]

const UNITS = new Map<string, Unit>()
for (const [dimension, factor, offset, names] of UNIT_TABLE) {
  const labels = names.split('|')
  for (const name of labels) UNITS.set(name.toLowerCase(), { dimension, factor, offset, label: labels[0] ?? name })
}
const UNIT = [...UNITS.keys()].sort((a, b) => b.length - a.length).join('|')
const AMOUNT = '(-?\\d+(?:[.,]\\d+)?|an?|one)'
const CONVERT = new RegExp(`${AMOUNT}\\s*(${UNIT})\\s+(?:to|in|into|as)\\s+(${UNIT})(?![\\w/])`)
const HOW_MANY = new RegExp(`how many (${UNIT}) (?:are |is )?(?:there )?in ${AMOUNT}\\s*(${UNIT})(?![\\w/])`)

export function convertUnits(question: string): string | undefined {
  const text = question.toLowerCase()
  const convert = CONVERT.exec(text)
  const howMany = HOW_MANY.exec(text)
  const [amount, from, to] = convert ? convert.slice(1) : [howMany?.[2], howMany?.[3], howMany?.[1]]
  const source = UNITS.get(from ?? '')
  const target = UNITS.get(to ?? '')
  if (amount === undefined || source === undefined || target === undefined) return undefined
  if (source.dimension !== target.dimension) {
    return `${source.label} measures ${source.dimension} and ${target.label} ${target.dimension}: one cannot be turned into the other.`
  }
  const value = /^(?:an?|one)$/.test(amount) ? 1 : Number(amount.replace(',', '.'))
  const converted = (value * source.factor + source.offset - target.offset) / target.factor
  return `${value} ${source.label} = ${Number(converted.toPrecision(6))} ${target.label}.`
}

const CAPITALS = new Map(
  `argentina Buenos Aires|australia Canberra|austria Vienna|belgium Brussels|brazil Brasília|canada Ottawa|chile Santiago|china Beijing|
colombia Bogotá|cuba Havana|czechia Prague|denmark Copenhagen|egypt Cairo|ethiopia Addis Ababa|finland Helsinki|france Paris|germany Berlin|
ghana Accra|greece Athens|hungary Budapest|iceland Reykjavik|india New Delhi|indonesia Jakarta|ireland Dublin|italy Rome|japan Tokyo|kenya Nairobi|
mexico Mexico City|mongolia Ulaanbaatar|morocco Rabat|netherlands Amsterdam|nigeria Abuja|norway Oslo|peru Lima|poland Warsaw|portugal Lisbon|
romania Bucharest|spain Madrid|sweden Stockholm|switzerland Bern|thailand Bangkok|turkey Ankara|ukraine Kyiv|uruguay Montevideo|vietnam Hanoi`
    .split(/\|\n?/)
    .map(row => [row.slice(0, row.indexOf(' ')), row.slice(row.indexOf(' ') + 1)] as const),
)

export function nameCapital(question: string): string | undefined {
  const match = /\bcapital (?:city )?of (?:the )?(\p{L}+)|\b(\p{L}+)['’]s capital\b/iu.exec(question)
  const country = match?.[1] ?? match?.[2]
  const capital = CAPITALS.get(country?.toLowerCase() ?? '')
  if (country === undefined || capital === undefined) return undefined
  return `The capital of ${country.toLowerCase() === 'netherlands' ? 'the ' : ''}${titleCase(country)} is ${capital}.`
}

const MONTHS = 'january february march april may june july august september october november december'.split(' ')
const MONTH_DAYS = new RegExp(
  `how many days (?:are |does |has )?(?:there )?(?:in )?(${MONTHS.join('|')})(?: (?:have )?(?:in )?(\\d{1,4}))?`,
)

export function readCalendar(question: string): string | undefined {
  const text = question.toLowerCase()
  const leap = /\b(\d{1,4})\b.*\bleap year|\bleap year.*\b(\d{1,4})\b/.exec(text)
  if (leap) {
    const year = Number(leap[1] ?? leap[2])
    return `${isLeapYear(year) ? 'Yes' : 'No'}: ${year} is ${isLeapYear(year) ? '' : 'not '}a leap year.`
  }
  const days = /how many days (?:are |were |will )?(?:there )?(?:be )?(?:in )?(?:the )?(?:year )?(\d{4})\b/.exec(text)
  if (days) return `${days[1]} has ${isLeapYear(Number(days[1])) ? 366 : 365} days.`
  const month = MONTH_DAYS.exec(text)
  if (!month?.[1]) return undefined
  const index = MONTHS.indexOf(month[1])
  const name = titleCase(month[1])
  if (index === 1 && month[2] === undefined) return 'February has 28 days, and 29 in a leap year.'
  if (index === 1) return `February ${month[2]} has ${isLeapYear(Number(month[2])) ? 29 : 28} days.`
  return `${name} has ${[3, 5, 8, 10].includes(index) ? 30 : 31} days.`
}

function isLeapYear(year: number): boolean {
  return (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0
}

const MAX_COUNT = 10_000

/** The one long answer, so that a stream can be watched, slowed and cut short. */
export function count(question: string): string | undefined {
  const match = /\bcount (?:from (\d{1,6}) )?(?:up )?to (\d{1,6})\b/i.exec(question)
  if (!match) return undefined
  const from = Number(match[1] ?? 1)
  const length = Number(match[2]) - from + 1
  if (length < 1 || length > MAX_COUNT) return `I count upwards, and at most ${MAX_COUNT} numbers at a time.`
  return Array.from({ length }, (_, index) => from + index).join(' ')
}

function titleCase(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1).toLowerCase()
}
