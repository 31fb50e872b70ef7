/** The dashboard: asks this node how it is, every few seconds while somebody looks, and lays it out. */
import { createAdvise } from './advise.js'
import { call, token } from './api.js'
import { byId, duration, fieldById, make, shortId } from './dom.js'
import { createFeedback } from './feedback.js'
import { showKnowledge } from './knowledge.js'
import { createLedger } from './ledger.js'
import { createNow } from './now.js'
import { createPast } from './past.js'
import { createReliability } from './reliability.js'
import { createSwarm } from './swarm.js'
import { learnNames } from './topics.js'

const EVERY_MS = 5_000
/** What costs the node more to tell is asked for every sixth time. */
const SELDOM = 6

const past = createPast()
let parts
let timer
let asked = 0

const [form, board, leave, nav] = [byId('enter'), byId('board'), byId('leave'), byId('sections')]

/** Charts want to know how wide they are, so they are made once they can be seen. */
function build() {
  parts ??= {
    now: createNow(),
    swarm: createSwarm(),
    reliability: createReliability(),
    ledger: createLedger(),
    advise: createAdvise(),
    feedback: createFeedback(() => refreshSlow().catch(fail)),
  }
}

async function look() {
  clearTimeout(timer)
  try {
    if (board.hidden && !(await call('entrance')).admitted) return turnAway()
    const [status, overview] = await Promise.all([call('status'), call(`overview?since=${past.latest}`)])
    open()
    past.add(overview)
    showState(status)
    parts.now.show(status, past)
    parts.swarm.show(status, past)
    parts.reliability.showHistory(past)
    if (asked++ % SELDOM === 0) await refreshSlow()
  } catch (error) {
    fail(error)
    if (error.status === 401) return turnAway()
  }
  if (!document.hidden) timer = setTimeout(look, EVERY_MS)
}

async function refreshSlow() {
  const [knowledge, reliability, peers, { answers }] = await Promise.all([
    call('knowledge'),
    call('reliability'),
    call('peers'),
    call('answers'),
    parts.ledger.refresh(),
  ])
  const { best, worst } = knowledge.kinds
  await learnNames([...[...best, ...worst].flatMap(({ codes }) => codes), ...answers.map(({ code }) => code)])
  showKnowledge(knowledge)
  parts.reliability.show(reliability)
  parts.reliability.showBenefits(knowledge.benefits)
  parts.swarm.showPeers(peers)
  parts.advise.offer(knowledge.places)
  parts.feedback.show(answers)
}

function open() {
  // What had the focus is gone.
  if (!form.hidden) byId('main').focus()
  form.hidden = true
  board.hidden = false
  nav.hidden = false
  leave.hidden = token.get() === null
  build()
}

function showState({ networkUp, mode, profile, uptimeS, version, id }) {
  const sharing = { share: `shares, profile ${profile}`, receive: 'receives, and shares nothing', off: 'alone' }[mode]
  byId('state').replaceChildren(
    make('span', { class: 'badge good' }, 'running'),
    ` ${networkUp ? sharing : 'alone'}; version ${version}, up for ${duration(uptimeS)}; known as `,
    make('code', { title: id }, shortId(id)),
  )
}

function fail(error) {
  byId('state').replaceChildren(make('span', { class: 'badge poor' }, 'not reached'), ` ${error.message}; trying again`)
}

function turnAway() {
  byId('refused').textContent = token.get() === null ? '' : 'This is not the token of this node.'
  token.forget()
  for (const part of [board, nav, leave]) part.hidden = true
  form.hidden = false
  byId('state').replaceChildren()
  byId('token').focus()
}

form.addEventListener('submit', event => {
  event.preventDefault()
  token.set(fieldById('token').value)
  fieldById('token').value = ''
  asked = 0
  void look()
})
leave.addEventListener('click', () => {
  token.forget()
  location.reload()
})
const span = fieldById('span')
span.addEventListener('change', () => {
  past.span = Number(span.value)
  void look()
})
document.addEventListener('visibilitychange', () => {
  if (!document.hidden && !board.hidden) void look()
})
void look()
