/** What this node is doing now: rates, what it adds to each question, and the servers behind it. */
import { createChart } from './charts.js'
import { byId, count, make, percent, short, tile, whole } from './dom.js'

export function createNow() {
  const rate = createChart(byId('chart-rate'), {
    title: 'Requests a second',
    series: [
      { label: 'Questions', colour: '--mark', fill: '--mark-faint' },
      { label: 'Failed', colour: '--poor', dash: [6, 4] },
    ],
    say: short,
  })
  const overhead = createChart(byId('chart-overhead'), {
    title: 'What the sidecar adds to a question, ms',
    series: [
      { label: 'Mean', colour: '--mark' },
      { label: 'Slowest of a hundred', colour: '--fair', dash: [6, 4] },
    ],
    say: short,
  })

  return {
    show(status, past) {
      const minute = past.last(60)
      const { questions, others, failed, seconds } = minute.sums('questions', 'others', 'failed', 'seconds')
      const advice = past.counts.advice
      const asked = Object.values(advice).reduce((sum, each) => sum + each, 0)
      byId('now-tiles').replaceChildren(
        tile(
          'Questions a second',
          seconds > 0 ? short(questions / seconds) : '–',
          `${whole(status.requests.query)} since the start`,
        ),
        tile(
          'Other requests a second',
          seconds > 0 ? short(others / seconds) : '–',
          `${whole(status.requests.other)} since the start`,
        ),
        tile('Failed requests', whole(failed), 'answered with 5xx, in the last minute'),
        tile('Added to a question', added(past), 'on average, of late'),
        tile(
          'Answers with advice',
          asked > 0 ? percent((advice.advised ?? 0) / asked) : '–',
          'of all questions; of the others nothing was known',
        ),
        tile(
          'Feedback',
          whole(Object.values(status.feedback).reduce((sum, each) => sum + each, 0)),
          ratings(status.feedback),
        ),
      )
      rate.show(past.times, [past.rates('questions'), past.rates('failed')], past.span)
      overhead.show(past.times, [past.values('overhead_mean_ms'), past.values('overhead_p99_ms')], past.span)
      byId('upstreams').replaceChildren(...status.upstreams.map(describeUpstream))
    },
  }
}

function added(past) {
  const known = past.values('overhead_mean_ms').findLast(value => value !== null) ?? past.current('overhead_mean_ms')
  return known === null ? '–' : `${short(known)} ms`
}

function ratings(feedback) {
  const said = Object.entries({ up: 'good', down: 'bad', revoked: 'taken back' })
    .filter(([rating]) => feedback[rating] > 0)
    .map(([rating, word]) => `${whole(feedback[rating])} ${word}`)
  return said.join(', ') || 'none since the start'
}

function describeUpstream({ origin, up, models }) {
  return make(
    'li',
    {},
    make('span', { class: up ? 'badge good' : 'badge poor' }, up ? 'answers' : 'does not answer'),
    ' ',
    make('code', {}, origin),
    models.length > 0
      ? ` ${count(models.length, 'model')}: ${models.slice(0, 8).join(', ')}${models.length > 8 ? ' …' : ''}`
      : undefined,
  )
}
