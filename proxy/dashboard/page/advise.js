/** The advise box: what is known of a text, why, and what would change it. */
import { call } from './api.js'
import { byId, count, fieldById, make, percent } from './dom.js'
import { barOf } from './knowledge.js'

export function createAdvise() {
  const form = byId('advise')
  const place = byId('advice')
  form.addEventListener('submit', async event => {
    event.preventDefault()
    const domain = fieldById('domain').value.trim()
    try {
      const told = await call('advise', {
        method: 'POST',
        body: {
          text: fieldById('text').value,
          model: fieldById('model').value.trim(),
          ...(domain !== '' && { domain }),
        },
      })
      place.replaceChildren(...told.models.flatMap(model => describe(model, told)))
    } catch (error) {
      place.replaceChildren(make('p', { class: 'poor' }, `No advice: ${error.message}.`))
    }
  })

  return {
    /** Names to choose from. */
    offer(places) {
      const names = { models: places.map(({ model }) => model), domains: places.map(({ domain }) => domain) }
      for (const [id, all] of Object.entries(names)) {
        byId(id).replaceChildren(...[...new Set(all)].slice(0, 50).map(value => make('option', { value })))
      }
      const model = fieldById('model')
      if (model.value === '' && places[0] && document.activeElement !== model) model.value = places[0].model
    },
  }
}

function describe(
  { variant, expected, deviation, adjustment, evidence, why, would_change: change },
  { domain, fingerprint },
) {
  const { this_model: own, other_models: others } = why
  const moved = Math.round(100 * adjustment)
  const by =
    moved === 0 ? 'peers changed nothing' : `peers moved it by ${moved > 0 ? '+' : '−'}${Math.abs(moved)} points`
  const rests = `${count(own.outcomes, 'outcome')} of this model nearby, ${own.packets} of them from ${count(own.peers, 'peer')}; ${others.outcomes} of other models`
  const next = change.next_grade
    ? ` ${count(change.next_grade.outcomes, 'more such rating')} would make the evidence ${change.next_grade.grade}.`
    : ''
  const known = evidence !== 'none'
  return [
    make(
      'p',
      { class: 'answer' },
      known ? barOf(expected) : undefined,
      make(
        'span',
        {},
        known
          ? `expected good, give or take ${Math.round(100 * deviation)} points`
          : 'Too little is known of such questions to say.',
      ),
    ),
    make(
      'ul',
      { class: 'plain' },
      make('li', {}, `Evidence: ${evidence}. ${rests}; ${by}.`),
      make(
        'li',
        {},
        `Rated good once more: ${percent(change.after_one_good)}; rated bad: ${percent(change.after_one_bad)}.${next}`,
      ),
      make(
        'li',
        { class: 'note' },
        `${variant} in ${domain}, kind ${fingerprint.slice(0, 2)}, fingerprint ${fingerprint}`,
      ),
    ),
  ]
}
