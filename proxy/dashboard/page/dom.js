/** Makes elements, and words of numbers and times. Text is only ever text: nothing that came from elsewhere becomes markup. */

/** @param {string} id */
export function byId(id) {
  const found = document.getElementById(id)
  if (!found) throw new Error(`the page has no #${id}`)
  return found
}

/**
 * @param {string} id of an input, or of what has a value as well
 */
export const fieldById = id => /** @type {HTMLInputElement} */ (byId(id))

/**
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} name
 * @param {Record<string, string | number | boolean | undefined>} [attributes] those that are undefined or false are left out
 * @param {...(Node | string | undefined)} children
 */
export function make(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children)
}

/**
 * @param {string} name
 * @param {Record<string, string | number | boolean | undefined>} [attributes]
 * @param {...(Node | string | undefined)} children
 */
export function draw(name, attributes = {}, ...children) {
  return fill(document.createElementNS('http://www.w3.org/2000/svg', name), attributes, children)
}

/**
 * @template {Element} E
 * @param {E} element
 * @param {Record<string, string | number | boolean | undefined>} attributes
 * @param {(Node | string | undefined)[]} children
 */
function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) element.setAttribute(name, value === true ? '' : String(value))
  }
  element.append(...children.filter(child => child !== undefined))
  return element
}

/**
 * @param {readonly [title: string, isNumber?: boolean][]} columns
 * @param {(Node | string)[][]} rows the first of each is the row's heading
 * @param {string} caption said to those who do not see it
 * @param {string} [heading] class of the headings of rows
 */
export function table(columns, rows, caption, heading) {
  const head = columns.map(([title, number]) => make('th', { scope: 'col', class: number && 'number' }, title))
  const body = rows.map(cells =>
    make(
      'tr',
      {},
      ...cells.map((cell, at) =>
        at === 0
          ? make('th', { scope: 'row', class: heading }, cell)
          : make('td', { class: columns[at]?.[1] && 'number', 'data-title': columns[at]?.[0] }, cell),
      ),
    ),
  )
  return make(
    'div',
    { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': caption },
    make(
      'table',
      {},
      make('caption', { class: 'hidden' }, caption),
      make('thead', {}, make('tr', {}, ...head)),
      make('tbody', {}, ...body),
    ),
  )
}

/**
 * @param {string} title
 * @param {string} value
 * @param {string} [note]
 */
export function tile(title, value, note) {
  return make(
    'div',
    {},
    make('dt', {}, title),
    make('dd', {}, make('strong', {}, value), note === undefined ? undefined : make('span', {}, note)),
  )
}

/** @param {number} value 0..1 */
export const percent = value => `${Math.round(100 * value)} %`

/** @param {number} value 0..1 */
export const mood = value => (value < 0.4 ? 'poor' : value < 0.7 ? 'fair' : 'good')

/**
 * @param {number} number
 * @param {string} one
 * @param {string} [many]
 */
export const count = (number, one, many = `${one}s`) => `${whole(number)} ${number === 1 ? one : many}`

const wholes = new Intl.NumberFormat('en', { maximumFractionDigits: 0 })
/** @param {number} number */
export const whole = number => wholes.format(number).replaceAll(',', '\u202f')

/** @param {number} value three figures that matter */
export function short(value) {
  if (value === 0) return '0'
  if (Math.abs(value) >= 100) return whole(value)
  return String(Number(value.toPrecision(value < 0.1 ? 1 : 2)))
}

/** @param {number} seconds */
export function duration(seconds) {
  if (seconds < 90) return count(Math.max(0, Math.round(seconds)), 'second')
  if (seconds < 90 * 60) return count(Math.round(seconds / 60), 'minute')
  if (seconds < 36 * 3600) return count(Math.round(seconds / 3600), 'hour')
  return count(Math.round(seconds / 86_400), 'day')
}

/** @param {number} time Unix seconds */
export const ago = time => `${duration(Date.now() / 1000 - time)} ago`

const moments = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'medium' })
/** @param {number} time Unix seconds */
export const moment = time =>
  make('time', { datetime: new Date(time * 1000).toISOString() }, moments.format(time * 1000))

/** @param {string} id a peer's, or a request's: long, and told apart by its end */
export const shortId = id => (id.length <= 14 ? id : `…${id.slice(-10)}`)
