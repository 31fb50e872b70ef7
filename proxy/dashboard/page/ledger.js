/** What left: packet by packet, in words, and the check that none was hidden. */
import { call } from './api.js'
import { byId, count, make, moment, table, whole } from './dom.js'
import { fields, sentence } from './packet-words.js'
import { learnNames } from './topics.js'

const PAGE = 100
const SHOWN = 6
const NEVER =
  'Not in any packet: the question, the answer, a comment, the text of a correction, who asked, the minute. The domain, the model’s name and the strategy are as your clients wrote them. Each packet is signed with this node’s own key, so others can tell that packets come from one site; and whoever is connected to it sees its network address.'
const FAULTS = {
  missing: 'one was removed',
  changed: 'one was changed',
  end_missing: 'the last ones were removed',
  not_as_noted: 'it is not the one that was noted',
  noted_too_long_ago: 'what was noted has expired since',
}

export function createLedger() {
  let entries = []
  let shown = SHOWN
  let complete = false
  const open = new Set()
  const [list, older] = [byId('ledger'), byId('older')]
  byId('left-note').textContent = NEVER

  async function render() {
    await learnNames(entries.slice(0, shown).map(({ payload }) => JSON.parse(payload).qsh))
    list.replaceChildren(
      ...(entries.length > 0
        ? entries.slice(0, shown).map(describeEntry)
        : [make('li', { class: 'card note' }, 'Nothing has left this machine.')]),
    )
    older.hidden = complete && entries.length <= shown
  }

  function describeEntry({ seq, leftAt, recipients, requestId, feedback, payload, bytes, topic, hash }) {
    const wire = JSON.parse(payload)
    const id = `entry-${seq}`
    const details = make(
      'details',
      { open: open.has(seq) },
      make('summary', {}, `All ${bytes} bytes of it, field by field`),
      table(
        [['What'], ['It says']],
        [
          ...fields(wire),
          ['On account of', `${[requestId || 'not known', ...feedback].join(', ')} (known here alone)`],
          ['To', topic],
          ['Hash of this entry', hash ?? 'none: of an earlier version'],
        ],
        `Packet ${seq}`,
        'names',
      ),
      make('p', {}, make('b', {}, 'As it left: '), make('code', {}, payload)),
    )
    details.addEventListener('toggle', () => (details.open ? open.add(seq) : open.delete(seq)))
    return make(
      'li',
      { class: 'card', 'aria-labelledby': id },
      make(
        'p',
        { class: 'packet', id },
        make('span', { class: 'number' }, `№ ${whole(seq)}`),
        make('strong', {}, sentence(wire)),
        make(
          'span',
          { class: 'note' },
          `Fingerprint ${wire.qsh}, domain ${wire.d}; `,
          moment(leftAt),
          `, to ${recipients === 0 ? 'nobody yet' : count(recipients, 'peer')}`,
        ),
      ),
      details,
    )
  }

  older.addEventListener('click', async () => {
    shown += SHOWN
    if (shown > entries.length && !complete) await more()
    await render()
  })

  async function more() {
    const { entries: found } = await call(`ledger?offset=${entries.length}`)
    const known = new Set(entries.map(({ seq }) => seq))
    entries.push(...found.filter(({ seq }) => !known.has(seq)))
    complete = found.length < PAGE
  }

  const button = /** @type {HTMLButtonElement} */ (byId('verify'))
  button.addEventListener('click', async () => {
    button.disabled = true
    try {
      byId('verdict').replaceChildren(describeVerdict(await call('ledger/verify')))
    } catch (error) {
      byId('verdict').replaceChildren(make('p', { class: 'card poor' }, `It could not be checked: ${error.message}.`))
    } finally {
      button.disabled = false
    }
  })

  return {
    async refresh() {
      const { entries: found } = await call('ledger')
      if (found[0]?.seq === entries[0]?.seq && entries.length > 0) return
      const oldest = found.at(-1)?.seq ?? 0
      entries = [...found, ...entries.filter(({ seq }) => seq < oldest)]
      complete ||= found.length < PAGE
      await render()
    },
  }
}

function describeVerdict({ ok, entries, at, fault, head }) {
  if (!ok)
    return make('p', { class: 'card poor' }, `The ledger is not whole: at № ${whole(at)}, ${FAULTS[fault] ?? fault}.`)
  return make(
    'p',
    { class: 'card' },
    make('span', { class: 'badge good' }, 'whole'),
    ` ${count(entries, 'entry', 'entries')} in one unbroken chain. To be sure later that nobody wrote it anew, note this where this machine cannot reach: `,
    make('code', {}, `${head.seq}:${head.hash}`),
  )
}
