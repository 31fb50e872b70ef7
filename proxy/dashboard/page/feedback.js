/** The feedback trial: a rating for one of the last answers, or for any whose request id one has, and what became of it. */
import { call } from './api.js'
import { ago, byId, fieldById, make, percent, shortId } from './dom.js'
import { kindOf } from './topics.js'

const STATUS = {
  accepted: 'Taken. It counts from now on.',
  updated: 'Taken: it replaces what was said before.',
  duplicate: 'That was known already; nothing changed.',
  pending: 'Kept, until the answer has ended.',
  revoked: 'Taken back.',
}
const SHOWN = 8
const VERDICTS = { up: 'good', down: 'bad', none: 'said something', revoked: 'taken back' }

/** @param {() => void} onTaken */
export function createFeedback(onTaken) {
  const taken = byId('taken')

  async function rate(request_id, rating, fault) {
    const body = { request_id, rating, ...(fault && rating === 'down' && { correction: { type: fault } }) }
    await tell(() => call('feedback', { method: 'POST', body }))
  }

  async function tell(act) {
    try {
      const { status, feedback_id } = await act()
      taken.className = 'good'
      taken.textContent = `${STATUS[status] ?? status} (${feedback_id})`
      onTaken()
    } catch (error) {
      taken.className = 'poor'
      taken.textContent = `Not taken: ${error.message}.`
    }
  }

  byId('rate').addEventListener('submit', event => {
    event.preventDefault()
    const pressed = /** @type {HTMLButtonElement | null} */ (event.submitter)
    void rate(fieldById('request').value.trim(), pressed?.value ?? 'up', fieldById('fault').value)
  })

  function thumbs({ request_id, feedback }) {
    const standing = feedback.find(({ source, state }) => source === 'user' && state === 'kept')
    const button = (rating, label, sign) => {
      const pressed = standing?.verdict === rating
      const made = make(
        'button',
        {
          type: 'button',
          class: 'thumb',
          'aria-pressed': String(pressed),
          'aria-label': `${label}: ${shortId(request_id)}`,
        },
        sign,
      )
      made.addEventListener('click', () => rate(request_id, rating))
      return made
    }
    const back = make(
      'button',
      { type: 'button', class: 'quiet', 'aria-label': `Take back: ${shortId(request_id)}` },
      'Take back',
    )
    back.addEventListener('click', () => tell(() => call(`feedback/${standing.feedback_id}`, { method: 'DELETE' })))
    const hasVerdict = standing && standing.verdict !== 'revoked'
    return make(
      'span',
      { class: 'thumbs' },
      button('up', 'Good answer', 'good'),
      button('down', 'Bad answer', 'bad'),
      hasVerdict ? back : undefined,
    )
  }

  function describe(answer) {
    const { request_id, model, domain, code, time, expected, feedback } = answer
    const others = feedback
      .filter(({ source }) => source !== 'user')
      .map(({ source, verdict }) => `; ${source}: ${VERDICTS[verdict] ?? verdict}`)
    const told = expected === null ? 'nothing was known' : `${percent(expected)} was told`
    return make(
      'li',
      { class: 'given' },
      make(
        'span',
        {},
        make('b', {}, `A question ${kindOf([code])}`),
        make(
          'small',
          {},
          `${model} in ${domain}, ${ago(time)}; ${told}${others.join('')}; `,
          make('code', { title: request_id }, shortId(request_id)),
        ),
      ),
      thumbs(answer),
    )
  }

  return {
    show(answers) {
      // Whoever is about to press a button keeps it.
      const focused = document.activeElement?.getAttribute('aria-label')
      const items = answers.slice(0, SHOWN).map(describe)
      byId('answers').replaceChildren(
        items.length > 0
          ? make('ul', { class: 'answers plain', 'aria-label': 'The last answers' }, ...items)
          : make('p', { class: 'note' }, 'No answers yet: send a question through the data listener.'),
      )
      if (!focused) return
      const same = byId('answers').querySelector(`[aria-label="${CSS.escape(focused)}"]`)
      if (same instanceof HTMLElement) same.focus()
    },
  }
}
