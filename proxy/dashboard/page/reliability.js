/** Is it right: what was told against what came of it, and what listening to peers has brought. */
import { createChart } from './charts.js'
import { byId, count, draw, make, percent, table, whole } from './dom.js'

const [LEFT, TOP, SIDE] = [46, 12, 260]
const x = value => LEFT + SIDE * value
const y = value => TOP + SIDE * (1 - value)
/** With fewer outcomes, chance has more of a say than the swarm. */
const ENOUGH = 20
const points = value => `${(100 * value).toFixed(1)} points`

export function createReliability() {
  const benefit = createChart(byId('chart-benefit'), {
    title: 'What peers brought, over time',
    series: [{ label: 'Benefit', colour: '--good', fill: '--good-faint' }],
    say: value => value.toFixed(2),
    signed: true,
  })
  const choice = make('select', { id: 'of-model' })
  const place = make('div')
  let told
  byId('reliability').append(
    make('figcaption', {}, make('h3', {}, 'When it said so much, how often was the answer good?')),
    make('p', { class: 'row' }, make('label', { for: 'of-model' }, 'Model'), choice),
    place,
  )
  choice.addEventListener('change', () => show())

  function show() {
    const of = told.models[choice.value] ?? told.all
    place.replaceChildren(...describe(of))
  }

  return {
    showHistory(past) {
      benefit.show(past.times, [past.values('benefit')], past.span)
    },
    show(reliability) {
      told = reliability
      const chosen = choice.value
      choice.replaceChildren(
        make('option', { value: '' }, 'all'),
        ...Object.keys(told.models).map(model => make('option', { value: model, selected: model === chosen }, model)),
      )
      show()
    },
    showBenefits(benefits) {
      const rows = benefits.map(({ domain, nats, outcomes }) => [
        domain,
        nats.toFixed(3).replace('-', '−'),
        whole(outcomes),
        verdictOn(nats, outcomes),
      ])
      byId('benefits').replaceChildren(
        rows.length > 0
          ? table(
              [['Domain'], ['Nats an outcome', true], ['Outcomes', true], ['So']],
              rows,
              'Benefit of the swarm by domain',
            )
          : make('p', { class: 'note' }, 'Not known yet: it takes answers that were advised and then rated.'),
        make(
          'p',
          { class: 'note' },
          'The log score of what was expected with peers’ packets, less that without: above 0 they help. Where they do harm, they are listened to less.',
        ),
      )
    },
  }
}

function verdictOn(nats, outcomes) {
  if (outcomes < ENOUGH) return 'too few to tell'
  if (Math.abs(nats) < 0.005) return 'no difference'
  return nats > 0 ? 'peers help' : 'peers mislead'
}

function describe({ outcomes, bins, brier, calibrationError }) {
  const known = bins.filter(({ count: n }) => n > 0)
  if (known.length === 0)
    return [make('p', { class: 'note' }, 'No answer of which something was told has been rated yet.')]
  const rows = known.map(({ from, to, count: n, predicted, observed }) => [
    `${percent(from)} to ${percent(to)}`,
    percent(predicted),
    percent(observed),
    whole(n),
  ])
  return [
    diagram(known),
    make(
      'p',
      {},
      `Over ${count(outcomes, 'rated answer')}, what was told was off by ${points(calibrationError.told)} on average (Brier score ${brier.told.toFixed(3)}; 0.25 is knowing nothing, 0 is knowing all).${outcomes < ENOUGH ? ' So few that chance plays a part.' : ''}`,
    ),
    make(
      'details',
      {},
      make('summary', {}, 'The same as a table'),
      table([['Told'], ['On average', true], ['Came true', true], ['Answers', true]], rows, 'Reliability'),
    ),
  ]
}

function diagram(bins) {
  const most = Math.max(...bins.map(({ count: n }) => n))
  const ticks = [0, 0.25, 0.5, 0.75, 1]
  return draw(
    'svg',
    {
      viewBox: `0 0 ${LEFT + SIDE + 14} ${TOP + SIDE + 46}`,
      class: 'diagram',
      role: 'img',
      'aria-label':
        'Reliability diagram: told confidence against the share that came true; the table below has its figures.',
    },
    ...ticks.flatMap(at => [
      draw('line', { x1: x(at), x2: x(at), y1: y(0), y2: y(1), class: 'grid' }),
      draw('line', { x1: x(0), x2: x(1), y1: y(at), y2: y(at), class: 'grid' }),
      draw('text', { x: x(at), y: y(0) + 16, 'text-anchor': 'middle' }, String(100 * at)),
      draw('text', { x: LEFT - 7, y: y(at) + 4, 'text-anchor': 'end' }, String(100 * at)),
    ]),
    draw('line', { x1: x(0), y1: y(0), x2: x(1), y2: y(1), class: 'true' }),
    draw('polyline', {
      points: bins.map(({ predicted, observed }) => `${x(predicted)},${y(observed)}`).join(' '),
      class: 'told',
    }),
    ...bins.map(({ predicted, observed, count: n }) =>
      draw('circle', { cx: x(predicted), cy: y(observed), r: 3 + 8 * Math.sqrt(n / most), class: 'told' }),
    ),
    draw('text', { x: x(0.5), y: y(0) + 36, 'text-anchor': 'middle' }, 'told, %'),
    draw('text', { x: 12, y: y(0.5), 'text-anchor': 'middle', transform: `rotate(-90 12 ${y(0.5)})` }, 'came true, %'),
  )
}
