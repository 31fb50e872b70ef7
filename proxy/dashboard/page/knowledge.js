/** What this node knows: models against domains, and the kinds of question that go best and worst. */

import { ago, byId, count, draw, make, mood, percent, table } from './dom.js'
import { kindOf } from './topics.js'

const MODELS = 12

export function showKnowledge({ places, total, kinds }) {
  byId('grid').replaceChildren(...gridOf(places, total))
  const empty = 'A kind of question is listed when three answers to such questions were rated.'
  for (const side of ['best', 'worst']) {
    const items = kinds[side].map(describeKind)
    byId(side).replaceChildren(
      items.length > 0 ? make('ol', { class: 'kinds' }, ...items) : make('p', { class: 'note' }, empty),
    )
  }
}

function gridOf(places, total) {
  if (places.length === 0)
    return [make('p', { class: 'note' }, 'Nothing yet: no answer was rated here, and no packet has come.')]
  const of = new Map(places.map(place => [`${place.domain}/${place.model}`, place]))
  const domains = byEvidence(places, 'domain')
  const models = byEvidence(places, 'model').slice(0, MODELS)
  const rows = domains.map(domain => [domain, ...models.map(model => describePlace(of.get(`${domain}/${model}`)))])
  const left = total.places - places.filter(({ model }) => models.includes(model)).length
  return [
    table(
      ['Domain', ...models].map(title => [title]),
      rows,
      'Expected outcome by domain and model',
      'domain',
    ),
    make(
      'p',
      { class: 'note' },
      `The figure is the share of good answers to expect of a question of which no more is known; below it, what that rests on.${left > 0 ? ` ${count(left, 'pair')} with less evidence are not shown.` : ''}`,
    ),
  ]
}

function byEvidence(places, name) {
  const sums = new Map()
  for (const place of places) sums.set(place[name], (sums.get(place[name]) ?? 0) + place.own + place.packets)
  return [...sums.keys()].sort((a, b) => sums.get(b) - sums.get(a))
}

function describePlace(place) {
  if (!place) return make('span', { class: 'note' }, 'nothing')
  const { own, packets, peers, expected, latest } = place
  const foreign = packets > 0 ? `${count(packets, 'packet')} of ${count(peers, 'peer')}` : 'no packets'
  return make(
    'span',
    { class: 'place' },
    barOf(expected),
    make('small', {}, `${own} own, ${foreign}`),
    make('small', {}, `last ${ago(latest)}`),
  )
}

/** A bar and its value in words: a colour alone would leave some readers out. */
export function barOf(value) {
  const bar = draw(
    'svg',
    { class: 'bar', viewBox: '0 0 80 10', 'aria-hidden': 'true' },
    draw('rect', { class: 'track', width: 80, height: 10, rx: 5 }),
    draw('rect', { width: Math.max(6, 80 * value), height: 10, rx: 5 }),
  )
  return make('span', { class: `level ${mood(value)}` }, bar, make('strong', {}, percent(value)))
}

function describeKind({ domain, cell, codes, own, packets, outcome }) {
  const rests = [
    own > 0 ? `${count(own, 'answer')} rated here` : '',
    packets > 0 ? `${count(packets, 'packet')} of peers` : '',
  ]
  return make(
    'li',
    { class: 'kind' },
    barOf(outcome),
    make(
      'span',
      { class: 'what' },
      make('b', {}, kindOf(codes)),
      make('small', {}, `${domain}, kind ${cell}; ${rests.filter(Boolean).join(', ')}`),
    ),
  )
}
